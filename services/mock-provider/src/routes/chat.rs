//! `POST /v1/chat/completions`

use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse, post};
use bytes::Bytes;
use vx11_chassis::ApiError;
use vx11_chassis::extract::{Body, parse};
use vx11_contracts::openai::OpenAiError;

use super::{check_key, exchange};
use crate::State;
use crate::wire::openai::ChatRequest;
use crate::wire::{Refusal, Wire};

/// Answer a conversation.
#[utoipa::path(tag = "openai", request_body = ChatRequest, responses(
    (status = 200, description = "a chat completion, or its chunks as server-sent events", body = Object),
    (status = "4XX", body = OpenAiError),
))]
#[post("/v1/chat/completions")]
pub(crate) async fn completions(
    state: ThinData<State>,
    http: HttpRequest,
    body: Result<Body, ApiError>,
) -> HttpResponse {
    let answered = async {
        check_key(&state, &http, Wire::OpenAi)?;
        answer(&state, &http, &body?.0).await
    };
    answered.await.unwrap_or_else(|refusal| Wire::OpenAi.refuse(&refusal))
}

/// Answers `body`, whose sender was let in.
pub(super) async fn answer(state: &State, http: &HttpRequest, body: &Bytes) -> Result<HttpResponse, Refusal> {
    let (renderer, asked) = parse::<ChatRequest>(body)?.read()?;
    exchange::reply(state, http, renderer, asked).await
}
