//! Intents that ask for no risky action, scored by their words.
//!
//! Each word that matches adds its weight once; the highest sum wins, the order of the table decides a tie. The
//! confidence follows from the sum, and sinks when a second intent is as near.

use super::form::Form::{self, Ar, En, Er, Is};
use super::text::Clause;

struct Keywords {
    intent: &'static str,
    /// The word as explanations name it, its weight (3: it alone is enough), its forms.
    words: &'static [(&'static str, u32, &'static [Form])],
}

const TABLE: &[Keywords] = &[
    Keywords {
        intent: "help",
        words: &[
            ("help", 3, &[En("help"), Is("ayuda"), Ar("ayud")]),
            ("commands", 2, &[Is("commands"), Is("comandos")]),
            ("capabilities", 3, &[Is("capabilities"), Is("capacidades")]),
        ],
    },
    Keywords {
        intent: "system_status",
        words: &[
            ("status", 3, &[Is("status"), Is("estado"), Is("estatus")]),
            ("health", 3, &[Is("health"), Is("healthy"), Is("salud")]),
            ("alive", 2, &[Is("alive"), Is("vivo")]),
            ("system", 1, &[Is("system"), Is("sistema"), Is("vx11"), Is("services"), Is("servicios")]),
            ("running", 1, &[Is("running"), Is("funcionando"), Is("corriendo")]),
        ],
    },
    Keywords {
        intent: "get_metrics",
        words: &[
            ("metrics", 3, &[En("metric"), Is("metrica"), Is("metricas")]),
            ("latency", 2, &[Is("latency"), Is("latencia"), Is("latencies")]),
            ("throughput", 2, &[Is("throughput"), Is("rps"), Is("rendimiento")]),
        ],
    },
    Keywords {
        intent: "list_agents",
        words: &[
            ("agents", 3, &[Is("agent"), Is("agents"), Is("agente"), Is("agentes")]),
            ("list", 1, &[En("list"), Is("lista"), Is("listar")]),
        ],
    },
    Keywords {
        intent: "swarm_coordination",
        words: &[
            ("swarm", 3, &[En("swarm"), Is("enjambre"), Is("enjambres")]),
            ("debate", 2, &[En("debat"), Er("debat")]),
        ],
    },
    Keywords {
        intent: "monitor",
        words: &[
            ("monitor", 3, &[En("monitor"), Ar("monitore"), Ar("monitoriz")]),
            ("watch", 2, &[En("watch"), Ar("vigil"), Ar("observ")]),
        ],
    },
    Keywords {
        intent: "deploy",
        words: &[
            (
                "deploy",
                3,
                &[En("deploy"), Is("deployment"), Is("deployments"), Ar("despleg"), Ar("desplieg"), Is("despliegue")],
            ),
            ("release", 2, &[En("releas"), Is("rollout"), Ar("lanz")]),
        ],
    },
    Keywords {
        intent: "scale",
        words: &[
            ("scale", 3, &[En("scal"), Ar("escal")]),
            ("replicas", 3, &[Is("replica"), Is("replicas"), Is("autoscaling")]),
        ],
    },
    Keywords {
        intent: "configure",
        words: &[
            ("configure", 3, &[En("configur"), Ar("configur"), Is("config")]),
            ("settings", 2, &[En("setting"), Is("setup"), Is("ajustes"), Ar("ajust")]),
        ],
    },
    Keywords {
        intent: "secure",
        words: &[
            ("secure", 3, &[En("secur"), Is("security"), Is("seguridad"), Ar("asegur"), En("harden")]),
            (
                "vulnerability",
                3,
                &[Is("vulnerability"), Is("vulnerabilities"), Is("vulnerabilidad"), Is("vulnerabilidades")],
            ),
            ("protect", 2, &[En("protect"), Er("proteg"), Er("protej"), En("encrypt"), Ar("cifr")]),
        ],
    },
    Keywords {
        intent: "optimize",
        words: &[
            ("optimize", 3, &[En("optimiz"), En("optimis"), Ar("optimiz"), Ar("optimic"), Is("optimization")]),
            ("faster", 2, &[Is("faster"), Is("slow"), Is("lento"), Is("rapido"), En("tun"), Is("performance")]),
        ],
    },
    Keywords {
        intent: "debug",
        words: &[
            ("debug", 3, &[En("debug"), En("debugg"), En("troubleshoot"), Ar("depur"), En("diagnos")]),
            (
                "error",
                2,
                &[
                    En("error"),
                    Is("errores"),
                    En("bug"),
                    En("exception"),
                    Is("traceback"),
                    Is("panic"),
                    Is("excepcion"),
                ],
            ),
            ("failing", 2, &[En("fail"), En("crash"), Is("broken"), Ar("fall"), Is("roto"), Is("failure")]),
            ("fix", 2, &[En("fix"), Ar("arregl")]),
        ],
    },
    Keywords {
        intent: "data_analysis",
        words: &[
            ("dataset", 3, &[En("dataset"), Is("csv"), Is("dataframe"), Is("spreadsheet")]),
            ("data", 2, &[Is("data"), Is("datos")]),
            (
                "statistics",
                2,
                &[En("statistic"), Is("estadisticas"), Is("correlation"), Is("regression"), Is("correlacion")],
            ),
            ("analyze", 1, &[En("analyz"), En("analys"), Is("analysis"), Is("analisis"), Ar("analiz"), Ar("analic")]),
        ],
    },
    Keywords {
        intent: "analyze",
        words: &[
            ("analyze", 3, &[En("analyz"), En("analys"), Is("analysis"), Is("analisis"), Ar("analiz"), Ar("analic")]),
            ("compare", 2, &[En("compar"), Ar("compar"), En("evaluat"), En("review"), Ar("revis")]),
        ],
    },
    Keywords {
        intent: "code_generation",
        words: &[
            (
                "write",
                1,
                &[
                    Is("write"),
                    Is("implement"),
                    Is("generate"),
                    Is("create"),
                    Is("refactor"),
                    Is("escribe"),
                    Is("genera"),
                    Is("crea"),
                ],
            ),
            ("code", 3, &[Is("code"), Is("codigo"), En("program"), Is("programa"), Is("programar")]),
            (
                "function",
                3,
                &[
                    En("function"),
                    Is("funcion"),
                    Is("funciones"),
                    En("script"),
                    En("snippet"),
                    Is("regex"),
                    Is("algorithm"),
                ],
            ),
            (
                "language",
                2,
                &[Is("python"), Is("rust"), Is("javascript"), Is("typescript"), Is("sql"), Is("java"), Is("golang")],
            ),
        ],
    },
];

