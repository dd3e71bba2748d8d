//! `/operator/api/events`

use std::convert::Infallible;
use std::time::SystemTime;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get, post};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::auth::{Caller, Proof, STREAM_TOKEN_TTL, mint_stream_token_for, presented_token};
use vx11_chassis::extract::Query;
use vx11_chassis::{ApiError, sse};
use vx11_contracts::event::{SseToken, StreamedEvent};
use vx11_contracts::identity::OrgId;
use vx11_contracts::operator::Envelope;
use vx11_contracts::sse::SseEvent;
use vx11_contracts::{ErrorBody, ErrorCode, headers};
use vx11_identity::access_token;

use super::reader::Reader;
use super::store_error;
use crate::events::event;
use crate::state::State;

/// Where the stream is.
pub(crate) const PATH: &str = "/operator/api/events";

/// What to stream.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// `true`: go on with new rows; `false` (the default): the recent backlog, then close.
    #[serde(default)]
    follow: bool,
    /// As the header `Last-Event-ID`, for the first request of a browser, which cannot set headers.
    last_event_id: Option<i64>,
    /// Another organisation, for ADMINs of the platform.
    #[param(value_type = Option<OrgId>)]
    org: Option<String>,
    /// A stream token, for browsers; checked by the guard.
    #[serde(rename = "token")]
    _token: Option<String>,
}

/// A token for `?token=`, because a browser's EventSource and WebSocket cannot send headers. It is the caller's own, for
/// reading.
#[utoipa::path(operation_id = "mint_stream_token", tag = "events", responses((status = 200, body = Envelope<SseToken>)))]
#[post("/events/sse-token")]
pub(crate) async fn token(state: Data<State>, http: HttpRequest, caller: Caller) -> Result<HttpResponse, ApiError> {
    let secret = state.places.token.as_ref().ok_or_else(|| ApiError::not_found("token: every caller is let in"))?;
    // It ends with the access token that it is made for, where it is one.
    let sent = presented_token(http.headers()).filter(|sent| access_token::has_form(sent));
    let by_token = match sent {
        Some(sent) => state.verifier.tokens().verify(sent, Timestamp::now()).await.ok().map(|claimed| claimed.id),
        None => None,
    };
    Ok(HttpResponse::Ok().json(Envelope::new(SseToken {
        sse_token: mint_stream_token_for(secret, &caller.0, by_token.as_deref(), SystemTime::now()),
        ttl_sec: STREAM_TOKEN_TTL.as_secs() as u32,
        endpoint: PATH.to_owned(),
    })))
}

/// The organisation's events as they happen. `Last-Event-ID` resumes without a gap or a repeat.
#[utoipa::path(operation_id = "stream_events", tag = "events", params(EventsQuery), responses(
    (status = 200, body = SseEvent<StreamedEvent>, content_type = "text/event-stream"),
    (status = 404, body = ErrorBody),
    (status = 429, body = ErrorBody, description = "too many streams of the organisation are open"),
    (status = 503, body = ErrorBody),
))]
#[get("/events")]
pub(crate) async fn events(
    state: Data<State>,
    http: HttpRequest,
    reader: Reader,
    mut proof: Proof,
    query: Query<EventsQuery>,
) -> Result<HttpResponse, ApiError> {
    let after = match http.headers().get("last-event-id") {
        Some(value) => Some(parse_id(value.to_str().unwrap_or_default())?),
        None => query.0.last_event_id,
    };
    let org = reader.whose(&state, query.0.org.as_deref(), "events").await?;
    let config = &state.config.events;
    if !query.0.follow {
        let rows = match after {
            Some(id) => state.store.of(&org).actions_after(id, config.backlog).await,
            None => state.events.backlog(&org, config.backlog).await,
        };
        let frames: Vec<Bytes> = rows.map_err(store_error)?.iter().map(event).collect();
        return Ok(respond(futures_util::stream::iter(frames)));
    }
    let metrics = &state.chat.metrics;
    if metrics.event_streams() >= i64::try_from(config.max_streams).unwrap_or(i64::MAX) {
        return Err(ApiError::new(ErrorCode::Overloaded, "too many event streams are open").with_retry_after(5));
    }
    if !org.is_platform() && state.events.streams_of(&org) >= config.max_streams_per_org {
        let detail = "too many event streams of this organisation are open";
        return Err(ApiError::rate_limited(5, detail));
    }
    let guard = metrics.event_stream();
    // None where the operator lets everybody in: then nobody's leave can end.
    let standing = proof.brought().await.transpose().map_err(ApiError::from)?;
    Ok(respond(state.events.follow(&org, after, config.clone(), state.shutdown.clone(), (guard, standing))))
}

fn respond(frames: impl Stream<Item = Bytes> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, sse::CONTENT_TYPE))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((headers::ACCEL_BUFFERING, "no"))
        .streaming(frames.map(Ok::<_, Infallible>))
}

fn parse_id(text: &str) -> Result<i64, ApiError> {
    text.trim().parse().map_err(|_| ApiError::invalid_field("Last-Event-ID", "must be an event's id"))
}
