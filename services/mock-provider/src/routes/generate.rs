//! `POST /v1beta/models/{model}:{method}`, Gemini's one address for everything that a model does; `/v1` is its twin.

use actix_web::web::{Path, ThinData};
use actix_web::{HttpRequest, HttpResponse, routes};
use serde_json::json;
use vx11_chassis::ApiError;
use vx11_chassis::extract::{Body, parse};
use vx11_contracts::sse::SseTextEvent;

use super::{check_key, embeddings, exchange};
use crate::State;
use crate::wire::gemini::{self, BatchEmbedRequest, CountRequest, EmbedRequest, GenerateRequest};
use crate::wire::{Refusal, Wire};

/// Answer a conversation, count its tokens, or turn texts into vectors, as Gemini does.
#[utoipa::path(
    post,
    path = "/v1beta/models/{model}:{method}",
    tag = "gemini",
    params(
        ("model" = String, Path, description = "a model, with faults behind a `+`"),
        ("method" = String, Path, description = "`generateContent`, `streamGenerateContent`, `countTokens`, `embedContent` or `batchEmbedContents`"),
        ("alt" = Option<String>, Query, description = "`sse`: a stream is server-sent events, not an array"),
    ),
    request_body = Object,
    responses(
        (status = 200, description = "a response, its chunks, `{\"totalTokens\": n}`, or vectors",
            content((Object = "application/json"), (SseTextEvent = "text/event-stream"))),
        (status = "4XX", description = "an error in Gemini's shape", body = Object),
    )
)]
#[routes]
#[post("/v1beta/models/{model}:{method}")]
#[post("/v1/models/{model}:{method}")]
pub(crate) async fn generate(
    state: ThinData<State>,
    http: HttpRequest,
    path: Path<(String, String)>,
    body: Result<Body, ApiError>,
) -> HttpResponse {
    let (model, method) = path.into_inner();
    let answered = async {
        check_key(&state, &http, Wire::Gemini)?;
        let body = body?.0;
        match method.as_str() {
            "countTokens" => {
                let asked = parse::<CountRequest>(&body)?.prompt(model)?;
                let count = |tokens| {
                    json!({ "totalTokens": tokens,
                        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": tokens }] })
                };
                exchange::count(&state, &http, Wire::Gemini, asked, count).await
            }
            "generateContent" | "streamGenerateContent" => {
                let is_stream = method == "streamGenerateContent";
                let is_sse = http.query_string().split('&').any(|pair| pair == "alt=sse");
                let (renderer, asked) = parse::<GenerateRequest>(&body)?.read(model, is_stream, is_sse)?;
                exchange::reply(&state, &http, renderer, asked).await
            }
            "embedContent" => {
                let wanted = parse::<EmbedRequest>(&body)?.read(model);
                embeddings::reply(&state, &http, Wire::Gemini, wanted, gemini::one).await
            }
            "batchEmbedContents" => {
                let wanted = parse::<BatchEmbedRequest>(&body)?.read(model)?;
                embeddings::reply(&state, &http, Wire::Gemini, wanted, gemini::batch).await
            }
            _ => Err(Refusal::Request(ApiError::not_found("method"))),
        }
    };
    answered.await.unwrap_or_else(|refusal| Wire::Gemini.refuse(&refusal))
}
