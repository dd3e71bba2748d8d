//! What the trail, and the event stream that is its tail, say of interventions and of units of work.
//!
//! The trail is the platform's: it has neither the context of a request nor the arguments of an action, which stay in
//! the tenant's own rows. Of another organisation's request it has no word that anybody there wrote, because whoever
//! reads the platform's trail is not one of them: that it is there, how urgent, and where it stands.

use serde_json::{Value, json};
use vx11_contracts::event::Action;
use vx11_contracts::identity::{OrgId, Principal};
use vx11_contracts::intervention::{Intervention, Push};
use vx11_identity::Sha256;
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

/// What the platform's people call a request: its id, or a name that says nothing to others than its own people.
fn name_of(org: &str, id: &str) -> String {
    if org == OrgId::PLATFORM {
        return id.to_owned();
    }
    let mut name = Sha256::of_parts([org.as_bytes(), b"/", id.as_bytes()]).to_string();
    name.truncate(32);
    format!("sha256:{name}")
}

/// The row of what `principal` tried from `origin`: a sort of thing, what with it, and the id of which.
pub(crate) fn tried(
    principal: &Principal,
    origin: &Origin,
    (sort, what, target): (&str, &str, Option<&str>),
    status: &str,
) -> Action {
    Action {
        target: target.map(|target| name_of(principal.org.as_str(), target)),
        notes: Some(by(principal)),
        ..action(origin.correlation_id.clone().unwrap_or_default(), what, sort, status)
    }
}

/// Leaves a row for each thing that happened to a unit, without waiting for it.
pub(super) fn leave_unit(writer: &Writer<Record>, Moved { unit, events }: &Moved) {
    let name = name_of(&unit.org_id, &unit.uow_id);
    for event in events {
        let id = unit.correlation_id.as_ref().unwrap_or(&name);
        let mut row = action(id.as_str(), UNIT_STATUS_CHANGED, UNIT, event.new_status.as_str());
        let mut notes = json!({
            "org_id": unit.org_id,
            "uow_id": name,
            "action": event.action,
            "old_status": event.old_status,
            "new_status": event.new_status,
            "version": event.version,
        });
        if unit.org_id == OrgId::PLATFORM {
            notes["instance_id"] = json!(unit.instance_id);
            notes["step"] = json!(event.step);
            notes["rule_id"] = json!(event.rule_id);
            notes["by"] = json!(event.by);
        }
        row.target = Some(name.clone());
        row.notes = Some(notes.to_string());
        if let Err(error) = writer.try_enqueue(Record::Action(row)) {
            tracing::warn!(%error, "the event stream misses a change of a unit");
        }
    }
}

fn row(push: &Push, request: &Intervention) -> Action {
    let request_id = name_of(&request.org_id, &request.request_id);
    let status = match push {
        Push::StatusChanged { new_status, .. } => *new_status,
        _ => request.status,
    };
    let name = format!("{INTERVENTION}_{}", push.kind());
    let correlation_id = request.correlation_id.as_ref().unwrap_or(&request_id);
    let mut row = action(correlation_id.as_str(), &name, INTERVENTION, status.as_str());
    let notes = if request.org_id == OrgId::PLATFORM { notes(push, request) } else { bare(push, request, &request_id) };
    row.notes = Some(notes.to_string());
    row.target = Some(request_id);
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

/// The same of another organisation's request, without a word of theirs.
fn bare(push: &Push, request: &Intervention, request_id: &str) -> Value {
    match push {
        Push::StatusChanged { old_status, new_status, version, .. } => json!({
            "org_id": request.org_id,
            "request_id": request_id,
            "old_status": old_status,
            "new_status": new_status,
            "version": version,
        }),
        _ => json!({
            "org_id": request.org_id,
            "request_id": request_id,
            "intervention_type": request.intervention_type.is_well_known().then_some(&request.intervention_type),
            "status": request.status,
            "priority": request.priority,
            "required_role": request.required_role,
            "created_at": request.created_at,
            "expires_at": request.expires_at,
            "decision": request.decision.as_ref().map(|decision| json!({ "kind": decision.kind })),
            "version": request.version,
        }),
    }
}

#[cfg(test)]
mod tests {
    use vx11_contracts::intervention::{AnswerFormat, CreateAction, CreateIntervention, Status};

    use super::*;
    use crate::domain::intervention::{Asked, Transition, open};

    /// Every word in it begins with `their`.
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
    fn of_another_organisation_it_says_that_there_is_a_request_and_where_it_stands() {
        let rows = rows("acme");
        assert_eq!(rows.len(), 3);
        for row in &rows {
            assert!(!format!("{row:?}").contains("their"), "{row:?}");
            assert_eq!(row.target, rows[0].target, "its rows belong together");
            let notes: Value = serde_json::from_str(row.notes.as_deref().expect("notes")).expect("JSON");
            assert_eq!((&notes["org_id"], notes["request_id"].as_str()), (&json!("acme"), row.target.as_deref()));
        }
        assert_ne!(rows[0].target, self::rows("globex")[0].target);
    }

    #[test]
    fn of_the_platforms_own_it_says_what_is_asked() {
        let rows = rows(OrgId::PLATFORM);
        assert_eq!(rows[0].target.as_deref(), Some("their-request"));
        let notes: Value = serde_json::from_str(rows[0].notes.as_deref().expect("notes")).expect("JSON");
        assert_eq!((&notes["title"], &notes["action"]), (&json!("their title"), &json!("their_tool")));
    }
}
