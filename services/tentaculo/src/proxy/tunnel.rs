//! WebSockets: once the service has agreed, bytes go both ways as they come.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::header::{CONNECTION, UPGRADE};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use async_stream::try_stream;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;
use vx11_contracts::intervention::{CLOSE_NOBODY, CLOSE_WRONG_TOKEN};
use vx11_http_client::{Error, Response};
use vx11_resilience::Choice;

use super::frames::FrameCounter;
use super::headers;
use crate::metrics::SocketGuard;
use crate::replicas::Target;
use crate::state::State;
use crate::upstream::is_socket;

/// Bytes that are read at a time.
const BUFFER: usize = 16 * 1024;
/// A close frame that says "going away" (1001).
const GOING_AWAY: Bytes = Bytes::from_static(b"\x88\x02\x03\xe9");

/// Whether the client asks for a WebSocket.
pub(super) fn is_websocket(http: &HttpRequest) -> bool {
    let has = |name, word: &str| {
        let values = http.headers().get_all(name).filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    has(CONNECTION, "upgrade") && has(UPGRADE, "websocket")
}

/// Joins the client's connection and the service's; `replica` has it to do until it is closed.
pub(super) async fn open(
    state: &State,
    http: &HttpRequest,
    response: Response,
    replica: Choice<Target>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let mut answer = headers::answer(&response);
    let refused = |error: Error| {
        ApiError::new(ErrorCode::UpstreamError, "the service did not open its WebSocket").with_cause(error)
    };
    let (from_service, to_service) = response.upgrade().await.map_err(refused)?;
    let upward = actix_web::rt::spawn(upward(state.clone(), payload, to_service));
    let open = Open { upward, _counted: state.metrics.socket(), _under_way: replica };
    let client = is_socket(http.uri().path()).then(|| state.trusted.client(http)).flatten();
    let downward = downward(state.clone(), from_service, client, open);
    Ok(answer.upgrade("websocket").streaming(Box::pin(downward)))
}

/// An open tunnel. Dropped with the client's connection, it ends the other direction too.
struct Open {
    upward: actix_web::rt::task::JoinHandle<()>,
    _counted: SocketGuard,
    _under_way: Choice<Target>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.upward.abort();
    }
}

/// From the client to the service, until either ends.
async fn upward(state: State, mut payload: Payload, mut service: impl AsyncWrite + Unpin) {
    let counted = state.metrics.messages.with_label_values(&["in"]);
    let mut frames = FrameCounter::default();
    while let Some(Ok(chunk)) = payload.next().await {
        counted.inc_by(frames.push(&chunk));
        let written = tokio::time::timeout(state.config.idle_timeout, service.write_all(&chunk)).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
    // The service learns that no more will come; it may be gone already.
    let _ = tokio::time::timeout(Duration::from_secs(1), service.shutdown()).await;
}

/// From the service to the client, until either ends, falls silent, or the edge stops. Where the service asks itself who
/// calls, `client` has presented a wrong token when it says so.
fn downward(
    state: State,
    mut service: impl AsyncRead + Unpin,
    client: Option<IpAddr>,
    open: Open,
) -> impl Stream<Item = std::io::Result<Bytes>> {
    let counted = state.metrics.messages.with_label_values(&["out"]);
    try_stream! {
        let _open = open;
        let mut frames = FrameCounter::default();
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(BUFFER);
            let read = tokio::select! {
                read = tokio::time::timeout(state.config.idle_timeout, service.read_buf(&mut buffer)) => read,
                () = state.shutdown.begun() => {
                    if frames.is_between_frames() { yield GOING_AWAY; }
                    return;
                }
            };
            match read {
                Ok(Ok(0)) | Err(_) => return,
                Ok(read) => { read?; }
            }
            let chunk = buffer.split().freeze();
            counted.inc_by(frames.push(&chunk));
            if let (Some(client), Some((CLOSE_NOBODY, reason))) = (client, frames.closed_with())
                && reason == CLOSE_WRONG_TOKEN.as_bytes()
            {
                state.limits.count_wrong_token(client);
            }
            yield chunk;
        }
    }
}