/// Turns of phrase whose words alone say nothing.
const PHRASES: &[(&[&str], &str)] = &[
    (&["what", "can", "you", "do"], "help"),
    (&["who", "are", "you"], "help"),
    (&["what", "are", "you"], "help"),
    (&["que", "puedes", "hacer"], "help"),
    (&["quien", "eres"], "help"),
];

/// The intent's name, how sure it is, and the words that decided.
pub(super) fn score(clauses: &[Clause], is_question: bool) -> (&'static str, f64, Vec<&'static str>) {
    if let Some(intent) = phrase(clauses) {
        return (intent, 0.9, vec![intent]);
    }
    let mut best: Option<(&Keywords, u32, Vec<&'static str>)> = None;
    let mut runner_up = 0;
    for keywords in TABLE {
        let matched = || keywords.words.iter().filter(|(_, _, forms)| occurs(forms, clauses));
        let sum: u32 = matched().map(|(_, weight, _)| weight).sum();
        let before = best.as_ref().map_or(0, |(_, best, _)| *best);
        if sum > before {
            runner_up = before;
            best = Some((keywords, sum, matched().map(|(name, _, _)| *name).collect()));
        } else {
            runner_up = runner_up.max(sum);
        }
    }
    match best {
        Some((keywords, sum, evidence)) if sum >= 2 => (keywords.intent, confidence(sum, runner_up), evidence),
        _ if is_question => ("query", 0.6, Vec::new()),
        _ => ("general", 0.3, Vec::new()),
    }
}

fn phrase(clauses: &[Clause]) -> Option<&'static str> {
    let says = |clause: &Clause, phrase: &[&str]| {
        clause.words.windows(phrase.len()).any(|words| words.iter().zip(phrase).all(|(word, said)| word.text == *said))
    };
    PHRASES.iter().find(|(phrase, _)| clauses.iter().any(|clause| says(clause, phrase))).map(|(_, intent)| *intent)
}

fn occurs(forms: &[Form], clauses: &[Clause]) -> bool {
    let mut words = clauses.iter().flat_map(|clause| &clause.words);
    words.any(|word| forms.iter().any(|form| form.matches(&word.text)))
}

/// 0.7 for a hint, 0.85 for a word that is enough, up to 0.97 for several; less when another intent is as near.
fn confidence(sum: u32, runner_up: u32) -> f64 {
    let percent = match sum {
        0..=2 => 70,
        3 => 85,
        4 => 90,
        5 => 94,
        _ => 97,
    };
    f64::from(if runner_up >= sum { percent - 15 } else { percent }) / 100.0
}
