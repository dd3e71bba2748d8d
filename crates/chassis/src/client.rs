//! Calls to the other services: one place that sends the token, the correlation id, the trace and the deadline, and
//! that turns what comes back into our words.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span};
use url::Url;
use vx11_contracts::{ErrorBody, headers};
use vx11_http_client::{Client, Connector, Error, InvalidAddress, Request, Response};
use vx11_resilience::Deadline;
use vx11_telemetry::{TraceContext, client_span};

use crate::context::RequestContext;

/// Largest answer that is read from another service.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TOKEN: HeaderName = HeaderName::from_static(headers::TOKEN);
const DEADLINE_MS: HeaderName = HeaderName::from_static(headers::DEADLINE_MS);
const BEGIN_TIMEOUT_MS: HeaderName = HeaderName::from_static(headers::BEGIN_TIMEOUT_MS);
const CORRELATION_ID: HeaderName = HeaderName::from_static(headers::CORRELATION_ID);
const TRACEPARENT: HeaderName = HeaderName::from_static(headers::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static(headers::TRACESTATE);

/// Why a call gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service could not be reached: nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection broke after the request was sent.
    #[error("the connection broke: {0}")]
    Transport(String),
    /// No answer within the limit.
    #[error("no answer within the time limit")]
    Timeout,
    /// An answer that reports a failure.
    #[error("answered {status}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The envelope, where it is one of ours.
        body: Option<Box<ErrorBody>>,
    },
    /// An answer off its schema.
    #[error("answered off its schema: {0}")]
    Schema(String),
}

impl CallError {
    /// A short stable name, for metrics and `fallback_source`.
    pub fn kind(&self) -> String {
        match self {
            Self::Connect(_) => "connect".to_owned(),
            Self::Transport(_) => "transport".to_owned(),
            Self::Timeout => "timeout".to_owned(),
            Self::Status { status, .. } => format!("http_{status}"),
            Self::Schema(_) => "invalid_answer".to_owned(),
        }
    }

    /// Whether the service itself did not answer, as opposed to answering something unwelcome.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Transport(_) | Self::Timeout)
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        if error.is_connect() { Self::Connect(chain(&error)) } else { Self::Transport(chain(&error)) }
    }
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// One service, as another one calls it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    http: Client,
    name: &'static str,
    base: Url,
    /// Marked sensitive, so that it is never printed.
    token: Option<HeaderValue>,
    /// What else every call says.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What came of a call that may be accepted and not be done yet.
#[derive(Debug)]
pub enum Accepted<A, L> {
    /// The answer.
    Answer(A),
    /// 202: the answer comes later.
    Later(L),
}

impl ServiceClient {
    /// Calls the service `name` at `base`, presenting `token`. `connect` bounds the making of a connection.
    ///
    /// # Errors
    /// When nothing can be called at `base`.
    pub fn new(
        name: &'static str,
        base: &Url,
        token: Option<&SecretString>,
        connect: Duration,
    ) -> Result<Self, InvalidAddress> {
        let http = Client::new(Connector::plain(base, connect)?);
        // A token that no header can hold is refused with the configuration.
        let token = token.and_then(|token| HeaderValue::from_str(token.expose_secret()).ok()).map(|mut token| {
            token.set_sensitive(true);
            token
        });
        Ok(Self { http, name, base: base.clone(), token, headers: Vec::new() })
    }

    /// The same, with a header on every call; it shares the connections.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The service's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it is.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// GET, and the answer's JSON as `A`.
    ///
    /// # Errors
    /// As [`CallError`] lists.
    pub async fn get<A: DeserializeOwned>(
        &self,
        path: &str,
        context: &RequestContext,
        limit: Duration,
    ) -> Result<A, CallError> {
        self.json(Method::GET, path, None, context, limit).await
    }

