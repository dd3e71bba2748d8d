//! Finishing a stream that broke: which target is asked next, how, and what of its answer the caller still needs.
//!
//! All of it happens in the pivot, whatever wire the caller and the targets speak, and whatever the first stream was
//! read in. The next target goes on from what was delivered where it can (prefill; a text completion's prompt); any
//! other one answers anew, and what the caller has is left out. With no target left, the one that was cut is asked once
//! more, unless the caller forbids fallbacks. When that answer turns out to be another one, the
//! model's policy decides: the same target is told to go on from the text, or the stream ends with an error. A call
//! whose failure may pass is made again, as before the answer began, and it is decided as there who is not asked: one
//! that was silent, or after a content policy anybody. All of it stays within the stream's total limit, the caller's
//! deadline included, and [`MOST_CALLS`].

mod asking;
mod cause;
mod whom;

use std::time::Instant;

use tracing::{Instrument, Span};
use vx11_chassis::RequestContext;
use vx11_chassis::sse::{Frame, Parser};
use vx11_resilience::Deadline;

use super::attempt::Attempt;
use super::stream::Opened;
use super::{Call, Gateway};
use crate::accounts::Bill;
use crate::config::OnDivergence;
use crate::domain::chunk::StreamWatch;
use crate::domain::delivered::Delivered;
use crate::domain::failover::{KeysTried, Tried};
use crate::domain::operation::Operation;
use crate::domain::request::ChatRequest;
use crate::domain::rewrite::{Manuscript, Misfit, Rewriter};
use crate::domain::routing::Target;
use crate::domain::wishes::Wishes;
use crate::wire;

use cause::Step;
pub(super) use cause::{Cause, Lost};

/// Most calls that are made to finish one stream.
const MOST_CALLS: u32 = 6;

/// What it takes to finish one caller's stream elsewhere.
#[derive(Debug)]
pub(crate) struct Rescue {
    pub(super) gateway: Gateway,
    /// Who pays for every call.
    pub(super) bill: Bill,
    request: ChatRequest,
    wishes: Wishes,
    pub(super) targets: Box<[Target]>,
    context: RequestContext,
    started: Instant,
    on_divergence: OnDivergence,
    /// When the whole stream must be over: the first provider's limit, or the caller's.
    total: Deadline,
    /// The request's span, for log lines and calls.
    span: Span,
    /// What the caller has.
    pub(super) delivered: Delivered,
    /// Every target that was tried, those before the first token included.
    pub(super) tried: Vec<Tried>,
    step: Step,
    /// How often the call of this step was made in vain, and with which keys.
    retried: u32,
    keys: KeysTried,
    /// The providers that did not answer in time: they are not asked again, nor under another model.
    silent: Vec<usize>,
    calls: u32,
    rescued: u32,
    /// Whether who was cut is asked once more, nobody else being left.
    is_again: bool,
    /// `None` while the first provider's stream goes on.
    finishing: Option<Finishing>,
}

/// Another provider's stream, and how it becomes the caller's.
#[derive(Debug)]
struct Finishing {
    rewriter: Rewriter,
    /// Reads what is sent, so that it is known what the caller has.
    sent: StreamWatch,
}

impl Rescue {
    /// For the stream that the last of `tried` began. `None` where nobody may take it over.
    pub(super) fn plan(gateway: &Gateway, call: &Call<'_>, tried: &[Tried], opened: &mut Opened) -> Option<Box<Self>> {
        let target = tried.last()?.target;
        let is_asked_again = call.wishes.fallback && gateway.shared.retries.attempts > 0;
        if target + 1 >= call.targets().len() && !is_asked_again {
            return None;
        }
        let request = match call.request.operation {
            // What its provider keeps nobody else knows.
            Operation::Chat if call.request.is_beyond_chat() => return None,
            Operation::Chat => call.request.clone().into_chat(),
            // What a chat could answer is one text behind one prompt, with nothing else in it.
            Operation::TextCompletion if matches!(call.request.as_chat, Some(Ok(_))) => call.request.clone(),
            Operation::TextCompletion | Operation::Embeddings => return None,
        };
        Some(Box::new(Self {
            gateway: gateway.handle(),
            bill: call.bill.clone(),
            request,
            wishes: *call.wishes,
            targets: call.targets().into(),
            context: call.context.clone(),
            started: call.started,
            on_divergence: gateway.shared.on_divergence(&call.request.model),
            total: opened.total(),
            span: Span::current(),
            delivered: opened.take_said(),
            tried: tried.to_vec(),
            step: Step { target, manuscript: Manuscript::Anew },
            retried: 0,
            keys: KeysTried::default(),
            silent: Vec::new(),
            calls: 0,
            rescued: 0,
            is_again: false,
            finishing: None,
        }))
    }

    /// Where what the provider says is written down, while it goes to the caller as it is.
    pub(super) fn delivered(&mut self) -> Option<&mut Delivered> {
        if self.finishing.is_some() { None } else { Some(&mut self.delivered) }
    }

    /// Whether the time for the whole stream is over, whatever it broke of first.
    pub(super) fn is_out_of_time(&self) -> bool {
        self.total.is_expired()
    }

    /// Whether another provider than the first is finishing the stream.
    pub(super) fn is_under_way(&self) -> bool {
        self.finishing.is_some()
    }

    /// What is new to the caller in a chunk of the provider that is finishing the stream.
    pub(super) fn rewrite(&mut self, frame: Frame) -> Result<Option<Frame>, Misfit> {
        let Some(finishing) = &mut self.finishing else { return Ok(Some(frame)) };
        let Some(chunk) = finishing.rewriter.rewrite(frame.data())? else { return Ok(None) };
        // What was just written is well formed.
        let _ = finishing.sent.observe(&chunk, Some(&mut self.delivered));
        Ok(event(&chunk))
    }

    /// Whether the caller has every choice to its end.
    pub(super) fn is_whole(&self) -> bool {
        (0..self.request.choices.max(1) as usize).all(|choice| self.delivered.has_finished(choice))
    }

    /// The last event of a stream that another provider has finished: what all of them have spent together.
    pub(super) fn last(&mut self) -> Option<Frame> {
        let usage = wire::usage(self.bill.tokens());
        event(&self.finishing.as_mut()?.rewriter.last(&usage)?)
    }

    /// Opens the stream that goes on, the provider before it having failed for `cause`.
    pub(super) async fn take_over(&mut self, cause: Cause) -> Result<(Opened, Attempt), Lost> {
        let span = self.span.clone();
        let result = self.next_stream(cause).instrument(span.clone()).await;
        span.in_scope(|| match &result {
            Ok(_) => {
                let target = &self.targets[self.step.target];
                let provider = &self.gateway.shared.registry.get(target.provider).name;
                let (model, manner) = (&*target.label, self.manner());
                tracing::info!(provider, model, manner, ?cause, "a broken stream goes on");
            }
            Err(lost) => {
                let outcome = lost.name();
                self.gateway.shared.metrics.rescue(outcome);
                tracing::warn!(outcome, ?cause, "a broken stream could not be rescued");
            }
        });
        result
    }

    /// The stream is whole, another provider having finished it.
    pub(super) fn finished(&self) {
        self.gateway.shared.metrics.rescue(self.manner());
    }
}

/// The event that carries a chunk.
fn event(chunk: &[u8]) -> Option<Frame> {
    let mut parser = Parser::new(usize::MAX);
    parser.push(b"data: ");
    parser.push(chunk);
    parser.push(b"\n\n");
    parser.next_frame().ok().flatten()
}
