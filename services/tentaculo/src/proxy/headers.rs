//! Headers on their way in and out (RFC 9110, section 7.6), and from one `http` version to the other.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use http::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::{ErrorCode, headers};
use vx11_http_client::Response;
use vx11_telemetry::TraceContext;

use crate::state::State;
use crate::switch_keys;

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

/// Headers that the edge writes itself, or that only a proxy in front of it could know.
const REPLACED: [&str; 12] = [
    "host",
    "content-length",
    "expect",
    headers::CORRELATION_ID,
    headers::TRACEPARENT,
    headers::TRACESTATE,
    headers::DEADLINE_MS,
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Where a caller's secret is. The edge puts the services' token in its place, unless it is a key of switch's.
const SECRETS: [&str; 3] = ["authorization", headers::TOKEN, headers::API_KEY];

/// The method in the client's types.
pub(super) fn method(method: &actix_web::http::Method) -> Result<http::Method, ApiError> {
    let refused = |_| ApiError::new(ErrorCode::MalformedRequest, "the method has characters that no method has");
    http::Method::from_bytes(method.as_str().as_bytes()).map_err(refused)
}

/// What the service gets.
pub(super) fn outgoing(
    http: &HttpRequest,
    context: &RequestContext,
    trace: &TraceContext,
    state: &State,
    is_upgrade: bool,
) -> http::HeaderMap {
    let mut out = http::HeaderMap::with_capacity(http.headers().len() + 8);
    let has_key = switch_keys::has_key(http);
    let listed = connection_options(http.headers().get_all("connection").filter_map(|value| value.to_str().ok()));
    for (name, value) in http.headers() {
        let name = name.as_str();
        if is_hop_by_hop(name, &listed) || REPLACED.contains(&name) || (!has_key && SECRETS.contains(&name)) {
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
    if let Some(token) = state.token.as_ref().filter(|_| !has_key) {
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
    if let Some(forwarded) = state.trusted.forwarded(http) {
        set("x-forwarded-for", &forwarded.chain);
        set("x-forwarded-proto", forwarded.proto);
        if let Some(host) = &forwarded.host {
            set("x-forwarded-host", host);
        }
    }
    if is_upgrade {
        set("connection", "upgrade");
        set("upgrade", "websocket");
    }
    out
}

/// The head of the answer to the client.
pub(super) fn answer(response: &Response) -> HttpResponseBuilder {
    let status = actix_web::http::StatusCode::from_u16(response.status().as_u16());
    let mut answer = HttpResponse::build(status.unwrap_or(actix_web::http::StatusCode::BAD_GATEWAY));
    let said = response.headers().get_all("connection").iter().filter_map(|value| value.to_str().ok());
    let listed = connection_options(said);
    for (name, value) in response.headers() {
        let name = name.as_str();
        // The chassis writes the correlation id; the body's length goes with the body.
        if is_hop_by_hop(name, &listed) || matches!(name, "content-length" | "date" | headers::CORRELATION_ID) {
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

fn is_hop_by_hop(name: &str, listed: &[String]) -> bool {
    HOP_BY_HOP.contains(&name) || listed.iter().any(|option| option == name)
}

/// Headers that `Connection` names; nearly always none.
fn connection_options<'v>(values: impl Iterator<Item = &'v str>) -> Vec<String> {
    let options = values.flat_map(|value| value.split(',')).map(|option| option.trim().to_ascii_lowercase());
    options.filter(|option| !matches!(option.as_str(), "" | "close" | "keep-alive" | "upgrade")).collect()
}
