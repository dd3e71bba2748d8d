//! A plan as the intervention that people decide.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vx11_contracts::chat::ChatStatus;
use vx11_contracts::intervention::{
    CreateAction, CreateIntervention, DESCRIPTION_CHARS, DecisionKind, InterventionType, OnTimeout, Priority,
    REASON_CHARS, Role, TITLE_CHARS,
};
use vx11_contracts::madre::{Plan, Risk, intervention_of};
use vx11_contracts::unit::{RegisterUnit, Transition, UnitStatus};

use crate::engine::Work;
use crate::store::StoredPlan;

/// The instance that madre's units of work are of: a kill switch stops what runs of them.
const INSTANCE: &str = "madre";
/// What a plan's unit does when the plan runs.
const RUN: &str = "run";
/// How much sooner than its plan an intervention ends, so that what is approved in its last second can still run.
const MARGIN_SECONDS: i64 = 5;

/// What a person is asked about `stored`.
pub(super) fn request(stored: &StoredPlan, now: Timestamp) -> CreateIntervention {
    let StoredPlan { plan, work, expires_at, .. } = stored;
    let (priority, required_role) = match plan.risk {
        Risk::High => (Priority::High, Role::Admin),
        Risk::Medium | Risk::Low => (Priority::Normal, Role::Operator),
    };
    CreateIntervention {
        request_id: Some(intervention_of(&plan.plan_id)),
        uow_id: Some(plan.plan_id.clone()),
        intervention_type: InterventionType::PLAN.parse().unwrap_or_default(),
        priority,
        description: first(&plan.actions.join("\n"), DESCRIPTION_CHARS),
        context: context(plan),
        expires_in_seconds: Some(seconds_left(expires_at, now)),
        action: Some(CreateAction { name: plan.intent.name.clone(), args: arguments(work) }),
        allow: vec![DecisionKind::Approve, DecisionKind::Reject],
        required_role,
        on_timeout: OnTimeout::Reject,
        ..CreateIntervention::new(title(plan))
    }
}

/// The plan as a unit of work, which waits until the plan runs.
pub(super) fn unit(plan: &Plan) -> RegisterUnit {
    let mut data = context(plan);
    data.insert("intervention_id".to_owned(), intervention_of(&plan.plan_id).into());
    RegisterUnit {
        uow_id: Some(plan.plan_id.clone()),
        instance_id: INSTANCE.to_owned(),
        title: title(plan),
        data,
        rules: Vec::new(),
    }
}

/// The plan is about to run.
pub(super) fn begin(because: Option<&str>) -> Transition {
    let reason = because.map(|because| first(because, REASON_CHARS));
    Transition { step: Some(RUN.to_owned()), reason, ..Transition::default() }
}

/// The plan has ended.
pub(super) fn end(plan: &Plan) -> Transition {
    let status = if plan.status == ChatStatus::Done { UnitStatus::Completed } else { UnitStatus::Failed };
    let reason = plan.result.as_deref().map(|result| first(result, REASON_CHARS));
    Transition { status: Some(status), reason, ..Transition::default() }
}

/// The plan is done, and its unit was held: it ran by its token, or before it could be stopped.
pub(super) fn outran(plan: &Plan) -> Transition {
    let reason = format!("it ran all the same: {}", plan.result.as_deref().unwrap_or_default());
    Transition { status: Some(UnitStatus::Failed), reason: Some(first(&reason, REASON_CHARS)), ..Transition::default() }
}

fn title(plan: &Plan) -> String {
    let target = plan.intent.target.as_deref().map(|target| format!(" {target}")).unwrap_or_default();
    first(&format!("{}{target}", plan.intent.name), TITLE_CHARS)
}

fn context(plan: &Plan) -> Map<String, Value> {
    let facts = json!({
        "plan_id": plan.plan_id,
        "session_id": plan.session_id,
        "correlation_id": plan.correlation_id,
        "risk": plan.risk,
        "intent": plan.intent,
    });
    into_object(facts)
}

/// All that the plan would do, so that the digest of what is approved is the digest of what runs.
fn arguments(work: &Work) -> Map<String, Value> {
    into_object(json!({ "commands": work.commands, "manual": work.manual }))
}

fn into_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn seconds_left(expires_at: &str, now: Timestamp) -> i64 {
    let left = expires_at.parse::<Timestamp>().map_or(0, |at| at.as_second() - now.as_second());
    (left - MARGIN_SECONDS.min(left / 4)).max(1)
}

fn first(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intervention_ends_before_its_plan_does_and_never_at_once() {
        let now: Timestamp = "2026-11-21T04:00:00Z".parse().expect("a time");
        let seconds = |expires_at| seconds_left(expires_at, now);
        assert_eq!(seconds("2026-11-21T04:15:00.000Z"), 895);
        assert_eq!(seconds("2026-11-21T04:00:08.000Z"), 6);
        assert_eq!([seconds("2026-11-21T04:00:00.001Z"), seconds("2026-11-20T04:00:00.000Z")], [1, 1]);
    }
}
