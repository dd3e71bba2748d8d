//! What madre says. The same understanding and the same facts give the same text, to the letter.

use vx11_contracts::chat::ChatStatus;
use vx11_contracts::madre::intervention_of;
use vx11_contracts::power::{PowerState, ServicePower};

use super::understanding::Understanding;
use crate::services::{CORE, PROTECTED};

/// What madre knows of itself, read before the answer is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// Mode, window, services; absent when the store does not answer.
    pub(crate) power: Option<PowerState>,
    /// Plans in the store by status; absent when it does not answer.
    pub(crate) plans: Option<Vec<(String, u64)>>,
    /// Why the store does not take writes, when it does not.
    pub(crate) store_trouble: Option<String>,
}

/// Whether the answer takes [`Facts`].
pub(crate) fn needs_facts(understood: &Understanding) -> bool {
    matches!(understood.intent.name.as_str(), "system_status" | "monitor" | "list_agents" | "get_metrics")
}

/// The answer to a message that runs at once.
pub(crate) fn answer(understood: &Understanding, facts: &Facts) -> String {
    match understood.intent.name.as_str() {
        "help" => HELP.to_owned(),
        "system_status" | "monitor" => status(facts),
        "list_agents" => services(facts),
        "get_metrics" => metrics(facts),
        "query" | "general" if !understood.mentioned.is_empty() => mentioned(understood),
        _ => without_knowledge(understood),
    }
}

/// The answer to a message that became a plan, and what to know before confirming it.
pub(crate) fn waiting(understood: &Understanding, plan_id: &str) -> (String, Vec<String>) {
    let Understanding { intent, risk, work, evidence, .. } = understood;
    let words = evidence.join(", ");
    let response = format!(
        "I understood {name} (risk {risk}, from: {words}). Nothing has been done. The plan waits for a confirmation: \
         approve the intervention {intervention}, or send its confirm_token to POST /madre/plans/{plan_id}/confirm.",
        intervention = intervention_of(plan_id),
        name = intent.name,
        risk = risk.as_str(),
    );
    let mut warnings = Vec::new();
    for command in &work.commands {
        let (action, service) = (command.action.as_str(), &command.service);
        warnings.push(if action != "start" && PROTECTED.contains(&service.as_str()) {
            format!("Confirming will not {action} {service}: the policy never lets power stop it.")
        } else {
            format!("Confirming will {action} the service {service}{}.", consequence(action, service))
        });
    }
    for verb in &work.manual {
        warnings.push(format!("Nothing automatic exists for \"{verb}\": confirming records it and changes nothing."));
    }
    (response, warnings)
}

fn consequence(action: &str, service: &str) -> &'static str {
    match (action, service) {
        ("start", _) => "",
        (_, "switch") => "; until it runs again chat is answered by madre alone, without any model",
        (_, "operator") => "; until it runs again the operator API, its chat included, does not answer",
        _ => "",
    }
}

const HELP: &str = "I am madre, VX11's orchestrator. I answer by fixed rules, without any model, so I work when nothing else does.\n\
    - Ask \"status\": the power mode, the services and my store. Ask \"metrics\": the plans I hold. Ask \"list agents\": the services.\n\
    - Ask me to start, stop or restart a service (switch, mock-provider, operator): I make a plan and wait for your confirmation.\n\
    - Whatever could do harm (restart, update, clean up; stop, delete, reset, migrate, restore and the like) waits for a \
    confirmation too; where I have nothing automatic for it, I say so.\n\
    - Anything else needs a model provider behind the switch.";

fn status(facts: &Facts) -> String {
    let power = match &facts.power {
        Some(power) => {
            let window = match &power.window {
                Some(window) => match &window.deadline {
                    Some(deadline) => format!("A power window is open until {deadline}."),
                    None => "A power window is open until it is closed.".to_owned(),
                },
                None => "No power window is open.".to_owned(),
            };
            let (mode, driver) = (power.mode.as_str(), &power.driver);
            format!("Power mode {mode}, driver {driver}. {window} Services: {}.", service_list(power))
        }
        None => "The power state cannot be read.".to_owned(),
    };
    let store = match (&facts.store_trouble, &facts.plans) {
        (Some(trouble), _) => format!("My store has trouble: {trouble}."),
        (None, Some(plans)) => {
            format!("My store works; plans waiting for a confirmation: {}.", count(plans, ChatStatus::Waiting))
        }
        (None, None) => "My store does not answer.".to_owned(),
    };
    format!("{power} {store}")
}

fn services(facts: &Facts) -> String {
    match &facts.power {
        Some(power) => format!(
            "These services can be acted on: {}. Agents of a swarm do not run here now: they need a model provider.",
            service_list(power)
        ),
        None => "I cannot tell which services run, because my store does not answer.".to_owned(),
    }
}

fn service_list(power: &PowerState) -> String {
    let one = |service: &ServicePower| {
        let off = if service.allowed { "" } else { ", off by policy" };
        let core = if CORE.contains(&service.name.as_str()) { ", core" } else { "" };
        format!("{} ({}{core}{off})", service.name, service.state)
    };
    power.services.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn metrics(facts: &Facts) -> String {
    let Some(plans) = &facts.plans else {
        return "I cannot count my plans, because my store does not answer. Request metrics are at /metrics of every service.".to_owned();
    };
    let counts = match plans.as_slice() {
        [] => "none".to_owned(),
        plans => plans.iter().map(|(status, rows)| format!("{rows} {status}")).collect::<Vec<_>>().join(", "),
    };
    format!(
        "Plans in my store: {counts}. Request counts and latencies are the operator's (GET /operator/api/metrics), and every \
         service's own are at its /metrics."
    )
}

fn count(plans: &[(String, u64)], status: ChatStatus) -> u64 {
    plans.iter().find(|(name, _)| name == status.as_str()).map_or(0, |(_, rows)| *rows)
}

/// For messages that speak of a risky action without asking for it.
fn mentioned(understood: &Understanding) -> String {
    let verbs = understood.mentioned.join(", ");
    let target = understood.intent.target.as_deref().unwrap_or("switch");
    format!(
        "You mention \"{verbs}\" without asking for it, so nothing was done and nothing waits. To have it done, say so plainly, \
         such as \"restart {target}\": I answer with a plan and its risk, and act only on your confirmation. Services can also be \
         planned for at /madre/power/service/{{name}}/{{start, stop, restart}}. For anything beyond that, no model provider is \
         reachable from here right now."
    )
}

/// For everything that would take knowledge or a hand that madre does not have.
fn without_knowledge(understood: &Understanding) -> String {
    let intent = &understood.intent;
    let from = match understood.evidence.as_slice() {
        [] => String::new(),
        words => format!(", from: {}", words.join(", ")),
    };
    let meanwhile = match intent.name.as_str() {
        "query" | "general" | "code_generation" | "data_analysis" | "analyze" | "swarm_coordination" => {
            "Ask again when a provider is back."
        }
        _ => "I have nothing automatic for it: a person has to do it.",
    };
    format!(
        "No model provider is reachable right now, and my own rules do not cover this, so I will not pretend to know. I \
         understood: {name} ({confidence:.2}{from}). {meanwhile} Meanwhile I can report the status, list services, start, stop or \
         restart a service with your confirmation, and keep plans; say \"help\" for more.",
        name = intent.name,
        confidence = intent.confidence,
    )
}
