use proptest::prelude::*;

use super::*;

fn risk(message: &str) -> Risk {
    understand(message).risk
}

fn commands(message: &str) -> Vec<String> {
    let commands = understand(message).work.commands;
    commands.iter().map(|command| format!("{} {}", command.action.as_str(), command.service)).collect()
}

#[test]
fn actions_are_rated_by_their_word_in_both_languages() {
    let high = [
        "delete the logs",
        "Drop table users",
        "destroy it",
        "reset the counters",
        "migrate the database",
        "restore the backup",
        "stop the switch",
        "kill switch",
        "terminate everything",
        "DELETE!!!",
        "please, delete it",
        "can you delete the logs?",
        "could you stop the switch",
        "I want the logs deleted",
        "keep deleting them",
        "shut down the switch",
        "remove it",
        "detener el switch",
        "detén el switch",
        "para el switch",
        "Para todo",
        "parar el operador",
        "borra los registros",
        "bórralos",
        "borrar todo",
        "elimina la base de datos",
        "¿puedes borrar los logs?",
        "restaura la copia",
        "migrar los datos",
        "destruye el clúster",
        "apaga el switch",
        "mata el proceso",
        "restablecer la configuración",
        "termina el proceso",
        "madre, stop the switch",
        "why don't you delete the logs?",
        "How are you? Delete the logs.",
        "when done, delete the logs",
    ];
    for message in high {
        assert_eq!(risk(message), Risk::High, "{message}");
    }
    let medium = [
        "restart the switch",
        "reboot",
        "suspend the job",
        "cleanup",
        "clean up the disk",
        "patch the server",
        "update it",
        "Restarting now",
        "reinicia el switch",
        "reinícialo",
        "actualiza el sistema",
        "limpia el disco",
        "suspende la tarea",
        "parchea el servidor",
        "would you restart the switch?",
        "start the switch",
        "arranca el switch",
    ];
    for message in medium {
        assert_eq!(risk(message), Risk::Medium, "{message}");
    }
    let low = [
        "hello",
        "status",
        "what is the weather?",
        "list agents",
        "deploy the app",
        "métricas para el switch",
        "para qué sirve madre?",
        "start writing a poem",
        "breakdrop",
        "undelete",
        "the droplet",
        "restaurante",
        "",
    ];
    for message in low {
        assert_eq!(risk(message), Risk::Low, "{message}");
    }
}

#[test]
fn stopping_what_everything_hangs_on_is_high_whatever_the_word() {
    for message in
        ["restart madre", "suspend tentaculo", "reinicia tentáculo", "reboot all services", "restart everything"]
    {
        assert_eq!(risk(message), Risk::High, "{message}");
    }
    assert_eq!(risk("madre restart the switch"), Risk::Medium, "madre is spoken to");
}

#[test]
fn asking_about_an_action_is_not_asking_for_it() {
    let about = [
        "how do I delete a session?",
        "How do I stop or restart the switch?",
        "what happens if you delete the logs?",
        "why did the restart fail?",
        "is it safe to delete it?",
        "explain how to reset it",
        "¿cómo borro los logs?",
        "cómo borro los logs",
        "por qué se detuvo el switch?",
        "should I restart the switch?",
        "can I delete it?",
    ];
    for message in about {
        let understood = understand(message);
        assert_eq!(understood.risk, Risk::Low, "{message}");
        assert!(!understood.mentioned.is_empty(), "{message}");
    }
}

#[test]
fn a_negation_counts_only_directly_before_its_verb() {
    for message in [
        "do not delete the logs",
        "don't stop",
        "never ever restart it",
        "no borres los logs",
        "no lo borres",
        "go on without deleting it",
        "it should not be deleted",
    ] {
        assert_eq!(risk(message), Risk::Low, "{message}");
    }
    for message in [
        "do not forget to delete the logs",
        "don't hesitate, delete it",
        "do not stop deleting",
        "no, delete it",
        "don't restart it or stop the switch",
    ] {
        assert_eq!(risk(message), Risk::High, "{message}");
    }
}

