//! The beginning of a stream: read until there is a token, or the end, so that until then another provider can take its
//! place unseen.

use std::collections::VecDeque;

use http::header::CONTENT_TYPE;
use vx11_chassis::sse;
use vx11_http_client::Response;
use vx11_resilience::Deadline;

use super::source::{Event, Source};
use super::translation::Translation;
use crate::domain::delivered::Delivered;
use crate::domain::failover::Failure;
use crate::domain::outcome::Outcome;
use crate::gateway::exchange;
use crate::gateway::progress::Progress;
use crate::gateway::uncounted::Wrote;
use crate::providers::Limits;

/// Most events that are held back until an answer begins; openings are of a few.
const MOST_HELD: usize = 64;

/// A stream of which the first token is in.
#[derive(Debug)]
pub(in crate::gateway) struct Opened {
    pub(super) source: Source,
    pub(super) begins_with_token: bool,
    pub(super) request_id: Option<String>,
    /// What has been read of the answer so far.
    said: Delivered,
}

impl Opened {
    /// Waits for the answer to begin. The caller bounds the wait.
    pub(in crate::gateway) async fn read(
        response: Response,
        choices: u32,
        limits: Limits,
        translation: Translation,
        keeps_written: bool,
    ) -> Result<Self, Failure> {
        let content_type =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !content_type.starts_with(sse::CONTENT_TYPE) {
            return Err(exchange::no_stream(response, translation.from).await);
        }
        let request_id = exchange::request_id(&response);
        let mut source = Source::new(response, choices, limits, translation);
        if keeps_written {
            source.watch.keep_written();
        }
        let (mut said, mut held, mut bytes) = (Delivered::default(), VecDeque::new(), 0);
        loop {
            match source.next(Some(&mut said)).await {
                Ok(Event::Frame { frame, token }) => {
                    bytes += frame.raw.len();
                    held.push_back(Event::Frame { frame, token });
                    let is_full = held.len() == MOST_HELD || bytes > source.translation.most_held();
                    if token || source.watch.has_spoken() || is_full {
                        source.begin(held, limits.idle);
                        return Ok(Self { source, begins_with_token: token, request_id, said });
                    }
                }
                Ok(Event::Comment(_)) => {}
                Ok(Event::End) => return Err(Failure::new(Outcome::InvalidAnswer, "the stream is empty")),
                Err(outcome) => {
                    let reported = source.reported(request_id.as_deref());
                    return Err(reported.unwrap_or_else(|| Failure::new(outcome, "the stream broke before its answer")));
                }
            }
        }
    }

    /// The first chunk in which the answer was begun.
    pub(in crate::gateway) fn first_chunk(&self) -> &[u8] {
        self.said.first_chunk()
    }

    /// When the stream must be over.
    pub(in crate::gateway) fn total(&self) -> Deadline {
        self.source.total
    }

    /// What was said so far; to be asked for once.
    pub(in crate::gateway) fn take_said(&mut self) -> Delivered {
        std::mem::take(&mut self.said)
    }

    /// Reads what is left, for who wants to know only how it goes, how far it has `got` until then, and at its end what
    /// it `wrote`.
    pub(in crate::gateway) async fn read_to_the_end(
        mut self,
        got: &mut Progress,
        wrote: &mut Wrote,
    ) -> Result<(), Outcome> {
        let ended = loop {
            let event = self.source.next(None).await;
            *got = self.source.progress();
            match event {
                Ok(Event::End) => break Ok(()),
                Err(_) if self.source.watch.is_complete() => break Ok(()),
                Ok(Event::Frame { .. } | Event::Comment(_)) => {}
                Err(outcome) => break Err(outcome),
            }
        };
        *wrote = self.source.wrote();
        ended
    }

    /// Lets the stream end by `whole`, if its provider's own limit is later.
    pub(in crate::gateway) fn ends_by(&mut self, whole: Deadline) {
        self.source.total = self.source.total.min(whole);
    }
}
