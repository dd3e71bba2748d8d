//! Units, rules and times for the tests.

use jiff::Timestamp;
use serde_json::{Value, json};
use vx11_contracts::intervention::Role;
use vx11_contracts::unit::{GuardRule, RegisterUnit, Transition, Unit};

use super::{Registered, register};
use crate::domain::intervention::Actor;

/// Seconds after midnight of 2026-11-21.
pub(super) fn at(seconds: i64) -> Timestamp {
    let midnight: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
    Timestamp::from_second(midnight.as_second() + seconds).expect("in range")
}

/// A unit of the agent's that was registered at 0. It parks what goes to `deploy`, and refuses what goes to `drop`.
pub(super) fn unit() -> Unit {
    let asked: RegisterUnit = serde_json::from_value(json!({
        "instance_id": "i-1",
        "title": "Ship it",
        "rules": [rule("look", "deploy", "park"), rule("never", "drop", "deny")],
    }))
    .expect("a unit");
    asked.validate().expect("valid");
    let who = Registered {
        org_id: "org-1".to_owned(),
        by: "agent".to_owned(),
        uow_id: "u-1".to_owned(),
        correlation_id: None,
    };
    register(asked, who, at(0)).0
}

/// A rule against a step.
pub(super) fn rule(id: &str, step: &str, otherwise: &str) -> Value {
    let guardian = json!({"type": "DIRECTIONAL_FILTER", "deny": [{"from": "*", "to": step}]});
    json!({"rule_id": id, "guardian": guardian, "otherwise": otherwise})
}

pub(super) fn rules(rules: &[Value]) -> Vec<GuardRule> {
    rules.iter().map(|rule| serde_json::from_value(rule.clone()).expect("a rule")).collect()
}

pub(super) fn to(step: &str) -> Transition {
    Transition { step: Some(step.to_owned()), ..Transition::default() }
}

pub(super) fn agent() -> Actor {
    Actor::new("agent", Role::Operator)
}
