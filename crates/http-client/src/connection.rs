//! One connection, and what goes over it: one exchange at a time.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::coop::unconstrained;

use crate::body::Body;
use crate::connect::Io;
use crate::error::Error;

/// A connection that is nobody's task: it gets on while [`Connection::poll`] is called.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    http: Option<http1::Connection<TokioIo<Io>, Body>>,
    is_over: bool,
}

impl Connection {
    /// Speaks HTTP over `io`.
    pub(crate) async fn new(io: Io) -> Result<Box<Self>, Error> {
        let (sender, http) = http1::handshake(TokioIo::new(io)).await.map_err(Error::Broken)?;
        Ok(Box::new(Self { sender, http: Some(http), is_over: false }))
    }

    /// Sends `request` and waits for the head of the answer. The error holds the request where nothing of it was sent.
    pub(crate) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<http::Response<Incoming>, TrySendError<Request<Body>>> {
        // The head is handed over while the connection is polled below, by this very task, which so needs no wake-up for
        // it: neither a waker, nor a budget whose end only a waker could tell.
        let mut head = pin!(unconstrained(self.sender.try_send_request(request)));
        let (http, is_over) = (&mut self.http, &mut self.is_over);
        std::future::poll_fn(|cx| {
            poll(http, is_over, cx);
            let mut unwoken = Context::from_waker(Waker::noop());
            let answered = head.as_mut().poll(&mut unwoken);
            if answered.is_pending() && *is_over {
                // It was closed as it was taken up. What it had not begun to send it gives back only when it is dropped.
                *http = None;
                return head.as_mut().poll(&mut unwoken);
            }
            answered
        })
        .await
    }

    /// Gets on with reading and writing. How a connection ends, the exchange that it carries is told.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        poll(&mut self.http, &mut self.is_over, cx);
        if self.is_over { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether another request may be sent, once the one before is over.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_over && self.sender.is_ready()
    }

    /// Whether the other side has not closed it while it lay idle.
    pub(crate) fn is_open(&mut self) -> bool {
        // Without a budget, whose end would look like an open connection.
        let looked = pin!(unconstrained(std::future::poll_fn(|cx| self.poll(cx))));
        let is_pending = looked.poll(&mut Context::from_waker(Waker::noop())).is_pending();
        is_pending && !self.sender.is_closed()
    }

    /// The bare connection, with what was read of it already, once HTTP on it is over.
    pub(crate) async fn into_io(mut self: Box<Self>) -> Result<(Io, Bytes), Error> {
        std::future::poll_fn(|cx| self.poll(cx)).await;
        let parts = self.http.ok_or(Error::NotUpgraded)?.into_parts();
        Ok((parts.io.into_inner(), parts.read_buf))
    }
}

/// A connection that is over must not be polled again.
fn poll(http: &mut Option<http1::Connection<TokioIo<Io>, Body>>, is_over: &mut bool, cx: &mut Context<'_>) {
    match http {
        Some(http) if !*is_over => *is_over = Pin::new(http).poll(cx).is_ready(),
        _ => *is_over = true,
    }
}
