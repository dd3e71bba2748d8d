//! What a pilot is asked about a transition that is parked.

use serde_json::{Map, Value, json};
use vx11_contracts::intervention::{CreateIntervention, InterventionType, OnTimeout, TITLE_CHARS};
use vx11_contracts::unit::{Hold, Unit};

/// The request for a pilot's decision on what `unit` is parked for. It does not expire: the unit waits as long.
pub(crate) fn parking(unit: &Unit, hold: &Hold) -> CreateIntervention {
    let to = hold.transition.as_ref().map(|asked| asked.step.as_deref().unwrap_or(asked.to().as_str()));
    let title = format!("{}: {}", unit.title, to.unwrap_or_default());
    CreateIntervention {
        request_id: hold.request_id.clone(),
        uow_id: Some(unit.uow_id.clone()),
        intervention_type: InterventionType::RESUME.parse().unwrap_or_default(),
        description: format!("The rule `{}` wants a person to look at this: {}", hold.rule_id, hold.reason),
        context: context(unit, hold),
        expires_in_seconds: None,
        on_timeout: OnTimeout::Reject,
        ..CreateIntervention::new(title.chars().take(TITLE_CHARS).collect::<String>())
    }
}

fn context(unit: &Unit, hold: &Hold) -> Map<String, Value> {
    let facts = json!({
        "uow_id": unit.uow_id,
        "instance_id": unit.instance_id,
        "from": unit.step.as_deref(),
        "guard_rule_id": hold.rule_id,
        "scope": hold.scope,
        "guardian_type": hold.guardian_type,
        "transition": hold.transition,
    });
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}
