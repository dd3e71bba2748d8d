//! `POST /operator/api/turns`: what came of a plan goes back into its conversation.

use actix_web::post;
use actix_web::web::{self, Data};
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::context::is_valid_id;
use vx11_chassis::extract::Json;
use vx11_contracts::chat::ChatStatus;
use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;
use vx11_contracts::operator::{AddTurn, Envelope, PLAN_OUTCOME};
use vx11_contracts::{ErrorBody, ErrorCode, time};
use vx11_store::OrgColumn;

use crate::state::State;
use crate::store::{self, NewTurn, OutcomeRecord, Record, storable};

/// Characters of a message, and of a response.
const MESSAGE_CHARS: usize = 4000;
const RESPONSE_CHARS: usize = 20_000;
/// Who answers in such a turn.
const PROVIDER: &str = "madre";

/// Tell a conversation what came of a plan.
///
/// For madre, which says with `x-vx11-org` whose conversation it is. It is kept once however often it comes, and answered
/// when it is on disk.
#[utoipa::path(operation_id = "add_turn", tag = "sessions", request_body = AddTurn, responses(
    (status = 200, body = Envelope<AddTurn>),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/turns")]
pub(crate) async fn add(
    state: Data<State>,
    caller: Caller,
    body: Json<AddTurn>,
) -> Result<web::Json<Envelope<AddTurn>>, ApiError> {
    let told = body.0;
    check(&told)?;
    let org = &caller.0.org;
    let outcome = OutcomeRecord { turn: turn(&told, org), action: action(&told, org) };
    let kept = state.store.writer.write(Record::Outcome(Box::new(outcome))).await;
    kept.map_err(|error| {
        ApiError::new(ErrorCode::StoreUnavailable, "it is not on disk yet: tell it again").with_cause(error)
    })?;
    Ok(web::Json(Envelope::new(told)))
}

fn check(told: &AddTurn) -> Result<(), ApiError> {
    for (field, id) in [("session_id", &told.session_id), ("correlation_id", &told.correlation_id)] {
        if !is_valid_id(id) {
            return Err(ApiError::invalid_field(field, "must be 1 to 128 visible ASCII characters"));
        }
    }
    if told.message.trim().is_empty() || told.message.chars().count() > MESSAGE_CHARS {
        return Err(ApiError::invalid_field("message", format!("must be 1 to {MESSAGE_CHARS} characters")));
    }
    if told.response.chars().count() > RESPONSE_CHARS {
        return Err(ApiError::invalid_field("response", format!("must be at most {RESPONSE_CHARS} characters")));
    }
    Ok(())
}

fn turn(told: &AddTurn, org: &OrgId) -> NewTurn {
    NewTurn {
        org_id: OrgColumn(org.clone()),
        timestamp: time::now(),
        session_id: told.session_id.clone(),
        correlation_id: told.correlation_id.clone(),
        message: storable(&told.message),
        extras: None,
        response: storable(&told.response),
        reasoning: None,
        provider: PROVIDER,
        model_used: PLAN_OUTCOME.to_owned(),
        status: told.status.as_str(),
        degraded: false,
        fallback_source: None,
        latency_ms: 0,
        prompt_tokens: None,
        completion_tokens: None,
    }
}

fn action(told: &AddTurn, org: &OrgId) -> Action {
    let status = if told.status == ChatStatus::Done { "ok" } else { "error" };
    Action {
        org_id: org.clone(),
        session_id: Some(told.session_id.clone()),
        target: Some(PROVIDER.to_owned()),
        ..store::action(told.correlation_id.as_str(), "plan_outcome", "chat", status)
    }
}
