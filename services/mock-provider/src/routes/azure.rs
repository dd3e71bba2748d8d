//! `POST /openai/deployments/{deployment}/…`: OpenAI's wire at Azure's addresses, where the deployment in the path is
//! the model. Source: Azure OpenAI's REST API reference, "Chat completions" and "Embeddings".

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Path, ThinData};
use actix_web::{HttpRequest, HttpResponse, post};
use bytes::Bytes;
use serde_json::{Map, Value};
use vx11_chassis::ApiError;
use vx11_chassis::extract::{Body, parse};
use vx11_contracts::openai::OpenAiError;
use vx11_contracts::sse::SseTextEvent;

use super::{check_sent_key, embeddings, exchange};
use crate::State;
use crate::wire::openai::{ChatRequest, OpenAi};
use crate::wire::{Refusal, Wire};

/// Answer a conversation, as Azure does.
#[utoipa::path(
    tag = "azure-openai",
    params(
        ("deployment" = String, Path, description = "a model, with faults behind a `+`"),
        ("api-version" = String, Query, description = "any"),
    ),
    request_body = Object,
    responses(
        (status = 200, description = "a chat completion, or its chunks as server-sent events",
        content((Object = "application/json"), (SseTextEvent = "text/event-stream"))),
        (status = "4XX", body = OpenAiError),
    )
)]
#[post("/openai/deployments/{deployment}/chat/completions")]
pub(crate) async fn completions(
    state: ThinData<State>,
    http: HttpRequest,
    deployment: Path<String>,
    body: Result<Body, ApiError>,
) -> HttpResponse {
    let answered = async {
        let body = read(&state, &http, deployment.into_inner(), body)?;
        let (renderer, asked) = parse::<ChatRequest>(&body)?.read()?;
        exchange::reply(&state, &http, OpenAi { at_azure: true, ..renderer }, asked).await
    };
    answered.await.unwrap_or_else(|refusal| Wire::OpenAi.refuse(&refusal))
}

/// Turn texts into vectors, as Azure does.
#[utoipa::path(
    tag = "azure-openai",
    params(
        ("deployment" = String, Path, description = "a model, with faults behind a `+`"),
        ("api-version" = String, Query, description = "any"),
    ),
    request_body = Object,
    responses((status = 200, body = Object), (status = "4XX", body = OpenAiError))
)]
#[post("/openai/deployments/{deployment}/embeddings")]
pub(crate) async fn embed(
    state: ThinData<State>,
    http: HttpRequest,
    deployment: Path<String>,
    body: Result<Body, ApiError>,
) -> HttpResponse {
    let answered = async {
        let body = read(&state, &http, deployment.into_inner(), body)?;
        embeddings::answer(&state, &http, &body).await
    };
    answered.await.unwrap_or_else(|refusal| Wire::OpenAi.refuse(&refusal))
}

/// The body as OpenAI's own address would get it.
fn read(state: &State, http: &HttpRequest, deployment: String, body: Result<Body, ApiError>) -> Result<Bytes, Refusal> {
    check_sent_key(state, key(http))?;
    if !http.query_string().split('&').any(|pair| pair.strip_prefix("api-version=").is_some_and(|v| !v.is_empty())) {
        return Err(ApiError::not_found("resource: `api-version` is missing").into());
    }
    let mut fields: Map<String, Value> = parse(&body?.0)?;
    fields.insert("model".to_owned(), Value::String(deployment));
    Ok(Value::Object(fields).to_string().into())
}

/// The resource's key, or a token of Entra's.
fn key(http: &HttpRequest) -> Option<&str> {
    let header = |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok());
    header("api-key").or_else(|| header(AUTHORIZATION.as_str())?.strip_prefix("Bearer "))
}
