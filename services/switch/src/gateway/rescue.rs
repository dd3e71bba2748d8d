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

use std::time::Instant;

use tracing::{Instrument, Span};
use vx11_chassis::RequestContext;
use vx11_chassis::sse::{Frame, Parser};
use vx11_resilience::Deadline;

use super::attempt::Attempt;
use super::stream::Opened;
use super::{Call, Gateway};
use crate::accounts::Bill;
use crate::cache::Passage;
use crate::config::OnDivergence;
use crate::domain::chunk::StreamWatch;
use crate::domain::continuation::{Manner, going_on, shown_to_prefill};
use crate::domain::delivered::{Delivered, Obstacle};
use crate::domain::failover::{Failure, KeysTried, Tried, Turn};
use crate::domain::json_text;
use crate::domain::operation::Operation;
use crate::domain::outcome::Outcome;
use crate::domain::rejection::Rejection;
use crate::domain::request::ChatRequest;
use crate::domain::retry::Next;
use crate::domain::rewrite::{Finisher, Manuscript, Misfit, Rewriter};
use crate::domain::routing::Target;
use crate::domain::wishes::Wishes;
use crate::wire::{self, Wire};

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

/// A call to make: a target's place, and how it is asked.
#[derive(Clone, Copy, Debug)]
struct Step {
    target: usize,
    manuscript: Manuscript,
}

/// Why the provider whose stream it was does not finish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its stream broke.
    Broke(Outcome),
    /// Its answer does not fit.
    Misfit(Misfit),
}

impl Cause {
    /// How its part in the answer ended.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Broke(outcome) => outcome,
            Self::Misfit(_) => Outcome::Diverged,
        }
    }
}

/// Why a stream is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No target is left, or enough calls were made.
    Exhausted,
    /// The stream's total limit has passed.
    OutOfTime,
    /// What was delivered cannot be gone on from.
    Hindered(Obstacle),
    /// The new answer does not fit, and may not be gone on from.
    Misfit(Misfit),
    /// It offends a provider's policy, which is no reason to ask another one.
    Refused,
}

