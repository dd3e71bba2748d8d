//! What a client asks for and does, each as the route over HTTP would, with the permission that it would need.

use bytestring::ByteString;
use jiff::Timestamp;
use serde_json::{Value, json};
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_contracts::audit::AuditOutcome;
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::{Command, DecisionBody, Intervention, ListInterventions, PilotAction};
use vx11_contracts::time;

use super::frames::done;
use crate::desk::tried;
use crate::domain::audit::{Entry, Origin};
use crate::domain::event::INTERVENTION;
use crate::domain::intervention::{Actor, Command as Act};
use crate::routes::interventions::refused;
use crate::routes::{page_size, store_error};
use crate::state::State;

/// The reply to `command`.
///
/// # Errors
/// Why it is not carried out.
pub(super) async fn answer(
    state: &State,
    caller: &Caller,
    origin: &Origin,
    id: Option<Value>,
    command: Command,
) -> Result<ByteString, ApiError> {
    match command {
        Command::Ping {} => done("pong", id, json!({ "timestamp": time::now() })),
        Command::Action { request_id, action, reason, version, args_digest } => {
            let decision = Decide { action, reason, version, args_digest };
            done("action", id, decide(state, caller, origin, &request_id, decision).await?)
        }
        read => {
            let interventions = state.desk.interventions(caller.require(Permission::ReadInterventions)?);
            let now = Timestamp::now();
            match read {
                Command::GetPending { limit } => {
                    let query = ListInterventions { limit: Some(page_size(limit)?), ..ListInterventions::default() };
                    done("get_pending", id, interventions.list(query, None, now).await.map_err(store_error)?)
                }
                Command::GetHistory { limit } => {
                    let entries = interventions.history(None, page_size(limit)?).await.map_err(store_error)?;
                    done("get_history", id, json!({ "items": entries }))
                }
                Command::RequestDetail { request_id } => {
                    let found = state.desk.look(&caller.0, &request_id).await.map_err(store_error)?;
                    done("request_detail", id, found.ok_or_else(|| ApiError::not_found("intervention"))?)
                }
                // The others are answered before they come here.
                _ => done("get_metrics", id, interventions.metrics().await.map_err(store_error)?),
            }
        }
    }
}

struct Decide {
    action: PilotAction,
    reason: Option<String>,
    version: Option<i64>,
    args_digest: Option<String>,
}

async fn decide(
    state: &State,
    caller: &Caller,
    origin: &Origin,
    id: &str,
    decide: Decide,
) -> Result<Intervention, ApiError> {
    let principal = caller.require(Permission::DecideInterventions).inspect_err(|error| {
        let what = format!("intervention_{}", decide.action.as_str().to_ascii_lowercase());
        state.desk.refused(&caller.0, tried(&caller.0, origin, (INTERVENTION, &what, Some(id)), "denied"));
        let by = Actor::new(caller.0.subject.as_ref(), caller.0.role).from(origin.clone());
        let entry = Entry::done(&by, "access", time::now()).to("route", "WebSocket action");
        state.audit.attempted(&caller.0.org, entry.ended(AuditOutcome::Refused, error.code().as_str()));
    })?;
    let Decide { action, reason, version, args_digest } = decide;
    let act = match action {
        PilotAction::Review => Act::Claim { lease: state.config.interventions.claim },
        PilotAction::Approve | PilotAction::Reject => {
            let version = match version {
                Some(version) => version,
                // Older clients decide what is there.
                None => current_version(state, caller, id).await?,
            };
            let body = DecisionBody { version, args_digest, reason };
            if action == PilotAction::Approve { Act::Approve(body) } else { Act::Reject(body) }
        }
    };
    state.desk.act(principal, origin.clone(), id, act).await.map_err(refused)
}

async fn current_version(state: &State, caller: &Caller, id: &str) -> Result<i64, ApiError> {
    let found = state.desk.look(&caller.0, id).await.map_err(store_error)?;
    found.map(|request| request.version).ok_or_else(|| ApiError::not_found("intervention"))
}
