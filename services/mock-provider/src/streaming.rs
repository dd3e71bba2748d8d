//! A reply as a stream, chunk by chunk, and how that goes wrong, whatever the wire.

use std::time::Duration;

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use vx11_chassis::Shutdown;

use crate::domain::fault::{FaultPlan, Kind};
use crate::domain::reply::Reply;
use crate::ledger::Open;
use crate::wire::{Chunk, Refusal, Renderer};

/// The longest that a hanging or stalled request is held.
pub(crate) const LONGEST_HOLD: Duration = Duration::from_secs(600);

/// The connection is closed in the middle of the body.
#[derive(Debug, thiserror::Error)]
#[error("cut on request")]
pub(crate) struct Cut;

/// A streamed reply.
pub(crate) struct Streamed<R> {
    pub(crate) renderer: R,
    pub(crate) reply: Reply,
    pub(crate) plan: FaultPlan,
    pub(crate) shutdown: Shutdown,
}

/// Keeps a request waiting for as long as any is held, or until the service stops.
pub(crate) async fn hold(shutdown: &Shutdown) {
    tokio::select! {
        () = tokio::time::sleep(LONGEST_HOLD) => {}
        () = shutdown.begun() => {}
    }
}

impl<R: Renderer> Streamed<R> {
    /// The body. `open` learns how it ended, also when the client goes away.
    pub(crate) fn body(
        self,
        mut open: Open,
        counted: prometheus::IntCounter,
    ) -> impl Stream<Item = Result<Bytes, Cut>> {
        open.status = 200;
        let mut broken = false;
        let mut is_first = true;
        stream! {
            let mut first_token = self.plan.first_token;
            // The end, too, comes only after what is to go wrong before it.
            let chunks = self.renderer.chunks(&self.reply).map(Some).chain(std::iter::once(None));
            for chunk in chunks {
                // Nothing goes wrong before a chunk that opens the stream where that is asked for.
                let opens = self.plan.opened && is_first;
                if let Some(wait) = first_token.take_if(|_| !opens) { tokio::time::sleep(wait).await; }
                let reached = |at: Option<u64>| at.is_some_and(|at| !opens && open.tokens_sent >= at);
                if reached(self.plan.cut) {
                    // Lets what was written leave before the connection closes.
                    tokio::task::yield_now().await;
                    open.will_end("cut");
                    yield Err(Cut);
                    return;
                }
                if reached(self.plan.stall) {
                    hold(&self.shutdown).await;
                    open.will_end("hung");
                    yield Err(Cut);
                    return;
                }
                if reached(self.plan.malformed) && !broken {
                    broken = true;
                    yield Ok(self.renderer.malformed());
                }
                if reached(self.plan.garbled) && chunk.is_some() {
                    broken = true;
                    yield Ok(self.renderer.malformed());
                    continue;
                }
                if reached(self.plan.error_frame) {
                    open.will_end("error");
                    yield Ok(self.error_frame(is_first));
                    return;
                }
                let Some(Chunk { value, tokens }) = chunk else { break };
                if tokens > 0 {
                    if let Some(wait) = self.plan.drip { tokio::time::sleep(wait).await; }
                    open.tokens_sent += tokens;
                    counted.inc_by(tokens);
                }
                yield Ok(self.renderer.write(&value, is_first));
                is_first = false;
            }
            if self.plan.kind != Some(Kind::NoDone) {
                yield Ok(self.renderer.end(&self.reply));
            }
            open.will_end(if broken { "malformed" } else { "completed" });
        }
    }

    fn error_frame(&self, is_first: bool) -> Bytes {
        let status = self.plan.frame_status.unwrap_or(500);
        let fault = Refusal::Fault { status, retry_after: None, retry_after_ms: None };
        self.renderer.write(&R::WIRE.error(&fault).1, is_first)
    }
}
