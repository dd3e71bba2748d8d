//! `POST /v1/messages`, and the counting of its tokens.

use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse, post};
use serde_json::json;
use vx11_chassis::ApiError;
use vx11_chassis::extract::{Body, parse};
use vx11_contracts::sse::SseTextEvent;

use super::{check_key, exchange};
use crate::State;
use crate::wire::anthropic::{MessagesRequest, check_version};
use crate::wire::{Refusal, Wire};

/// Answer a conversation, as Anthropic does.
#[utoipa::path(tag = "anthropic", request_body = Object, responses(
    (status = 200, description = "a message, or its events",
        content((Object = "application/json"), (SseTextEvent = "text/event-stream"))),
    (status = "4XX", description = "an error in Anthropic's shape", body = Object),
))]
#[post("/v1/messages")]
pub(crate) async fn answer(state: ThinData<State>, http: HttpRequest, body: Result<Body, ApiError>) -> HttpResponse {
    let answered = async {
        let (renderer, asked) = read(&state, &http, body)?.read()?;
        exchange::reply(&state, &http, renderer, asked).await
    };
    answered.await.unwrap_or_else(|refusal| Wire::Anthropic.refuse(&refusal))
}

/// Count the tokens of a conversation, as Anthropic does.
#[utoipa::path(tag = "anthropic", request_body = Object, responses(
    (status = 200, description = "`{\"input_tokens\": n}`", body = Object),
    (status = "4XX", description = "an error in Anthropic's shape", body = Object),
))]
#[post("/v1/messages/count_tokens")]
pub(crate) async fn count_tokens(
    state: ThinData<State>,
    http: HttpRequest,
    body: Result<Body, ApiError>,
) -> HttpResponse {
    let answered = async {
        let asked = read(&state, &http, body)?.prompt()?;
        let body = |tokens| json!({ "input_tokens": tokens });
        exchange::count(&state, &http, Wire::Anthropic, asked, body).await
    };
    answered.await.unwrap_or_else(|refusal| Wire::Anthropic.refuse(&refusal))
}

fn read(state: &State, http: &HttpRequest, body: Result<Body, ApiError>) -> Result<MessagesRequest, Refusal> {
    check_key(state, http, Wire::Anthropic)?;
    check_version(http)?;
    Ok(parse(&body?.0)?)
}
