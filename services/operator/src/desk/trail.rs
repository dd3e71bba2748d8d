//! What the trail, and the event stream that is its tail, say of interventions.
//!
//! The trail is the platform's: it has neither the context of a request nor the arguments of an action, which stay in
//! the tenant's own rows. Who may read these looks there, by the id.

use serde_json::{Value, json};
use vx11_contracts::event::Action;
use vx11_contracts::intervention::{Intervention, Push};
use vx11_store::Writer;

use crate::domain::event::INTERVENTION;
use crate::hub::News;
use crate::store::{Record, action};

/// Leaves a row for each thing that happened, without waiting for it: it is committed already, where it counts.
pub(super) fn leave(writer: &Writer<Record>, news: &News) {
    for push in news.pushes() {
        if let Err(error) = writer.try_enqueue(Record::Action(row(&push, &news.request))) {
            tracing::warn!(%error, "the event stream misses a change of an intervention");
        }
    }
}

fn row(push: &Push, request: &Intervention) -> Action {
    let id = request.correlation_id.as_ref().unwrap_or(&request.request_id);
    let status = match push {
        Push::StatusChanged { new_status, .. } => *new_status,
        _ => request.status,
    };
    let name = format!("{INTERVENTION}_{}", push.kind());
    let mut row = action(id.as_str(), &name, INTERVENTION, status.as_str());
    row.target = Some(request.request_id.clone());
    row.notes = Some(notes(push, request).to_string());
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
