//! A message understood: intent, risk, and the plan.

use serde::{Deserialize, Serialize};
use vx11_contracts::madre::{Intent, Risk};

use super::clause::{self, Asked, Reading};
use super::intents;
use super::text;
use super::verbs::Verb;
use crate::services::{PROTECTED, ServiceAction};

/// One thing the power driver can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) action: ServiceAction,
    pub(crate) service: String,
}

/// What a plan does when it is confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Done through the power driver, in order.
    pub(crate) commands: Vec<Command>,
    /// What was asked for and nothing automatic exists for.
    pub(crate) manual: Vec<String>,
}

/// What madre makes of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Understanding {
    /// On the wire as it is.
    pub(crate) intent: Intent,
    pub(crate) risk: Risk,
    pub(crate) work: Work,
    /// The plan's steps, in words.
    pub(crate) steps: Vec<String>,
    /// The words that decided, for the explanation.
    pub(crate) evidence: Vec<&'static str>,
    /// Risky words that ask for nothing here: asked about, negated, or part of code that is asked for.
    pub(crate) mentioned: Vec<&'static str>,
}

/// Understands a message.
pub(crate) fn understand(message: &str) -> Understanding {
    let clauses = text::clauses(message);
    let readings: Vec<Reading> = clauses.iter().map(clause::read).collect();
    let asked: Vec<Asked> = readings.iter().flat_map(|reading| reading.asked.iter().copied()).collect();
    let target = target_of(&readings);
    let mentioned = names(readings.iter().flat_map(|reading| reading.mentioned.iter().copied()));
    let risk = readings.iter().map(risk_of).max().unwrap_or(Risk::Low);

    let Some(leading) = leading(&asked) else {
        let is_question = readings.iter().any(|reading| reading.is_question);
        let (name, confidence, evidence) = intents::score(&clauses, is_question);
        let intent = Intent { name: name.to_owned(), confidence, target };
        let steps = steps_without_risk(name);
        return Understanding { intent, risk, work: Work::default(), steps, evidence, mentioned };
    };
    let manual = names(asked.iter().filter(|asked| !asked.is_automatic).map(|asked| asked.verb));
    let work = Work {
        commands: once_each(readings.into_iter().flat_map(|reading| reading.commands)),
        manual: manual.into_iter().map(str::to_owned).collect(),
    };
    let confidence = if work.manual.is_empty() { 0.95 } else { 0.85 };
    let intent = Intent { name: leading.intent.to_owned(), confidence, target };
    let steps = steps_of(&work, intent.target.as_deref());
    Understanding { intent, risk, work, steps, evidence: names(asked.iter().map(|asked| asked.verb)), mentioned }
}

/// The first verb of the highest risk.
fn leading(asked: &[Asked]) -> Option<&'static Verb> {
    let highest = asked.iter().map(|asked| asked.verb.risk).max()?;
    asked.iter().map(|asked| asked.verb).find(|verb| verb.risk == highest)
}

fn risk_of(reading: &Reading) -> Risk {
    let highest = reading.asked.iter().map(|asked| asked.verb.risk).max().unwrap_or(Risk::Low);
    let interrupts = reading.asked.iter().any(|asked| asked.verb.interrupts);
    let is_vital = reading.names_everything || reading.services.iter().any(|service| PROTECTED.contains(service));
    if interrupts && is_vital { Risk::High } else { highest }
}

/// What an action works on, or else what the message speaks of.
fn target_of(readings: &[Reading]) -> Option<String> {
    let acted_on = readings.iter().flat_map(|reading| &reading.commands).map(|command| command.service.as_str()).next();
    let named = || readings.iter().flat_map(|reading| reading.services.iter().copied()).next();
    acted_on.or_else(named).map(str::to_owned)
}

fn names(verbs: impl IntoIterator<Item = &'static Verb>) -> Vec<&'static str> {
    once_each(verbs.into_iter().map(|verb| verb.name))
}

/// Also what bounds a plan: there are few different things to do.
fn once_each<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

fn steps_of(work: &Work, target: Option<&str>) -> Vec<String> {
    let mut steps = vec!["Wait for a person to confirm.".to_owned()];
    for Command { action, service } in &work.commands {
        steps.push(match action {
            ServiceAction::Start => format!("Start the service {service}."),
            ServiceAction::Stop => format!("Stop the service {service}."),
            ServiceAction::Restart => format!("Stop the service {service}, then start it again."),
        });
    }
    for verb in &work.manual {
        let on = target.map(|target| format!(" (about {target})")).unwrap_or_default();
        steps.push(format!("Leave \"{verb}\"{on} to a person: nothing automatic exists for it."));
    }
    steps.push("Record the outcome.".to_owned());
    steps
}

fn steps_without_risk(intent: &str) -> Vec<String> {
    let steps: &[&str] = match intent {
        "system_status" | "monitor" | "list_agents" => {
            &["Read the power state.", "Read the state of madre's store.", "Answer."]
        }
        "get_metrics" => &["Count the plans in madre's store.", "Answer."],
        "help" => &["Answer with what madre can do."],
        _ => &["Look for a rule that answers it.", "Say what was understood and what can be done meanwhile."],
    };
    steps.iter().map(|step| (*step).to_owned()).collect()
}

#[cfg(test)]
mod tests;
