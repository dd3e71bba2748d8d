//! `POST /v1/chat/completions`

use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse, post};
use vx11_chassis::ApiError;
use vx11_chassis::extract::{Body, parse};
use vx11_contracts::openai::OpenAiError;
use vx11_contracts::sse::SseTextEvent;

use super::{check_key, exchange};
use crate::State;
use crate::wire::Wire;
use crate::wire::openai::ChatRequest;

/// Answer a conversation.
#[utoipa::path(tag = "openai", request_body = ChatRequest, responses(
    (status = 200, description = "a chat completion, or its chunks as server-sent events",
        content((Object = "application/json"), (SseTextEvent = "text/event-stream"))),
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
        let (renderer, asked) = parse::<ChatRequest>(&body?.0)?.read()?;
        exchange::reply(&state, &http, renderer, asked).await
    };
    answered.await.unwrap_or_else(|refusal| Wire::OpenAi.refuse(&refusal))
}
