//! Headers on their way in and out (RFC 9110, section 7.6), and from one `http` version to the other.

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use http::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::{ErrorCode, headers};
use vx11_telemetry::TraceContext;

/// Headers of one connection, which go no further.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that the edge writes itself.
const REPLACED: [&str; 12] = [
    "host",
    "content-length",
    "expect",
    "authorization",
    headers::TOKEN,
    headers::CORRELATION_ID,
    headers::TRACEPARENT,
    headers::TRACESTATE,
    headers::DEADLINE_MS,
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// The method in the client's types.
pub(super) fn method(method: &actix_web::http::Method) -> Result<reqwest::Method, ApiError> {
    let refused = |_| ApiError::new(ErrorCode::MalformedRequest, "the method has characters that no method has");
    reqwest::Method::from_bytes(method.as_str().as_bytes()).map_err(refused)
}

/// What the service gets.
pub(super) fn outgoing(
    http: &HttpRequest,
    context: &RequestContext,
    trace: &TraceContext,
    token: Option<&SecretString>,
    is_upgrade: bool,
) -> http::HeaderMap {
    let mut out = http::HeaderMap::with_capacity(http.headers().len() + 8);
    let listed = connection_options(http.headers());
    for (name, value) in http.headers() {
        let name = name.as_str();
        if is_hop_by_hop(name) || REPLACED.contains(&name) || listed.iter().any(|option| option == name) {
            continue;
        }
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            out.append(name, value);
        }
    }
    let mut set = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            out.insert(HeaderName::from_static(name), value);
        }
    };
    if let Some(token) = token {
        set(headers::TOKEN, token.expose_secret());
    }
    set(headers::CORRELATION_ID, &context.correlation_id);
    set(headers::TRACEPARENT, &trace.traceparent());
    if let Some(state) = trace.tracestate() {
        set(headers::TRACESTATE, state);
    }
    if let Some(deadline) = context.deadline {
        set(headers::DEADLINE_MS, &deadline.header_value().to_string());
    }
    if let Some(chain) = forwarded_for(http) {
        set("x-forwarded-for", &chain);
    }
    let host = http.headers().get("host").and_then(|value| value.to_str().ok());
    set("x-forwarded-host", host.unwrap_or_default());
    set("x-forwarded-proto", "http");
    if is_upgrade {
        set("connection", "upgrade");
        set("upgrade", "websocket");
    }
    out
}

/// The head of the answer to the client.
pub(super) fn answer(response: &reqwest::Response) -> HttpResponseBuilder {
    let status = actix_web::http::StatusCode::from_u16(response.status().as_u16());
    let mut answer = HttpResponse::build(status.unwrap_or(actix_web::http::StatusCode::BAD_GATEWAY));
    for (name, value) in response.headers() {
        let name = name.as_str();
        // The chassis writes the correlation id; the body's length goes with the body.
        if is_hop_by_hop(name) || matches!(name, "content-length" | "date" | headers::CORRELATION_ID) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (
            actix_web::http::header::HeaderName::from_bytes(name.as_bytes()),
            actix_web::http::header::HeaderValue::from_bytes(value.as_bytes()),
        ) {
            answer.append_header((name, value));
        }
    }
    answer
}

fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.contains(&name)
}

/// Headers that this request's `Connection` names; nearly always none.
fn connection_options(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("connection").filter_map(|value| value.to_str().ok());
    let options = values.flat_map(|value| value.split(',')).map(|option| option.trim().to_ascii_lowercase());
    options.filter(|option| !matches!(option.as_str(), "" | "close" | "keep-alive" | "upgrade")).collect()
}

fn forwarded_for(http: &HttpRequest) -> Option<String> {
    let peer = http.peer_addr()?.ip().to_string();
    let before = http.headers().get("x-forwarded-for").and_then(|value| value.to_str().ok());
    Some(before.map_or_else(|| peer.clone(), |before| format!("{before}, {peer}")))
}
