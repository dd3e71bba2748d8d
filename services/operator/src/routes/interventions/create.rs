//! `POST /operator/api/interventions`

use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, post};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde::de::IgnoredAny;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Body, parse};
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::{Answer, CreateBody, Intervention};
use vx11_contracts::operator::Envelope;
use vx11_contracts::{ErrorBody, ErrorCode};

use super::store_error;
use crate::control::Idempotency;
use crate::desk::{Ask, Asking};
use crate::state::State;

/// Names a request that must not be made twice, however often it is sent.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Longest `Idempotency-Key`.
const KEY_CHARS: usize = 255;

/// Ask for a person's decision.
///
/// In the contract's shape, or in LangChain's human-in-the-loop shape, alone or as a list of one. With an
/// `Idempotency-Key` the same body makes one request however often it comes: 201 the first time, 200 after that.
#[utoipa::path(operation_id = "create_intervention", tag = "interventions", request_body = CreateBody,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        pattern = "^[!-~]([ -~]*[!-~])?$", description = "at most 255 characters; kept as long as the request")),
    responses(
        (status = 201, body = Envelope<Answer>, headers(("Location" = String, description = "the request's address"))),
        (status = 200, body = Envelope<Answer>, description = "made before, with the same key"),
        (status = 400, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "there is one of this id, or the key came with another body"),
        (status = 422, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ))]
#[post("/interventions")]
pub(crate) async fn create(
    state: Data<State>,
    caller: Caller,
    context: RequestContext,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let principal = caller.require(Permission::OpenInterventions)?;
    let idempotency = idempotency(&request, &body.0)?;
    let (mut create, format) = read(&body.0)?.into_parts();
    create.validate().map_err(|invalid| ApiError::invalid_field(invalid.field, invalid.detail))?;
    if let Some(url) = &create.callback_url {
        let admitted = state.desk.outboxes().webhooks.channel().admit(&principal.org, url);
        create.callback_url = Some(admitted.map_err(|why| ApiError::invalid_field("callback_url", why))?);
    }
    let correlation_id = Some(context.correlation_id.as_ref().to_owned());
    let ask = Ask { create, format, idempotency, correlation_id };
    match state.desk.ask(principal, ask).await.map_err(store_error)? {
        Asking::Made(made) => Ok(found_at(HttpResponse::Created(), *made)),
        Asking::Before(before) => Ok(found_at(HttpResponse::Ok(), *before)),
        Asking::OtherBody => {
            Err(ApiError::new(ErrorCode::Conflict, "this Idempotency-Key came with another body before"))
        }
        Asking::Exists(id) => {
            Err(ApiError::new(ErrorCode::Conflict, format!("there is an intervention `{id}` already")))
        }
    }
}

/// The request in the shape in which it was asked, which may say nothing of where it is.
fn found_at(mut response: HttpResponseBuilder, request: Intervention) -> HttpResponse {
    let address = format!("/operator/api/interventions/{}", request.request_id);
    response.insert_header((LOCATION, address)).json(Envelope::new(Answer::from(request)))
}

/// The body in its shape. Each shape is read as what it is, so that a field that does not fit is named.
fn read(body: &[u8]) -> Result<CreateBody, ApiError> {
    #[derive(Deserialize)]
    struct Peek {
        action_request: Option<IgnoredAny>,
    }
    if body.trim_ascii_start().starts_with(b"[") {
        return parse(body).map(CreateBody::List);
    }
    match serde_json::from_slice(body) {
        Ok(Peek { action_request: Some(_) }) => parse(body).map(CreateBody::Interrupt),
        _ => parse(body).map(CreateBody::Request),
    }
}

fn idempotency(request: &HttpRequest, body: &Bytes) -> Result<Option<Idempotency>, ApiError> {
    let Some(key) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_CHARS);
    let key = key.ok_or_else(|| {
        ApiError::new(ErrorCode::MalformedRequest, format!("Idempotency-Key must have 1 to {KEY_CHARS} characters"))
    })?;
    let digest = digest(&SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(Idempotency { key: key.to_owned(), digest }))
}
