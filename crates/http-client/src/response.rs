//! What was answered: the head, and the body as it comes.

use std::io::Cursor;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, Chain, ReadHalf, WriteHalf};

use crate::connect::Io;
use crate::connection::Connection;
use crate::error::Error;
use crate::idle::Idle;

/// An answer. Read to its end, it gives its connection back; dropped before, it closes it.
pub struct Response {
    head: Parts,
    body: Incoming,
    /// Until the body is over.
    connection: Option<Box<Connection>>,
    idle: Arc<Idle>,
}

/// The two halves of a connection that speaks another protocol now.
pub type Upgraded = (Chain<Cursor<Bytes>, ReadHalf<Io>>, WriteHalf<Io>);

impl Response {
    pub(crate) fn new(answer: http::Response<Incoming>, connection: Box<Connection>, idle: Arc<Idle>) -> Self {
        let (head, body) = answer.into_parts();
        let mut response = Self { head, body, connection: Some(connection), idle };
        if response.body.is_end_stream() && response.head.status != StatusCode::SWITCHING_PROTOCOLS {
            response.give_back();
        }
        response
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// How many bytes the rest of the body has, where that is known.
    pub fn content_length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next chunk of the body as it came; `None` at its end. May be dropped while it waits, and called again, but
    /// not after an error. What the request's own body still has to send goes on only while this waits.
    ///
    /// # Errors
    /// When the body breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        if let Poll::Ready(read) = self.poll_read() {
            return Poll::Ready(read);
        }
        if let Some(connection) = &mut self.connection {
            // How it ended, if it did, the body says.
            let _ = connection.poll(cx);
        }
        self.poll_read()
    }

    /// What the connection has read until now, for which nobody has to be woken: it reads only when it is polled above.
    fn poll_read(&mut self) -> Poll<Result<Option<Bytes>, Error>> {
        let mut unwoken = Context::from_waker(Waker::noop());
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(&mut unwoken)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => return Poll::Ready(Ok(Some(chunk))),
                    Err(_trailers) => {}
                },
                Some(Err(error)) => {
                    self.connection = None;
                    return Poll::Ready(Err(Error::Broken(error)));
                }
                None => {
                    self.give_back();
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }

    fn give_back(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if connection.is_ready() || (connection.is_open() && connection.is_ready()) {
            self.idle.put(connection);
        }
    }

    /// The bare connection, after the other side has agreed to speak another protocol (101).
    ///
    /// # Errors
    /// When it has not.
    pub async fn upgrade(mut self) -> Result<Upgraded, Error> {
        let connection = self.connection.take().filter(|_| self.head.status == StatusCode::SWITCHING_PROTOCOLS);
        let (io, read) = connection.ok_or(Error::NotUpgraded)?.into_io().await?;
        let (reader, writer) = tokio::io::split(io);
        Ok((AsyncReadExt::chain(Cursor::new(read), reader), writer))
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("status", &self.head.status).finish_non_exhaustive()
    }
}
