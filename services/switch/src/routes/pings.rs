//! Comments in a stream that has fallen silent, so that proxies on the way keep it open.
//!
//! A stream is only read once its head is on the way; nothing is said before.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

/// What is said; readers of events skip it.
const PING: Bytes = Bytes::from_static(b": ping\n\n");

/// A stream, and a ping after each `every` of silence.
///
/// There is one timer a stream, which is set anew only when it runs out: a chunk costs a look at the clock.
#[derive(Debug)]
pub(super) struct Pinged<S> {
    stream: Pin<Box<S>>,
    timer: Pin<Box<Sleep>>,
    every: Duration,
    spoke: Instant,
}

impl<S> Pinged<S> {
    pub(super) fn new(stream: S, every: Duration) -> Self {
        Self { stream: Box::pin(stream), timer: Box::pin(sleep(every)), every, spoke: Instant::now() }
    }
}

impl<S, E> Stream for Pinged<S>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(next) = self.stream.as_mut().poll_next(context) {
            self.spoke = Instant::now();
            return Poll::Ready(next);
        }
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let silent = now.duration_since(self.spoke) >= self.every;
            if silent {
                self.spoke = now;
            }
            let next = self.spoke + self.every;
            self.timer.as_mut().reset(next);
            if silent {
                return Poll::Ready(Some(Ok(PING)));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};

    use super::*;

    const SPEECH: Bytes = Bytes::from_static(b"speech");

    fn said(bytes: Bytes) -> Result<Bytes, Infallible> {
        Ok(bytes)
    }

    #[tokio::test]
    async fn silence_is_broken_by_pings() {
        let silent = stream::iter([said(SPEECH)]).chain(stream::pending());
        let heard: Vec<_> = Pinged::new(silent, Duration::from_millis(1)).take(3).collect().await;
        assert_eq!(heard, [said(SPEECH), said(PING), said(PING)]);
    }

    #[tokio::test]
    async fn who_speaks_is_not_interrupted_and_the_end_is_the_end() {
        // The timer has run out by the time it is looked at, and still what is said goes first.
        let speech = stream::iter([said(SPEECH), said(SPEECH)]);
        let pinged = Pinged::new(speech, Duration::from_nanos(1));
        tokio::task::yield_now().await;
        let heard: Vec<_> = pinged.collect().await;
        assert_eq!(heard, [said(SPEECH), said(SPEECH)]);
    }
}
