//! Headers on their way in and out (RFC 9110, section 7.6), and from one `http` version to the other.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE, USER_AGENT};
use secrecy::ExposeSecret;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::{ErrorCode, headers};
use vx11_http_client::Response;
use vx11_resilience::Deadline;
use vx11_telemetry::TraceContext;

use crate::own_secrets;
use crate::state::State;
use crate::upstream::{asks_itself, is_login};

pub(super) const CORRELATION_ID: HeaderName = HeaderName::from_static(headers::CORRELATION_ID);
pub(super) const DRAINING: HeaderName = HeaderName::from_static(headers::DRAINING);
const TOKEN: HeaderName = HeaderName::from_static(headers::TOKEN);
const TRACEPARENT: HeaderName = HeaderName::from_static(headers::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static(headers::TRACESTATE);
const DEADLINE_MS: HeaderName = HeaderName::from_static(headers::DEADLINE_MS);
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static(headers::CLIENT_ADDRESS);
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The method in the client's types.
pub(super) fn method(method: &actix_web::http::Method) -> Result<http::Method, ApiError> {
    let refused = |_| ApiError::new(ErrorCode::MalformedRequest, "the method has characters that no method has");
    http::Method::from_bytes(method.as_str().as_bytes()).map_err(refused)
}

/// What the headers that the service gets are made of. A request that is sent again has them made again.
pub(super) struct Outgoing<'r> {
    pub(super) http: &'r HttpRequest,
    pub(super) context: &'r RequestContext,
    pub(super) trace: &'r TraceContext,
    pub(super) state: &'r State,
    pub(super) is_upgrade: bool,
    /// When the service has to have answered.
    pub(super) deadline: Option<Deadline>,
}

impl Outgoing<'_> {
    /// Writes them to `out`, which has those of the edge's own client already.
    pub(super) fn write(&self, out: &mut HeaderMap) {
        let keeps_own = own_secrets::is_own(self.http) || asks_itself(self.http.uri().path());
        self.pass_on(out, keeps_own);
        if let Some(token) = self.state.token.as_ref().filter(|_| !keeps_own) {
            set(out, TOKEN, token.expose_secret());
        }
        set(out, CORRELATION_ID, &self.context.correlation_id);
        set(out, TRACEPARENT, &self.trace.traceparent());
        if let Some(state) = self.trace.tracestate() {
            set(out, TRACESTATE, state);
        }
        if let Some(deadline) = self.deadline {
            out.insert(DEADLINE_MS, deadline.header_value().into());
        }
        if let Some(forwarded) = self.state.trusted.forwarded(self.http) {
            set(out, X_FORWARDED_FOR, &forwarded.chain);
            out.insert(X_FORWARDED_PROTO, HeaderValue::from_static(forwarded.proto));
            if let Some(host) = forwarded.host {
                set(out, X_FORWARDED_HOST, host);
            }
        }
        if is_login(self.http.uri().path())
            && let Some(client) = self.state.trusted.client(self.http)
        {
            // Only here it is known which of the addresses in the chain is to be believed.
            set(out, CLIENT_ADDRESS, &client.to_string());
        }
        if self.is_upgrade {
            out.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            out.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
    }

    /// What the client says and may say to a service, which gets the client's secret where it asks for that itself.
    fn pass_on(&self, out: &mut HeaderMap, keeps_own: bool) {
        let said = self.http.headers();
        let listed = connection_options(said.get_all(header::CONNECTION).filter_map(|value| value.to_str().ok()));
        if said.contains_key(header::USER_AGENT) && !is_hop_by_hop(USER_AGENT.as_str(), &listed) {
            // The client has said who asks.
            out.remove(USER_AGENT);
        }
        for (name, value) in said {
            let name = name.as_str();
            if is_hop_by_hop(name, &listed) || is_replaced(name) || (!keeps_own && is_secret(name)) {
                continue;
            }
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
            {
                out.append(name, value);
            }
        }
    }
}

fn set(out: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        out.insert(name, value);
    }
}

/// The head of the answer to the client.
pub(super) fn answer(response: &Response) -> HttpResponseBuilder {
    let status = actix_web::http::StatusCode::from_u16(response.status().as_u16());
    let mut answer = HttpResponse::build(status.unwrap_or(actix_web::http::StatusCode::BAD_GATEWAY));
    let said = response.headers().get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let listed = connection_options(said);
    for (name, value) in response.headers() {
        let name = name.as_str();
        // The chassis writes the correlation id; the body's length goes with the body; it is not the edge that stops.
        let is_own = matches!(name, "content-length" | "date" | headers::CORRELATION_ID | headers::DRAINING);
        if is_own || is_hop_by_hop(name, &listed) {
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

/// Whether a header is for one connection, and goes no further.
fn is_hop_by_hop(name: &str, listed: &[String]) -> bool {
    let is_always = matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    );
    is_always || listed.iter().any(|option| option == name)
}

/// Whether the edge writes a header itself, or only a proxy in front of it could know it.
fn is_replaced(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "content-length"
            | "expect"
            | headers::CORRELATION_ID
            | headers::TRACEPARENT
            | headers::TRACESTATE
            | headers::DEADLINE_MS
            | headers::CLIENT_ADDRESS
            | "forwarded"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-proto"
            | "x-real-ip"
    )
}

/// Whether a caller's secret is there. The edge puts the services' token in its place, unless it is for a service to
/// judge, or for a WebSocket.
fn is_secret(name: &str) -> bool {
    matches!(name, "authorization" | headers::TOKEN | headers::API_KEY)
}

/// Headers that `Connection` names; nearly always none.
fn connection_options<'v>(values: impl Iterator<Item = &'v str>) -> Vec<String> {
    let options = values.flat_map(|value| value.split(',')).map(|option| option.trim().to_ascii_lowercase());
    options.filter(|option| !matches!(option.as_str(), "" | "close" | "keep-alive" | "upgrade")).collect()
}
