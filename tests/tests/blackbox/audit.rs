//! The audit log of real processes on a real PostgreSQL, and what `vx11 audit` says of it after somebody was at it.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use reqwest::Method;
use serde_json::json;
use vx11_testing_servers::Postgres;
use vx11_tests::{Caller, Process, base_env, binary_dir, wait_until};

fn vx11(env: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
    let program = binary_dir().expect("a build folder").join("vx11");
    Command::new(program).args(arguments).env_clear().envs(env).output().expect("it is built")
}

/// Whether `vx11 audit verify` finds nothing wrong, and what it says.
fn verified(env: &BTreeMap<String, String>, arguments: &[&str]) -> (bool, String) {
    let output = vx11(env, &[&["audit", "verify"], arguments].concat());
    (output.status.success(), String::from_utf8(output.stdout).expect("UTF-8"))
}

/// What is said of the log, with which nothing may be wrong, once all of its rows are linked.
fn all_linked(env: &BTreeMap<String, String>) -> Option<String> {
    let (is_intact, said) = verified(env, &[]);
    assert!(is_intact, "{said}");
    Some(said).filter(|said| said.contains("\tintact\t") && !said.contains("not linked"))
}

/// Asks for a decision and approves it; whether both were answered.
async fn decide(caller: &Caller, admin: &str, id: &str) -> bool {
    let asked = json!({"request_id": id, "title": "May it run?"});
    let approve = format!("/operator/api/interventions/{id}/approve");
    for (path, body) in [("/operator/api/interventions", asked), (&*approve, json!({"version": 1}))] {
        let request = caller.request(Method::POST, path).bearer_auth(admin).json(&body);
        if !request.send().await.is_ok_and(|answer| answer.status().is_success()) {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn what_was_done_to_the_audit_log_is_found_from_the_command_line() {
    let postgres = tokio::task::spawn_blocking(Postgres::shared).await.expect("it starts");
    let url = postgres.new_database();
    let database = url.rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a name").to_owned();
    let data = tempfile::tempdir().expect("a directory");
    let mut env = base_env(data.path());
    env.insert("VX11_DATABASE_URL".to_owned(), url);
    env.insert("VX11_OPERATOR__AUDIT__HEADS_INTERVAL".to_owned(), "50ms".to_owned());
    let admin = vx11(&env, &["admin", "create"]);
    assert!(admin.status.success(), "{}", String::from_utf8_lossy(&admin.stderr));
    let admin = String::from_utf8(admin.stdout).expect("UTF-8").trim().to_owned();
    let mut running = Process::start("vx11", &env, &["up"]).expect("starts");
    let operator = running.addresses(&["operator"]).expect("it listens")["operator"].clone();
    let caller = Caller::new(format!("http://{operator}"), None);
    let post = async |path: &str, body: serde_json::Value| {
        let request = caller.request(Method::POST, path).bearer_auth(&admin).json(&body);
        request.send().await.expect("an answer").status().as_u16()
    };
    for id in ["r1", "r2", "r3"] {
        let asked = json!({"request_id": id, "title": "May it run?"});
        assert_eq!(post("/operator/api/interventions", asked).await, 201);
        assert_eq!(post(&format!("/operator/api/interventions/{id}/approve"), json!({"version": 1})).await, 200);
    }

    // While it runs: the key, and three decisions.
    wait_until("all is linked", async || all_linked(&env).filter(|said| said.starts_with("default\tintact\t4 rows\t")))
        .await;
    let exported = vx11(&env, &["audit", "export", "--org", "default"]);
    let exported = String::from_utf8(exported.stdout).expect("UTF-8");
    assert_eq!(exported.lines().count(), 4);
    assert!(
        exported.lines().all(|line| !line.contains(&admin)) && exported.contains(r#""actor":"vx11""#),
        "{exported}"
    );
    wait_until("the end is in the log", async || {
        running.log().iter().any(|line| line["audit.seq"] == 4 && line["audit.org"] == "default").then_some(())
    })
    .await;
    let log = data.path().join("kept.log");
    std::fs::write(&log, running.text()).expect("written");
    let log = log.to_str().expect("UTF-8");
    drop(running);

    let tamper = |sql: &str| postgres.execute(&database, &format!("SET search_path TO operator; {sql}"));
    tamper("ALTER TABLE audit_log DISABLE TRIGGER USER; ALTER TABLE audit_heads DISABLE TRIGGER USER");
    tamper("CREATE TABLE saved AS SELECT * FROM audit_log");
    for (sql, finding) in [
        ("UPDATE audit_log SET actor = 'nobody' WHERE seq = 2", "row 2 was changed"),
        ("DELETE FROM audit_log WHERE seq = 3", "row 3 is missing"),
        (
            "INSERT INTO audit_log (org_id, seq, at, actor, actor_kind, action, outcome, details, written_at, hash)
             SELECT org_id, 5, at, actor, actor_kind, action, outcome, details, written_at, hash FROM saved WHERE seq = 4",
            "row 5 was put in behind the end",
        ),
    ] {
        tamper(sql);
        let (is_intact, said) = verified(&env, &[]);
        assert!(!is_intact && said.contains(finding), "{sql}: {said}");
        tamper("DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM saved");
    }
    // Cut off at the end, where the data directory is in the intruder's hands too: the log that was kept tells.
    std::fs::remove_file(data.path().join("audit-heads.jsonl")).expect("it is there");
    tamper(
        "DELETE FROM audit_log WHERE seq = 4; UPDATE audit_heads SET (seq, hash) = (SELECT seq, hash FROM audit_log WHERE seq = 3)",
    );
    assert!(verified(&env, &[]).0, "a shorter log");
    let (is_intact, said) = verified(&env, &["--org", "default", "--heads", log]);
    assert!(!is_intact && said.contains("row 4 is missing"), "{said}");
}

/// Decisions that were answered when it is killed, while others are under way.
const DECIDED: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_decision_that_was_answered_is_missing_after_kill_9() {
    let postgres = tokio::task::spawn_blocking(Postgres::shared).await.expect("it starts");
    let data = tempfile::tempdir().expect("a directory");
    let mut env = base_env(data.path());
    env.insert("VX11_DATABASE_URL".to_owned(), postgres.new_database());
    let admin = vx11(&env, &["admin", "create"]);
    let admin = String::from_utf8(admin.stdout).expect("UTF-8").trim().to_owned();
    let mut running = Process::start("vx11", &env, &["up"]).expect("starts");
    let operator = running.addresses(&["operator"]).expect("it listens")["operator"].clone();
    let caller = Caller::new(format!("http://{operator}"), None);
    let (answered, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let deciding = tokio::spawn(async move {
        for number in 0.. {
            let id = format!("r{number}");
            if !decide(&caller, &admin, &id).await || answered.send(id).is_err() {
                return;
            }
        }
    });
    let mut acknowledged = Vec::new();
    while acknowledged.len() < DECIDED {
        acknowledged.push(hear.recv().await.expect("it decides"));
    }
    running.kill9().expect("it ran");
    deciding.await.expect("it ends");
    while let Some(id) = hear.recv().await {
        acknowledged.push(id);
    }
    // What was not linked is there all the same, and whoever starts next links it.
    let targets = || {
        let exported = vx11(&env, &["audit", "export", "--org", "default"]).stdout;
        let rows = String::from_utf8(exported).expect("UTF-8");
        let rows = rows.lines().map(|row| serde_json::from_str::<serde_json::Value>(row).expect("JSON"));
        let approved = rows.filter(|row| row["action"] == "intervention.approve");
        approved.map(|row| row["target_id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    let all_are_there = || {
        let written = targets();
        assert!(acknowledged.iter().all(|id| written.contains(id)), "{acknowledged:?} {written:?}");
    };
    all_are_there();
    let _running = Process::start("vx11", &env, &["up"]).expect("starts");
    wait_until("all is linked", async || all_linked(&env)).await;
    all_are_there();
}
