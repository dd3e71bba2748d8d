//! `POST /v1/responses`

use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse, post};
use vx11_chassis::ApiError;
use vx11_chassis::extract::{Body, parse};
use vx11_contracts::openai::OpenAiError;
use vx11_contracts::sse::SseTextEvent;

use super::{check_key, exchange};
use crate::State;
use crate::wire::Wire;
use crate::wire::responses::ResponsesRequest;

/// Answer a conversation with a response.
#[utoipa::path(tag = "openai", request_body = Object, responses(
    (status = 200, description = "a response, or its events",
        content((Object = "application/json"), (SseTextEvent = "text/event-stream"))),
    (status = "4XX", body = OpenAiError),
))]
#[post("/v1/responses")]
pub(crate) async fn respond(state: ThinData<State>, http: HttpRequest, body: Result<Body, ApiError>) -> HttpResponse {
    let answered = async {
        check_key(&state, &http, Wire::Responses)?;
        let (renderer, asked) = parse::<ResponsesRequest>(&body?.0)?.read()?;
        exchange::reply(&state, &http, renderer, asked).await
    };
    answered.await.unwrap_or_else(|refusal| Wire::Responses.refuse(&refusal))
}
