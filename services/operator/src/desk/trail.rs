//! What the trail, and the event stream that is its tail, say of interventions and of units of work: to their own
//! organisation. They have neither the context of a request nor the arguments of an action.

use serde_json::{Value, json};
use vx11_contracts::event::Action;
use vx11_contracts::identity::{OrgId, Principal};
use vx11_contracts::intervention::{Intervention, Push};
use vx11_store::Writer;

use crate::control::Moved;
use crate::domain::audit::Origin;
use crate::domain::event::{INTERVENTION, UNIT, UNIT_STATUS_CHANGED};
use crate::hub::News;
use crate::store::{Record, action};
use crate::verifier::by;

/// Leaves a row for each thing that happened, without waiting for it: it is committed already, where it counts.
pub(super) fn leave(writer: &Writer<Record>, news: &News) {
    for push in news.pushes() {
        if let Err(error) = writer.try_enqueue(Record::Action(row(&push, &news.request))) {
            tracing::warn!(%error, "the event stream misses a change of an intervention");
        }
    }
}

/// The row of what `principal` tried from `origin`: a sort of thing, what with it, and the id of which.
pub(crate) fn tried(
    principal: &Principal,
    origin: &Origin,
    (sort, what, target): (&str, &str, Option<&str>),
    status: &str,
) -> Action {
    Action {
        org_id: principal.org.clone(),
        target: target.map(str::to_owned),
        notes: Some(by(principal)),
        ..action(origin.correlation_id.clone().unwrap_or_default(), what, sort, status)
    }
}

/// Leaves a row for each thing that happened to a unit, without waiting for it.
pub(super) fn leave_unit(writer: &Writer<Record>, Moved { unit, events }: &Moved) {
    for event in events {
        let id = unit.correlation_id.as_ref().unwrap_or(&unit.uow_id);
        let mut row = action(id.as_str(), UNIT_STATUS_CHANGED, UNIT, event.new_status.as_str());
        let notes = json!({
            "org_id": unit.org_id,
            "uow_id": unit.uow_id,
            "action": event.action,
            "old_status": event.old_status,
            "new_status": event.new_status,
            "version": event.version,
            "instance_id": unit.instance_id,
            "step": event.step,
            "rule_id": event.rule_id,
            "by": event.by,
        });
        row.org_id = owner(&unit.org_id);
        row.target = Some(unit.uow_id.clone());
        row.notes = Some(notes.to_string());
        if let Err(error) = writer.try_enqueue(Record::Action(row)) {
            tracing::warn!(%error, "the event stream misses a change of a unit");
        }
    }
}

/// Whose row it is. What no organisation can be called is shown to the platform alone.
pub(super) fn owner(org_id: &str) -> OrgId {
    org_id.parse().unwrap_or_default()
}

fn row(push: &Push, request: &Intervention) -> Action {
    let status = match push {
        Push::StatusChanged { new_status, .. } => *new_status,
        _ => request.status,
    };
    let name = format!("{INTERVENTION}_{}", push.kind());
    let correlation_id = request.correlation_id.as_ref().unwrap_or(&request.request_id);
    let mut row = action(correlation_id.as_str(), &name, INTERVENTION, status.as_str());
    row.org_id = owner(&request.org_id);
    row.notes = Some(notes(push, request).to_string());
    row.target = Some(request.request_id.clone());
    row
}

fn notes(push: &Push, request: &Intervention) -> Value {
    match push {
        Push::StatusChanged { old_status, new_status, updated_by, version, .. } => json!({
            "org_id": request.org_id,
            "request_id": request.request_id,
            "old_status": old_status,
            "new_status": new_status,
            "updated_by": updated_by,
            "version": version,
        }),
        _ => json!({
            "org_id": request.org_id,
            "request_id": request.request_id,
            "uow_id": request.uow_id,
            "intervention_type": request.intervention_type,
            "status": request.status,
            "priority": request.priority,
            "title": request.title,
            "action": request.action.as_ref().map(|action| &action.name),
            "args_digest": request.action.as_ref().map(|action| &action.args_digest),
            "required_role": request.required_role,
            "created_by": request.created_by,
            "created_at": request.created_at,
            "expires_at": request.expires_at,
            "assigned_to": request.assigned_to,
            "decision": request.decision.as_ref().map(|decision| json!({ "kind": decision.kind, "by": decision.by })),
            "version": request.version,
        }),
    }
}

#[cfg(test)]
mod tests {
    use vx11_contracts::intervention::{AnswerFormat, CreateAction, CreateIntervention, Status};

    use super::*;
    use crate::domain::intervention::{Asked, Transition, open};

    fn news(org: &str) -> [News; 2] {
        let asked = Asked {
            org_id: org.to_owned(),
            by: "their-agent".to_owned(),
            request_id: "their-request".to_owned(),
            correlation_id: None,
            format: AnswerFormat::Vx11,
        };
        let mut create = CreateIntervention::new("their title");
        create.intervention_type = "their_type".parse().expect("a type");
        create.uow_id = Some("their-unit".to_owned());
        create.assigned_to = Some("their-pilot".to_owned());
        create.action = Some(CreateAction { name: "their_tool".to_owned(), args: serde_json::Map::new() });
        let request = open(create, asked, jiff::Timestamp::UNIX_EPOCH);
        let step = Transition {
            from: Status::Pending,
            to: Status::Rejected,
            by: "their-pilot".to_owned(),
            at: "1970-01-01T00:00:01Z".to_owned(),
            version: 2,
        };
        let rejected = Intervention { status: Status::Rejected, version: 2, ..request.clone() };
        [News { request, transitions: vec![] }, News { request: rejected, transitions: vec![step] }]
    }

    fn rows(org: &str) -> Vec<Action> {
        news(org).iter().flat_map(|news| news.pushes().into_iter().map(|push| row(&push, &news.request))).collect()
    }

    #[test]
    fn whatever_is_told_of_a_request_is_told_to_its_own_organisation() {
        for org in ["acme", OrgId::PLATFORM] {
            let rows = rows(org);
            assert_eq!(rows.len(), 3);
            assert!(rows.iter().all(|row| row.org_id.as_str() == org), "{rows:?}");
            assert_eq!(rows[0].target.as_deref(), Some("their-request"));
            let notes: Value = serde_json::from_str(rows[0].notes.as_deref().expect("notes")).expect("JSON");
            assert_eq!((&notes["title"], &notes["action"]), (&json!("their title"), &json!("their_tool")));
            assert_eq!(notes["org_id"], json!(org));
        }
    }
}
