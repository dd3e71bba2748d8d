//! Requests to one origin.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, Uri};

use crate::body::Body;
use crate::connect::Connector;
use crate::error::Error;
use crate::idle::Idle;
use crate::response::Response;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("vx11/", env!("CARGO_PKG_VERSION")));
/// Headers that a request mostly has.
const HEADERS: usize = 16;

/// Calls one origin, and keeps its connections. Cheap to clone; clones share them.
///
/// Each worker makes its own, because connections that two threads share cost wake-ups on every request.
#[derive(Clone)]
pub struct Client(Arc<Origin>);

struct Origin {
    connector: Connector,
    host: HeaderValue,
    idle: Arc<Idle>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("host", &self.0.host).finish_non_exhaustive()
    }
}

/// A request that can be sent.
#[derive(Debug)]
#[must_use = "it does nothing until it is sent"]
pub struct Request {
    client: Client,
    http: http::Request<Body>,
    /// The longest that a connection may take which is made for it, where that is less than the client allows.
    connect: Option<Duration>,
}

impl Client {
    /// A client with the connections that `connector` makes.
    pub fn new(connector: Connector) -> Self {
        Self(Arc::new(Origin { host: connector.host(), connector, idle: Arc::default() }))
    }

    /// A request for `target` that says who asks, and nothing else yet.
    pub fn request(&self, method: Method, target: PathAndQuery) -> Request {
        let mut http = http::Request::new(Body::Empty);
        *http.method_mut() = method;
        *http.uri_mut() = Uri::from(target);
        let headers = http.headers_mut();
        headers.reserve(HEADERS);
        headers.insert(HOST, self.0.host.clone());
        headers.insert(USER_AGENT, AGENT);
        Request { client: self.clone(), http, connect: None }
    }
}

impl Request {
    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.http.headers_mut().insert(name, value);
        self
    }

    /// All headers.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.http.headers_mut()
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.http.body_mut() = body.into();
        self
    }

    /// Bounds the making of a connection, should one have to be made; the client's own limit holds beside it.
    pub fn connect_within(mut self, limit: Option<Duration>) -> Self {
        self.connect = limit;
        self
    }

    /// Sends it, and answers with the response once its head is in. The caller bounds the wait.
    ///
    /// # Errors
    /// When there is no connection, or it breaks before the head.
    pub fn send(self) -> impl Future<Output = Result<Response, Error>> {
        self.send_noting(|_| {})
    }

    /// As [`Request::send`]; `note` hears whether anything may have been sent by now: `true` once there is a connection
    /// for it, and `false` should that turn out to have been closed.
    ///
    /// # Errors
    /// When there is no connection, or it breaks before the head.
    pub fn send_noting(self, note: impl Fn(bool)) -> impl Future<Output = Result<Response, Error>> {
        let Self { client, http: mut request, connect } = self;
        async move {
            let Origin { connector, idle, .. } = &*client.0;
            loop {
                let kept = idle.take();
                let was_kept = kept.is_some();
                let mut connection = match kept {
                    Some(connection) => connection,
                    // Kept apart, because it is seldom needed, and would make the future of every request larger.
                    None => Box::pin(connector.connect(connect)).await?,
                };
                note(true);
                match connection.send(request).await {
                    Ok(answer) => return Ok(Response::new(answer, connection, idle.clone())),
                    Err(mut error) => match error.take_message() {
                        // Closed by the other side while it was idle; of the request nothing was sent.
                        Some(unsent) if was_kept => {
                            note(false);
                            request = unsent;
                        }
                        Some(_) => return Err(Error::connect(error.into_error())),
                        None => return Err(Error::Broken(error.into_error())),
                    },
                }
            }
        }
    }
}
