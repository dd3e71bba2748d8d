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

    /// Sends `request` and waits for the head of the answer. The error holds the request where nothing of it was sent,
    /// as where the other side turns out to have closed the connection while it was idle: hyper reads before it takes
    /// up the request, and takes up none where the task's budget does not let it read.
    pub(crate) fn send(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<http::Response<Incoming>, TrySendError<Request<Body>>>> {
        // The head is handed over while the connection is polled below, by this very task, which so needs no wake-up
        // for it: neither a waker, nor a budget whose end only a waker could tell.
        let head = unconstrained(self.sender.try_send_request(request));
        let (http, is_over) = (&mut self.http, &mut self.is_over);
        async move {
            let mut head = pin!(head);
            std::future::poll_fn(|cx| {
                poll(http, is_over, cx);
                let mut unwoken = Context::from_waker(Waker::noop());
                let answered = head.as_mut().poll(&mut unwoken);
                if answered.is_pending() && *is_over {
                    // It was closed before. What it had not begun to send it gives back only when it is dropped.
                    *http = None;
                    return head.as_mut().poll(&mut unwoken);
                }
                answered
            })
            .await
        }
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

    /// Whether the other side has not closed it.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::coop::{consume_budget, has_budget_remaining};
    use tokio::task::yield_now;
    use tokio_util::either::Either;

    use super::*;

    /// One that has served a request, and that its peer has closed since.
    async fn closed() -> Box<Connection> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let tcp = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (mut peer, _) = listener.accept().await.expect("a connection");
        let mut connection = Connection::new(Either::Left(tcp)).await.expect("a connection");
        let answer = async {
            peer.read_u8().await.expect("a request");
            peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("written");
        };
        let (answered, ()) = tokio::join!(connection.send(Request::new(Body::Empty)), answer);
        answered.expect("answered");
        peer.shutdown().await.expect("closed");
        // The runtime hears of it; nobody looks at the connection before its next request is handed over.
        for _ in 0..8 {
            yield_now().await;
        }
        connection
    }

    /// Hands it a request, and says whether that came back unsent.
    async fn gives_back(mut connection: Box<Connection>) -> bool {
        let sent = tokio::time::timeout(Duration::from_secs(20), connection.send(Request::new(Body::Empty)));
        sent.await.expect("in time").expect_err("closed").take_message().is_some()
    }

    #[tokio::test]
    async fn one_that_was_closed_gives_its_next_request_back() {
        assert!(gives_back(closed().await).await);
    }

    #[tokio::test]
    async fn one_that_was_closed_is_seen_to_be_by_a_task_that_has_done_enough_for_now() {
        let connection = closed().await;
        while has_budget_remaining() {
            consume_budget().await;
        }
        assert!(gives_back(connection).await);
    }
}