#[test]
fn set_phrases_and_code_that_is_asked_for_ask_for_nothing() {
    for message in [
        "the switch stopped working",
        "give me a status update",
        "any updates?",
        "write a function that deletes duplicates",
        "escribe una función que borre duplicados",
    ] {
        assert_eq!(risk(message), Risk::Low, "{message}");
    }
    assert_eq!(risk("write a script that deletes the logs and run it"), Risk::High);
}

#[test]
fn only_services_that_directly_follow_a_service_verb_are_acted_on() {
    assert_eq!(commands("stop the switch"), ["stop switch"]);
    assert_eq!(commands("please stop switch and the mock-provider"), ["stop switch", "stop mock-provider"]);
    assert_eq!(commands("stop the switch and start mock_provider"), ["stop switch", "start mock-provider"]);
    assert_eq!(commands("reinicia el operador"), ["restart operator"]);
    assert_eq!(commands("detén el servicio switch"), ["stop switch"]);
    for message in [
        "stop sending data to operator",
        "stop everything",
        "delete the switch",
        "update the switch and check operator",
        "how do I stop the switch?",
        "do not stop the switch",
        "the switch should be stopped",
    ] {
        assert_eq!(commands(message), Vec::<String>::new(), "{message}");
    }
    assert_eq!(commands("restart the switch because operator fails"), ["restart switch"]);
    let both = understand("delete the logs and stop the switch");
    assert_eq!(both.work.manual, ["delete"]);
    assert_eq!(both.work.commands.len(), 1);
}

#[test]
fn intents_of_clear_messages_are_sure() {
    let cases = [
        ("status", "system_status"),
        ("estado del sistema", "system_status"),
        ("help", "help"),
        ("what can you do?", "help"),
        ("ayuda", "help"),
        ("show me the metrics", "get_metrics"),
        ("list agents", "list_agents"),
        ("monitor the queue", "monitor"),
        ("analyze this text", "analyze"),
        ("analyze the data in this csv", "data_analysis"),
        ("configure the proxy", "configure"),
        ("deploy version 2", "deploy"),
        ("despliega la versión 2", "deploy"),
        ("scale to 5 replicas", "scale"),
        ("debug the crash", "debug"),
        ("optimize the query", "optimize"),
        ("secure the api", "secure"),
        ("write a python function", "code_generation"),
        ("escribe código en rust", "code_generation"),
        ("use a swarm", "swarm_coordination"),
        ("stop the switch", "stop_service"),
        ("restart the switch", "restart_service"),
        ("start the switch", "start_service"),
        ("delete it", "remove"),
        ("update it", "maintain"),
    ];
    for (message, intent) in cases {
        let understood = understand(message);
        assert_eq!(understood.intent.name, intent, "{message}");
        assert!(understood.intent.confidence > 0.8, "{message}: {}", understood.intent.confidence);
    }
    assert_eq!(understand("who wrote Hamlet?").intent.name, "query");
    assert_eq!(understand("the sky is blue").intent.name, "general");
    assert_eq!(understand("stop the switch").intent.target.as_deref(), Some("switch"));
}

proptest! {
    #[test]
    fn any_text_is_understood_and_always_the_same_way(message in ".{0,400}") {
        prop_assert_eq!(understand(&message), understand(&message));
    }

    #[test]
    fn what_could_do_harm_always_has_a_plan_and_what_could_not_never_has_commands(
        words in prop::collection::vec(prop::sample::select(vec![
            "delete", "stop", "switch", "madre", "how", "not", "and", "restart", "the", "start", "operator", "?", ",", "para",
        ]), 0..12),
    ) {
        let understood = understand(&words.join(" "));
        let has_work = !(understood.work.commands.is_empty() && understood.work.manual.is_empty());
        prop_assert_eq!(understood.risk > Risk::Low, has_work);
    }
}
