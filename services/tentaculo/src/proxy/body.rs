//! Bodies: a small one is read whole, so that it can be sent twice; any other streams through, within its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::web::Payload;
use async_stream::try_stream;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use vx11_chassis::ApiError;
use vx11_chassis::extract::discard;
use vx11_contracts::ErrorCode;
use vx11_http_client::{Error, Request, Response};
use vx11_resilience::Choice;

use crate::replicas::Target;

/// Up to this size a body of known length is read whole.
const SMALL: usize = 64 * 1024;
/// Chunks of a streamed body that may wait for the service.
const WAITING_CHUNKS: usize = 8;

/// A request's body.
pub(super) enum Body {
    Empty,
    Whole(Bytes),
    Stream(Streamed),
}

/// A body that streams through. The channel is there because the client's side belongs to its thread.
pub(super) struct Streamed {
    length: Option<u64>,
    /// Lent to the request that is sent; one that was never sent has taken nothing from it.
    chunks: Arc<Mutex<mpsc::Receiver<Result<Bytes, TooLarge>>>>,
    /// What stopped the client's side, when something did.
    stopped: tokio::sync::oneshot::Receiver<ApiError>,
    /// Whether it is the client that is waited for, not the service.
    owed: Arc<AtomicBool>,
}

impl Body {
    /// Puts it into a request; again into another one, where it [can be sent again](Self::is_whole) or nothing of it was.
    pub(super) fn give(&self, request: Request) -> Request {
        match self {
            Self::Empty => request,
            Self::Whole(bytes) => request.body(bytes.clone()),
            Self::Stream(Streamed { length, chunks, .. }) => {
                let chunks = chunks.clone();
                let chunks = futures_util::stream::poll_fn(move |cx| chunks.lock().poll_recv(cx));
                let request = request.body(vx11_http_client::Body::stream(chunks));
                match length {
                    Some(length) => request.header(http::header::CONTENT_LENGTH, (*length).into()),
                    None => request,
                }
            }
        }
    }

    /// Whether it can be sent twice.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self, Self::Stream(_))
    }

    /// Why it broke off, if it did.
    pub(super) fn refused(&mut self) -> Option<ApiError> {
        match self {
            Self::Empty | Self::Whole(_) => None,
            Self::Stream(streamed) => streamed.stopped.try_recv().ok(),
        }
    }

    /// Whether the client owes the next chunk; `None` where all of it is there.
    pub(super) fn owed(&self) -> Option<Arc<AtomicBool>> {
        match self {
            Self::Empty | Self::Whole(_) => None,
            Self::Stream(streamed) => Some(streamed.owed.clone()),
        }
    }
}

/// The body broke its limit, or broke off; the request to the service is broken off with it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request's body was given up")]
pub(super) struct TooLarge;

/// Takes in the body of a request.
pub(super) async fn read(http: &HttpRequest, payload: Payload, limit: usize) -> Result<Body, ApiError> {
    let length = http.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    match length {
        Some(length) if length > limit => {
            discard(payload.into_inner()).await;
            Err(too_large(limit))
        }
        Some(0) => Ok(Body::Empty),
        Some(length) if length <= SMALL => whole(payload, length).await.map(Body::Whole),
        None if !http.headers().contains_key(TRANSFER_ENCODING) => Ok(Body::Empty),
        length => Ok(Body::Stream(stream(payload, length.map(|length| length as u64), limit))),
    }
}

async fn whole(mut payload: Payload, length: usize) -> Result<Bytes, ApiError> {
    let mut first = None;
    let mut rest = BytesMut::new();
    let mut left = length;
    // Counted, because a connection on its way to another protocol has no end of its own.
    while left > 0 {
        let Some(chunk) = payload.next().await else { break };
        let mut chunk = chunk.map_err(broke_off)?;
        chunk.truncate(left);
        left -= chunk.len();
        match &first {
            // Nearly every small body is one chunk; it is used as it came.
            None => first = Some(chunk),
            Some(first) => {
                if rest.is_empty() {
                    rest.reserve(length);
                    rest.extend_from_slice(first);
                }
                rest.extend_from_slice(&chunk);
            }
        }
    }
    Ok(if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() })
}

fn stream(mut payload: Payload, length: Option<u64>, limit: usize) -> Streamed {
    let (sender, chunks) = mpsc::channel(WAITING_CHUNKS);
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let owed = Arc::new(AtomicBool::new(true));
    let waiting = owed.clone();
    // Ends with the body, or when the receiver is dropped with the request to the service.
    actix_web::rt::spawn(async move {
        let mut left = limit;
        loop {
            waiting.store(true, Ordering::Relaxed);
            let next = payload.next().await;
            waiting.store(false, Ordering::Relaxed);
            let Some(chunk) = next else { return };
            let refused = match chunk {
                Ok(chunk) => match left.checked_sub(chunk.len()) {
                    Some(rest) => {
                        left = rest;
                        if sender.send(Ok(chunk)).await.is_err() {
                            return;
                        }
                        continue;
                    }
                    None => too_large(limit),
                },
                Err(error) => broke_off(error),
            };
            let _ = stop.send(refused);
            let _ = sender.send(Err(TooLarge)).await;
            drop(sender);
            discard(payload.into_inner()).await;
            return;
        }
    });
    Streamed { length, chunks: Arc::new(Mutex::new(chunks)), stopped, owed }
}

/// The chunks of `replica`'s answer as they come; silence for longer than `idle` breaks it off.
pub(super) fn chunks(
    mut response: Response,
    replica: Choice<Target>,
    idle: Duration,
) -> impl Stream<Item = Result<Bytes, Broken>> {
    try_stream! {
        let _under_way = replica;
        while let Some(chunk) = tokio::time::timeout(idle, response.chunk()).await.map_err(|_| Broken::Silent)?? {
            yield chunk;
        }
    }
}

/// An answer broke off; the client's connection is closed, so that it does not take a part for the whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the service fell silent")]
    Silent,
    #[error("the service's answer broke off")]
    Cut(#[from] Error),
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(ErrorCode::PayloadTooLarge, format!("the body is larger than the limit of {limit} bytes"))
}

/// The client was waited for in vain.
pub(super) fn too_slow() -> ApiError {
    ApiError::new(ErrorCode::MalformedRequest, "the body did not come within the time limit")
}

fn broke_off(error: actix_web::error::PayloadError) -> ApiError {
    ApiError::new(ErrorCode::MalformedRequest, format!("the body broke off: {error}"))
}
