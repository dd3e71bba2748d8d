//! The middleware around every request: context in, span, log line and metrics out, errors rendered.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, ThinData};
use tracing::{Instrument, Span};
use vx11_contracts::ErrorCode;
use vx11_telemetry::{ServiceMetrics, TraceContext, server_span};

use crate::context::{self, RequestContext};
use crate::error::{ApiError, Wire};
use crate::header_names::{ANTHROPIC_REQUEST_ID, CORRELATION_ID, DRAINING, REQUEST_ID, TRACEPARENT, TRACESTATE};
use crate::shutdown::Shutdown;

/// What the middleware needs of its service.
#[derive(Clone)]
pub(crate) struct Observed {
    pub(crate) service: &'static str,
    pub(crate) metrics: std::sync::Arc<ServiceMetrics>,
    pub(crate) shutdown: Shutdown,
}

pub(crate) async fn observe<B: MessageBody + 'static>(
    observed: ThinData<Observed>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let Observed { service, metrics, shutdown } = observed.0;
    let correlation_id = context::correlation_id(request.headers());
    let wire = Wire::of(request.path());
    let quiet = is_probe(request.path());
    let method = method_label(request.method());
    let route = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let parent = TraceContext::parse(header(&request, &TRACEPARENT), header(&request, &TRACESTATE));
    let (span, trace) = server_span(service, method, &route, request.path(), &correlation_id, parent.as_ref());

    let seen = Seen { started, metrics, span, route, method, quiet, answered: None };
    let mut response = match context::deadline(request.headers()) {
        Ok(deadline) => {
            let context = RequestContext { correlation_id: correlation_id.clone(), trace, deadline };
            request.extensions_mut().insert(context);
            next.call(request).instrument(seen.span.clone()).await?.map_into_boxed_body()
        }
        Err(error) => request.error_response(error),
    };

    let span = seen.span.clone();
    let _entered = span.enter();
    // A handler whose body names another correlation id has put that in place of the header's.
    let renamed = response.request().extensions().get::<RequestContext>().map(|context| context.correlation_id.clone());
    let correlation_id = renamed.unwrap_or(correlation_id);
    response = render_errors(response, wire, &correlation_id);
    if let Ok(value) = HeaderValue::from_str(&correlation_id) {
        name_request(response.headers_mut(), wire, value);
    }
    if shutdown.has_begun() {
        say_goodbye(&mut response);
    }
    Ok(seen.answered(response))
}

/// A request that has come in. It is counted when it is answered, or when its client goes away first and the server
/// drops it; its line is written when this is dropped: a stream's when the stream is.
struct Seen {
    started: Instant,
    metrics: std::sync::Arc<ServiceMetrics>,
    span: Span,
    route: String,
    method: &'static str,
    quiet: bool,
    answered: Option<Answered>,
}

/// How a request ended, and after what time.
#[derive(Clone, Copy)]
struct Answered {
    status: u16,
    elapsed: Duration,
}

/// The status that stands for "the client closed the connection" (nginx's; no RFC has one). It is never sent.
const CLIENT_CLOSED: u16 = 499;

impl Seen {
    /// The answer does not wait for its line, which is written once it was handed to the kernel; and a stream's when it
    /// has ended, so that it is not in the way of first words either.
    fn answered(mut self, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        self.answered = Some(self.count(response.status().as_u16()));
        if response.response().body().size() == BodySize::Stream {
            return response.map_body(|_, body| BoxBody::new(Told { body, _seen: self }));
        }
        actix_web::rt::spawn(async move { drop(self) });
        response
    }

    fn count(&self, status: u16) -> Answered {
        let elapsed = self.started.elapsed();
        self.metrics.http.observe(&self.route, self.method, status, elapsed);
        self.span.record("http.response.status_code", i64::from(status));
        Answered { status, elapsed }
    }
}

/// A stream, and what is told of it when it has ended.
struct Told {
    body: BoxBody,
    _seen: Seen,
}

impl MessageBody for Told {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let Answered { status, elapsed } = self.answered.unwrap_or_else(|| self.count(CLIENT_CLOSED));
        let Self { span, route, method, quiet, .. } = self;
        let elapsed_ms = elapsed.as_millis() as u64;
        let _entered = span.enter();
        if *quiet {
            tracing::debug!(method, route, status, elapsed_ms, "request");
        } else {
            tracing::info!(method, route, status, elapsed_ms, "request");
        }
    }
}

/// Tells the caller that the next request belongs elsewhere. One that came over this connection could be on its way when
/// the connection is closed, and nobody would know whether it had arrived.
fn say_goodbye(response: &mut ServiceResponse<BoxBody>) {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(DRAINING, HeaderValue::from_static("true"));
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
}

/// Adds the request's names: VX11's own, and those that the clients of `wire` look for, where no provider gave it one.
fn name_request(headers: &mut HeaderMap, wire: Wire, correlation_id: HeaderValue) {
    if wire != Wire::Vx11 && !headers.contains_key(REQUEST_ID) {
        headers.insert(REQUEST_ID, correlation_id.clone());
    }
    if wire == Wire::Anthropic && !headers.contains_key(ANTHROPIC_REQUEST_ID) {
        let name = headers.get(REQUEST_ID).unwrap_or(&correlation_id).clone();
        headers.insert(ANTHROPIC_REQUEST_ID, name);
    }
    headers.insert(CORRELATION_ID, correlation_id);
}

/// Replaces what handlers and actix-web left as a bare error status by the documented body, and logs its cause once.
fn render_errors(response: ServiceResponse<BoxBody>, wire: Wire, correlation_id: &str) -> ServiceResponse<BoxBody> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let foreign;
    let error = match response.response().error() {
        Some(error) => match error.as_error::<ApiError>() {
            Some(ours) => ours,
            None => {
                foreign = ApiError::from_status(status, &error.to_string());
                &foreign
            }
        },
        // A body is an answer of the handler's own making, such as a provider's error passed on.
        None if !matches!(response.response().body().size(), BodySize::None | BodySize::Sized(0)) => return response,
        None => {
            foreign = ApiError::from_status(status, "");
            &foreign
        }
    };
    log_error(error);
    let mut rendered = error.render(wire, correlation_id);
    for (name, value) in response.headers() {
        if !rendered.headers().contains_key(name) && name != actix_web::http::header::CONTENT_LENGTH {
            rendered.headers_mut().append(name.clone(), value.clone());
        }
    }
    response.into_response(rendered)
}

fn log_error(error: &ApiError) {
    let code = error.code().as_str();
    match (error.code(), error.cause()) {
        (ErrorCode::Internal, cause) => tracing::error!(code, cause, "request failed"),
        (_, Some(cause)) => tracing::warn!(code, cause, "request failed"),
        // Its detail may repeat a value of the body.
        (_, None) => tracing::debug!(code, field = error.field(), "request refused"),
    }
}

fn header<'r>(request: &'r ServiceRequest, name: &HeaderName) -> Option<&'r str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Probes and scrapes come every few seconds for ever; they are logged at debug only.
fn is_probe(path: &str) -> bool {
    matches!(path, "/health" | "/ready" | "/metrics")
}

/// The method as a label of bounded cardinality.
pub fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}