impl Lost {
    /// The name in logs and metrics.
    const fn name(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::OutOfTime => "out_of_time",
            Self::Hindered(Obstacle::ToolCall) => "tool_call",
            Self::Hindered(Obstacle::NotText) => "not_text",
            Self::Hindered(Obstacle::TooLong) => "too_long",
            Self::Misfit(Misfit::Diverged) => "diverged",
            Self::Misfit(Misfit::Inseparable) => "inseparable",
            Self::Refused => "refused",
        }
    }
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

    async fn next_stream(&mut self, cause: Cause) -> Result<(Opened, Attempt), Lost> {
        if let Some(obstacle) = self.delivered.obstacle() {
            return Err(Lost::Hindered(obstacle));
        }
        let mut next = self.after(cause).await?;
        let mut turn = if self.is_again { Turn::Again } else { Turn::First };
        while let Some(step) = next {
            if self.total.is_expired() {
                return Err(Lost::OutOfTime);
            }
            if self.calls == MOST_CALLS {
                break;
            }
            if step.target != self.step.target {
                (self.retried, self.keys, turn) = (0, KeysTried::default(), Turn::First);
            }
            self.step = step;
            next = match self.open(step, turn).await {
                Ok(stream) => return Ok(stream),
                Err(failure) => self.after_failure(step, failure).await?,
            };
            turn = self.keys.turn();
        }
        Err(Lost::Exhausted)
    }

    /// The call to make after the one of `step` has failed, once it is time for it: as it would be before the answer
    /// began. But the caller's words were taken once, so that who has something against them alone is passed over.
    async fn after_failure(&mut self, step: Step, mut failure: Failure) -> Result<Option<Step>, Lost> {
        if failure.rejection == Some(Rejection::ContentPolicy) {
            return Err(Lost::Refused);
        }
        self.keys.note(&mut failure);
        let target = &self.targets[step.target];
        if failure.outcome == Outcome::Timeout {
            self.silent.push(target.provider);
        }
        let retries = self.gateway.retries();
        let left = Some(self.total.remaining());
        Ok(match retries.policy.next(&failure, self.retried, left, (retries.jitter)()) {
            Next::Rotate => Some(step),
            Next::Retry(wait) if (retries.budget)(target, &failure) => {
                self.retried += 1;
                tokio::time::sleep(wait).await;
                Some(step)
            }
            // Not the caller's words were refused, but ours.
            Next::Answer | Next::Larger
                if matches!(step.manuscript, Manuscript::GoingOn(Manner::Prefill | Manner::Prompt)) =>
            {
                Some(Step { manuscript: Manuscript::Anew, ..step })
            }
            Next::Larger => self.step_at(step.target + 1, true),
            Next::Retry(_) | Next::Elsewhere | Next::Answer => self.first_step(step.target + 1),
        })
    }

    /// What to do when the provider of the last step does not finish the stream.
    async fn after(&mut self, cause: Cause) -> Result<Option<Step>, Lost> {
        if let Some(last) = self.tried.last_mut() {
            last.outcome = cause.outcome();
        }
        match cause {
            // Another one's would be as large.
            Cause::Broke(Outcome::AnswerTooLarge) => Ok(None),
            Cause::Broke(outcome) => {
                self.rescued += 1;
                match self.first_step(self.step.target + 1) {
                    None => Ok(self.once_more(outcome).await),
                    next => Ok(next),
                }
            }
            Cause::Misfit(Misfit::Diverged) if self.may_be_told_to_go_on() => {
                Ok(Some(Step { manuscript: Manuscript::GoingOn(Manner::Instruction), ..self.step }))
            }
            Cause::Misfit(misfit) => Err(Lost::Misfit(misfit)),
        }
    }

    /// The target that broke off, once it is time to ask it again: once in a stream, and only where a whole answer's
    /// failure would be followed by a retry.
    async fn once_more(&mut self, outcome: Outcome) -> Option<Step> {
        if std::mem::replace(&mut self.is_again, true) {
            return None;
        }
        let step = self.first_step(self.step.target)?;
        let (retries, failure) = (self.gateway.retries(), Failure::new(outcome, "the stream broke within its answer"));
        let left = Some(self.total.remaining());
        match retries.policy.next(&failure, self.retried, left, (retries.jitter)()) {
            Next::Retry(wait) if (retries.budget)(&self.targets[step.target], &failure) => {
                self.retried += 1;
                tokio::time::sleep(wait).await;
                Some(step)
            }
            _ => None,
        }
    }

    fn may_be_told_to_go_on(&self) -> bool {
        self.on_divergence == OnDivergence::Continue
            && self.step.manuscript != Manuscript::GoingOn(Manner::Instruction)
            // Who completes texts takes no instructions.
            && !self.completes_texts(&self.targets[self.step.target])
            && self.has_one_text_to_go_on_from(Manner::Instruction)
    }

    /// How a target is asked at first.
    fn first_step(&self, target: usize) -> Option<Step> {
        // A target for longer requests is no fallback for others.
        self.step_at(target, self.targets[self.step.target].larger)
    }

    /// How the next target from `target` on is asked, of those that are for longer requests or of the others.
    fn step_at(&self, target: usize, larger: bool) -> Option<Step> {
        let is_next = |found: &Target| found.larger == larger && !self.silent.contains(&found.provider);
        let (target, found) = self.targets.iter().enumerate().skip(target).find(|(_, found)| is_next(found))?;
        let manner = match self.completes_texts(found) {
            true => Some(Manner::Prompt),
            false => self.gateway.shared.registry.get(found.provider).prefill.then_some(Manner::Prefill),
        };
        let manner = manner.filter(|manner| self.has_one_text_to_go_on_from(*manner));
        Some(Step { target, manuscript: manner.map_or(Manuscript::Anew, Manuscript::GoingOn) })
    }

    /// Whether `target` is asked for a text completion, and not for a chat in its place.
    fn completes_texts(&self, target: &Target) -> bool {
        let provider = self.gateway.shared.registry.get(target.provider);
        self.request.operation == Operation::TextCompletion && provider.speaks(&self.request)
    }

    /// Whether there is a text, one only, that ends with a whole character, and is no message of blanks.
    fn has_one_text_to_go_on_from(&self, manner: Manner) -> bool {
        let text = self.delivered.content(0);
        let says = manner == Manner::Prompt || !shown_to_prefill(&text).is_empty();
        self.request.choices <= 1 && says && !json_text::ends_within_a_character(&text)
    }

    async fn open(&mut self, step: Step, turn: Turn) -> Result<(Opened, Attempt), Failure> {
        let target = &self.targets[step.target];
        let request = self.asked(step.manuscript)?;
        let wishes = Wishes { whole: Some(self.total), begin: None, ..self.wishes };
        let call = Call {
            request: &request,
            targets: &self.targets,
            context: &self.context,
            wishes: &wishes,
            started: self.started,
            bill: &self.bill,
            passage: &Passage::bypass(),
            approval: None,
        };
        let opening = Instant::now();
        let result = self.gateway.open(&call, target, turn, Wire::OpenAi).await;
        let outcome = result.as_ref().map_or_else(|failure| failure.outcome, |_| Outcome::Success);
        self.tried.push(Tried::new(step.target, outcome, opening.elapsed()));
        self.calls += u32::from(outcome.was_asked());
        let (opened, attempt) = result?;
        let finisher = Finisher {
            provider: self.gateway.shared.registry.get(target.provider).name.clone(),
            model: (*target.model).to_owned(),
            rescued: self.rescued,
        };
        let choices = self.request.choices.max(1);
        let rewriter = Rewriter::new(&self.delivered, choices, step.manuscript, finisher);
        self.finishing = Some(Finishing { rewriter, sent: StreamWatch::new(choices) });
        Ok((opened, attempt))
    }

    /// The caller's request, or the one that goes on from what was delivered.
    fn asked(&self, manuscript: Manuscript) -> Result<ChatRequest, Failure> {
        let Manuscript::GoingOn(manner) = manuscript else { return Ok(self.request.clone()) };
        let delivered = self.delivered.content(0);
        let (request, shown) = match manner {
            Manner::Prompt => (self.request.clone(), &*delivered),
            Manner::Prefill => (self.request.clone().into_chat(), shown_to_prefill(&delivered)),
            Manner::Instruction => (self.request.clone().into_chat(), &*delivered),
        };
        going_on(&request, &json_text::whole_characters(shown), self.delivered.tokens(), manner)
            .ok_or_else(|| Failure::new(Outcome::Http(400), "the request cannot be gone on from"))
    }

    const fn manner(&self) -> &'static str {
        match self.step.manuscript {
            Manuscript::Anew => "spliced",
            Manuscript::GoingOn(Manner::Prompt) => "prompted",
            Manuscript::GoingOn(Manner::Prefill) => "prefilled",
            Manuscript::GoingOn(Manner::Instruction) => "continued",
        }
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
