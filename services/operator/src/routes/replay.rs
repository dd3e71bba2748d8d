//! `POST /operator/api/replay/{correlation_id}`

use std::time::Duration;

use actix_web::post;
use actix_web::web::{self, Data};
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Json, Path};
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorBody;
use vx11_contracts::chat::ChatRequest;
use vx11_contracts::event::Action;
use vx11_contracts::operator::{Envelope, Replay, ReplayRequest, Turn};

use super::store_error;
use crate::chat::{Accepted, Asker, Provider, Question};
use crate::domain::difference::compare;
use crate::state::State;
use crate::store::{Record, action};

/// Longest comparison of two answers by lines, and as long again by words; it is rough after that.
const COMPARISON: Duration = Duration::from_millis(500);

/// Ask the same again, with the history of then, and compare. The session is left as it is.
#[utoipa::path(tag = "replay", params(("correlation_id" = String, Path)), request_body = ReplayRequest, responses(
    (status = 200, body = Envelope<Replay>),
    (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/replay/{correlation_id}")]
pub(crate) async fn replay(
    state: Data<State>,
    caller: Caller,
    context: RequestContext,
    correlation_id: Path<String>,
    body: Json<ReplayRequest>,
) -> Result<web::Json<Envelope<Replay>>, ApiError> {
    let asker = Asker::of(&caller.0);
    let own = state.store.of(&asker.org);
    let found = own.find_turn(&correlation_id).await.map_err(store_error)?;
    let turn = found.ok_or_else(|| ApiError::not_found("answered chat with this correlation id"))?;
    let extras = turn.extras();
    let provider = body.0.provider.or(extras.provider);
    let limit = state.config.chat.history_turns;
    let history = own.recent_exchanges(&turn.session_id, Some(turn.id), limit).await.map_err(store_error)?;
    let question = Question {
        message: turn.message.clone(),
        history,
        session_id: turn.session_id.clone(),
        context: extras.context,
        metadata: extras.metadata,
        provider: Provider::parse(provider.as_deref()),
        org: asker.told.clone(),
        subject: asker.subject.clone(),
        intervention: None,
    };
    let asked = Accepted {
        request: ChatRequest {
            message: turn.message.clone(),
            session_id: None,
            correlation_id: None,
            context: question.context.clone(),
            metadata: question.metadata.clone(),
            provider,
            stream: false,
        },
        asker,
        session_id: turn.session_id.clone(),
        known_session: true,
        provider: question.provider.clone(),
        context,
        intervention: None,
    };
    let replayed = state.chat.rehearse(&asked, &question).await?;
    let original = Turn::from(turn);
    let compared = web::block(move || {
        let difference = compare(&original, &replayed, COMPARISON);
        Replay { original, replayed, difference }
    });
    let replay = compared.await.map_err(ApiError::internal)?;
    note(&state, &replay.original, &asked, replay.difference.identical);
    Ok(web::Json(Envelope::new(replay)))
}

/// The replay's own row in the trail.
fn note(state: &State, original: &Turn, asked: &Accepted, identical: bool) {
    let notes = serde_json::json!({ "identical": identical, "provider": asked.request.provider });
    let row = Action {
        org_id: asked.asker.org.clone(),
        session_id: Some(original.session_id.clone()),
        target: Some(original.correlation_id.clone()),
        notes: Some(notes.to_string()),
        ..action(&*asked.context.correlation_id, "replay", "replay", "ok")
    };
    // The writer keeps it, or counts that it had no room.
    let _ = state.store.writer.try_enqueue(Record::Action(row));
}