    /// POST of `body`, and the answer's JSON as `A`.
    ///
    /// # Errors
    /// As [`CallError`] lists.
    pub async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        context: &RequestContext,
        limit: Duration,
    ) -> Result<A, CallError> {
        self.json(Method::POST, path, Some(encode(body)?), context, limit).await
    }

    /// POST of `body`, and the answer's JSON as `A`, or as `L` where it is 202.
    ///
    /// # Errors
    /// As [`CallError`] lists.
    pub async fn post_or_later<A: DeserializeOwned, L: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        context: &RequestContext,
        limit: Duration,
    ) -> Result<Accepted<A, L>, CallError> {
        let read = |status, bytes: &[u8]| match status {
            StatusCode::ACCEPTED => read_json(bytes).map(Accepted::Later),
            _ => read_json(bytes).map(Accepted::Answer),
        };
        self.whole(Method::POST, path, Some(encode(body)?), context, limit, read).await
    }

    /// POST of `body`; answers with the response once its head is in. `limit` covers the head, and is told as that;
    /// reading the body is the caller's to bound. Only a deadline that the request came in with is passed on: it is for
    /// all of the answer.
    ///
    /// # Errors
    /// As [`CallError`] lists.
    pub async fn post_stream(
        &self,
        path: &str,
        body: &impl Serialize,
        context: &RequestContext,
        limit: Duration,
    ) -> Result<Response, CallError> {
        let (span, trace) = client_span(Method::POST.as_str(), self.name, &self.base, &context.trace);
        let request = self.request(Method::POST, path, Some(encode(body)?), context, &trace)?;
        let request = within(request, BEGIN_TIMEOUT_MS, Deadline::after(limit));
        let request = match context.deadline {
            Some(deadline) => within(request, DEADLINE_MS, deadline),
            None => request,
        };
        let call = pin!(async {
            let response = request.send().await?;
            match response.status() {
                StatusCode::OK => Ok(response),
                _ => Err(refusal(response).await),
            }
        });
        observed(span, limit, call).await
    }

    async fn json<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        context: &RequestContext,
        limit: Duration,
    ) -> Result<A, CallError> {
        self.whole(method, path, body, context, limit, |_, bytes| read_json(bytes)).await
    }

    /// What `read` makes of a whole answer that is a success.
    async fn whole<A>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        context: &RequestContext,
        limit: Duration,
        read: impl FnOnce(StatusCode, &[u8]) -> Result<A, CallError>,
    ) -> Result<A, CallError> {
        let (span, trace) = client_span(method.as_str(), self.name, &self.base, &context.trace);
        let request = self.request(method, path, body, context, &trace)?;
        let request = within(request, DEADLINE_MS, Deadline::after(limit));
        let call = pin!(async {
            let response = request.send().await?;
            if !response.status().is_success() {
                return Err(refusal(response).await);
            }
            let status = response.status();
            read(status, &read_bounded(response).await?)
        });
        observed(span, limit, call).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        context: &RequestContext,
        trace: &TraceContext,
    ) -> Result<Request, CallError> {
        let prefix = self.base.path().trim_end_matches('/');
        let target = if prefix.is_empty() { path.parse() } else { format!("{prefix}{path}").parse() };
        let target: PathAndQuery = target.map_err(|_| CallError::Connect(format!("`{path}` is no path")))?;
        let mut request = propagate(self.http.request(method, target), context, trace);
        if let Some(token) = &self.token {
            request = request.header(TOKEN, token.clone());
        }
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        Ok(match body {
            Some(body) => request.header(CONTENT_TYPE, JSON).body(body),
            None => request,
        })
    }
}

/// Says in the header `name` how much is left until `deadline`.
fn within(request: Request, name: HeaderName, deadline: Deadline) -> Request {
    request.header(name, HeaderValue::from(deadline.header_value()))
}

/// Adds the correlation id and the trace context to an outgoing request.
pub fn propagate(request: Request, context: &RequestContext, trace: &TraceContext) -> Request {
    let with = |request: Request, name, value: &str| match HeaderValue::from_str(value) {
        Ok(value) => request.header(name, value),
        Err(_) => request,
    };
    let request = with(request, CORRELATION_ID, &context.correlation_id);
    let request = with(request, TRACEPARENT, &trace.traceparent());
    match trace.tracestate() {
        Some(state) => with(request, TRACESTATE, state),
        None => request,
    }
}

fn encode(body: &impl Serialize) -> Result<Bytes, CallError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| CallError::Schema(error.to_string()))
}

fn read_json<A: DeserializeOwned>(bytes: &[u8]) -> Result<A, CallError> {
    serde_json::from_slice(bytes).map_err(|error| CallError::Schema(error.to_string()))
}

async fn refusal(response: Response) -> CallError {
    let status = response.status().as_u16();
    let body = read_bounded(response).await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    CallError::Status { status, body }
}

/// Makes a call within `limit`, and says on its span how it ended. The call is borrowed: handed on, it would be held
/// twice.
async fn observed<A>(
    span: Span,
    limit: Duration,
    call: Pin<&mut impl Future<Output = Result<A, CallError>>>,
) -> Result<A, CallError> {
    let result = tokio::time::timeout(limit, call.instrument(span.clone())).await.unwrap_or(Err(CallError::Timeout));
    match &result {
        Ok(_) => span.record("http.response.status_code", 200),
        // The status is the error's type too.
        Err(CallError::Status { status, .. }) => span.record("http.response.status_code", i64::from(*status)),
        Err(error) => span.record("error.type", error.kind()),
    };
    result
}

/// The whole body of an answer.
///
/// # Errors
/// When it breaks off or is larger than what is ever sent between services.
pub async fn read_bounded(response: Response) -> Result<Bytes, CallError> {
    read_at_most(response, MAX_ANSWER).await
}

/// The whole body of an answer that may have up to `limit` bytes.
///
/// # Errors
/// When it breaks off or is larger.
pub async fn read_at_most(mut response: Response, limit: usize) -> Result<Bytes, CallError> {
    let Some(first) = response.chunk().await? else { return Ok(Bytes::new()) };
    // Nearly every answer is one chunk; it is used as it came.
    let Some(second) = response.chunk().await? else { return Ok(first) };
    let mut whole = Vec::with_capacity(first.len() + second.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(chunk) = response.chunk().await? {
        if whole.len() + chunk.len() > limit {
            return Err(CallError::Schema(format!("the answer is larger than {limit} bytes")));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}
