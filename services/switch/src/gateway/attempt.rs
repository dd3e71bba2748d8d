//! One call to one provider, from asking its breaker to reporting how it went.
//!
//! An attempt reports exactly once. One that is dropped before it knows how it went was given up by the caller: it
//! counts as `cancelled`, with what was spent until then, and says nothing about the provider.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{Instrument, Span};
use vx11_resilience::{BreakerState, Deadline, Load, Permit, Slot};
use vx11_telemetry::{GenAiUsage, TraceContext, genai_span, record_genai};

use super::progress::Progress;
use super::uncounted::{self, Uncounted, Wrote};
use super::{Call, Shared};
use crate::accounts::{Bill, Tokens};
use crate::domain::answer::{self, Description};
use crate::domain::failover::{Failure, Turn};
use crate::domain::keys::{NoKey, Refused};
use crate::domain::outcome::{Health, Outcome};
use crate::domain::rejection::Rejection;
use crate::domain::routing::Target;
use crate::metrics::CallReport;
use crate::providers::{Form, InFlight, ModelLive, Provider};
use crate::replicas::Lease;
use crate::tokenizer::Vocabulary;

/// What a call needs to be made.
#[derive(Debug)]
struct Admitted {
    /// The number of the provider's key that it is made with.
    key: Option<usize>,
    /// The breaker's; taken once it has been told how the call went.
    permit: Option<Permit>,
    /// That of a probe, where other replicas keep back for it.
    lease: Option<Box<Lease>>,
    slot: Slot,
    _in_flight: InFlight,
}

/// One call to one provider.
#[derive(Debug)]
pub(super) struct Attempt {
    shared: Arc<Shared>,
    target: Target,
    live: Arc<ModelLive>,
    admitted: Admitted,
    /// Seen by the future that sends the request, while this waits for that.
    is_sent: AtomicBool,
    is_over: bool,
    /// The key with which the request was forbidden before.
    forbidden: Option<usize>,
    /// The request that it is part of, for its log lines.
    request: Span,
    span: Span,
    trace: TraceContext,
    started: Instant,
    first_token: Option<Duration>,
    progress: Progress,
    /// What it has written, where that may have to be counted.
    wrote: Wrote,
    /// What the answer says of itself, where that is traced.
    description: Description,
    /// Who pays.
    bill: Bill,
}

impl Attempt {
    /// Begins a call to `target`, if there is a key for it and its breaker lets it through, once the provider has a
    /// place for it.
    pub(super) async fn begin(
        shared: Arc<Shared>,
        target: Target,
        call: &Call<'_>,
        turn: Turn,
    ) -> Result<Self, Failure> {
        let provider = shared.registry.get(target.provider);
        let live = shared.live(&target);
        let admitted = match admit(&shared, &target, &live, call).await {
            Ok(admitted) => admitted,
            Err(failure) => {
                shared.metrics.skipped(target.provider, &target.label, failure.outcome);
                tracing::debug!(provider = provider.name, outcome = %failure.outcome, "provider skipped");
                return Err(failure);
            }
        };
        if turn == Turn::First {
            provider.live.retries.record_request();
        }
        let operation = call.request.operation.name();
        let (span, trace) = genai_span(operation, provider.traced(), &target.model, &call.context.trace);
        Ok(Self {
            target,
            live,
            admitted,
            is_sent: AtomicBool::new(false),
            is_over: false,
            forbidden: if let Turn::Forbidden(key) = turn { Some(key) } else { None },
            request: Span::current(),
            span,
            trace,
            started: Instant::now(),
            first_token: None,
            progress: Progress::default(),
            wrote: Wrote::Nothing,
            description: Description::default(),
            bill: call.bill.clone(),
            shared,
        })
    }

    /// The trace that the provider is told of.
    pub(super) fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// The number of the provider's key that it is made with.
    pub(super) fn key(&self) -> Option<usize> {
        self.admitted.key
    }

    /// Awaits `call` within `limit`, the provider's own, and what the caller allows. Takes the future by a pinned
    /// reference: by value it would be stored twice in the state machine of every request.
    pub(super) async fn bounded<T>(
        &self,
        limit: Duration,
        allowed: Duration,
        call: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        let allowed = allowed.min(limit);
        match tokio::time::timeout(allowed, call.instrument(self.span.clone())).await {
            Ok(result) => result,
            Err(_) => {
                let failure = Failure::new(Outcome::Timeout, format!("no answer within {} ms", allowed.as_millis()));
                // A caller in a hurry must not shut a provider off for all others that had no time to answer it.
                let had_its_chance = allowed >= limit / 2;
                Err(Failure { health: if had_its_chance { failure.health } else { Health::Unknown }, ..failure })
            }
        }
    }

    /// Whether the request may have been sent by now. Until then nothing can have been spent.
    pub(super) fn sent(&self, is_sent: bool) {
        self.is_sent.store(is_sent, Ordering::Relaxed);
    }

    /// What was spent on an answer whose provider does not say: what is short and can be counted is counted before.
    /// `None`: it does.
    pub(super) fn estimate(&mut self) -> Option<Tokens> {
        if self.progress.reported.is_some() {
            return None;
        }
        if let Some(uncounted) = self.uncounted(Outcome::Success).filter(Uncounted::is_short) {
            self.progress.written = uncounted.count().unwrap_or(self.progress.written);
            // It need not be done again.
            self.wrote = Wrote::Nothing;
        }
        Some(self.progress.spent(&self.bill, &self.target.model))
    }

    /// Takes note of what an answer, or its first chunk, says of itself. Read only where it is traced.
    pub(super) fn described(&mut self, data: &[u8]) {
        if !self.span.is_disabled() {
            self.description = answer::describe(data);
        }
    }

    /// Takes note of why a stream ends, in the event that is the last of its answer. Read only where it is traced.
    pub(super) fn ends_with(&mut self, data: &[u8]) {
        if !self.span.is_disabled() && self.description.finish_reasons.is_empty() {
            self.description.finish_reasons = answer::describe(data).finish_reasons;
        }
    }

    /// Takes note of what the provider says was spent on a whole answer, else of how much is `written` in it.
    pub(super) fn spent(&mut self, usage: Option<Tokens>, written: impl FnOnce() -> u64) {
        self.progress = Progress::whole(usage, written);
    }

    /// Takes note of what was written, if anything was and its provider does not say how much that is.
    pub(super) fn wrote(&mut self, wrote: Wrote) {
        if self.progress.reported.is_none() && self.progress.written > 0 {
            self.wrote = wrote;
        }
    }

    fn uncounted(&self, outcome: Outcome) -> Option<Uncounted> {
        if self.progress.reported.is_some() || !self.progress.has_worked(self.may_have_spent(outcome)) {
            return None;
        }
        let vocabulary = Vocabulary::of(&self.target.model)?;
        Some(Uncounted { vocabulary, bill: self.bill.clone(), wrote: self.wrote.clone() })
    }

    fn may_have_spent(&self, outcome: Outcome) -> bool {
        outcome.may_have_spent() && self.is_sent.load(Ordering::Relaxed)
    }

    /// Takes note of how far a stream has got.
    pub(super) fn streamed(&mut self, token: bool, progress: Progress) {
        if token && self.first_token.is_none() {
            self.first_token = Some(self.started.elapsed());
        }
        self.progress = Progress { reported: progress.reported.or(self.progress.reported), ..progress };
    }

    /// A stream has begun. For a provider on probation that is proof enough: others need not wait for its end.
    pub(super) fn stream_begun(&mut self) {
        self.live.answered(Form::Streamed, self.started.elapsed());
        self.tell_keys_apart();
        if self.live.breaker.snapshot().state != BreakerState::HalfOpen {
            return;
        }
        if let Some(probe) = self.admitted.permit.take() {
            self.log_closed(probe.success());
            if let Some(lease) = self.admitted.lease.take() {
                lease.told();
            }
            // Closed now; refused only if others have opened it again in this instant.
            self.admitted.permit = self.live.breaker.try_acquire().ok();
        }
    }

    /// The call gave a whole answer, at once and not as a stream.
    pub(super) fn answered(self) {
        self.live.answered(Form::Whole, self.started.elapsed());
        self.tell_keys_apart();
        self.succeeded();
    }

    /// The stream came to its end.
    pub(super) fn succeeded(mut self) {
        self.report(Outcome::Success, Health::Good);
    }

    /// The call gave an answer that its caller has no use for.
    pub(super) fn set_aside(mut self) {
        self.report(Outcome::Diverged, Health::Good);
    }

    /// The call failed. What its key has to do with it is told to the provider's keys, and `failure` learns whether
    /// another one is left.
    pub(super) fn failed(mut self, failure: &mut Failure) {
        self.blame_key(failure);
        let request = self.request.clone();
        request.in_scope(|| {
            let elapsed_ms = self.started.elapsed().as_millis() as u64;
            let (provider, model) = (&self.provider().name, &*self.target.label);
            let (outcome, cause) = (failure.outcome.name(), &failure.cause);
            if failure.outcome.is_callers_fault() {
                tracing::info!(provider, model, outcome = &*outcome, elapsed_ms, "provider refused the request");
            } else if !failure.outcome.was_asked() {
                // The cause may repeat a value of the body.
                tracing::info!(provider, model, outcome = &*outcome, "provider passed over");
            } else {
                tracing::warn!(provider, model, outcome = &*outcome, cause, elapsed_ms, "provider call failed");
            }
        });
        if failure.health == Health::Bad {
            self.live.failed(self.provider().limits.answer);
        }
        self.report(failure.outcome, failure.health);
    }

    /// What was forbidden with another key is answered with this one.
    fn tell_keys_apart(&self) {
        if let (Some(first), Some(keys), Some(key)) = (self.forbidden, self.provider().keys(), self.key())
            && first != key
        {
            keys.confirm(first, key);
        }
    }

    fn blame_key(&self, failure: &mut Failure) {
        let (Some(keys), Some(key)) = (self.provider().keys(), self.key()) else { return };
        let Outcome::Http(status @ (401..=403 | 429)) = failure.outcome else { return };
        if failure.rejection.is_some() {
            return;
        }
        let Refused { is_out, other } = keys.refused(key, status, failure.retry_after);
        if let (403, Some(_), None) = (status, self.forbidden.filter(|first| *first != key), other) {
            // One request must not cost the provider all of its keys: who sends it would decide that for everybody.
            // Where every request is forbidden, no other one resets the breaker.
            keys.acquit_all();
            failure.rejection = Some(Rejection::Forbidden);
            let provider = &self.provider().name;
            self.request.in_scope(|| {
                tracing::warn!(provider, "a request is forbidden with every key that is left; they are used again");
            });
            return;
        }
        (failure.key, failure.other_key) = (Some(key), other);
        // It is the key that is at fault, and the keys remember it. One that goes on being used is no excuse.
        if is_out {
            failure.health = Health::Unknown;
        }
        if status != 429 {
            let (provider, variable) = (&self.provider().name, keys.variable(key));
            self.request.in_scope(|| tracing::warn!(provider, variable, status, "a key was refused and is left alone"));
        }
    }

    fn report(&mut self, outcome: Outcome, health: Health) {
        self.is_over = true;
        let said = self.progress.said();
        self.close_span(outcome, said);
        let (provider, label) = (self.target.provider, &self.target.label);
        if outcome.was_asked() {
            self.shared.metrics.call(&CallReport {
                provider,
                label,
                outcome,
                duration: self.started.elapsed(),
                first_token: self.first_token,
                generated_tokens: said.map_or(self.progress.written, |tokens| tokens.completion),
            });
        } else {
            self.shared.metrics.skipped(provider, label, outcome);
        }
        let (uncounted, may_have_spent) = (self.uncounted(outcome), self.may_have_spent(outcome));
        uncounted::charge(self.progress, uncounted, &self.bill, (&self.shared, &self.target), may_have_spent);
        self.admitted.slot.learn(load(outcome, health));
        if let Some(lease) = self.admitted.lease.take_if(|_| health != Health::Unknown) {
            lease.told();
        }
        let Some(permit) = self.admitted.permit.take() else { return };
        match health {
            Health::Good => self.log_closed(permit.success()),
            Health::Bad => {
                if permit.failure() {
                    let (provider, model) = (&self.provider().name, &*self.live.name);
                    self.request.in_scope(|| tracing::warn!(provider, model, "circuit breaker opened"));
                }
            }
            Health::Unknown => drop(permit),
        }
    }

    fn close_span(&self, outcome: Outcome, said: Option<Tokens>) {
        if let Outcome::Http(status) = outcome {
            self.span.record("http.response.status_code", i64::from(status));
        }
        if outcome != Outcome::Success {
            self.span.record("otel.status_code", "ERROR").record("error.type", &*outcome.name());
        }
        let reported = |tokens: u64| (tokens > 0).then_some(tokens);
        let written = Tokens { completion: self.progress.written, ..Tokens::default() };
        let tokens = said.unwrap_or(written);
        let usage = GenAiUsage {
            model: self.description.model.as_deref(),
            id: self.description.id.as_deref(),
            finish_reasons: &self.description.finish_reasons,
            input_tokens: reported(tokens.prompt),
            cached_tokens: reported(tokens.cached),
            output_tokens: reported(tokens.completion),
            reasoning_tokens: reported(tokens.reasoning),
        };
        record_genai(&self.span, usage);
    }

    fn log_closed(&self, closed: bool) {
        if closed {
            let (provider, model) = (&self.provider().name, &*self.live.name);
            self.request.in_scope(|| tracing::info!(provider, model, "circuit breaker closed"));
        }
    }

    fn provider(&self) -> &Provider {
        self.shared.registry.get(self.target.provider)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_over {
            self.report(Outcome::Cancelled, Health::Unknown);
        }
    }
}

/// What a call says about its provider's load.
fn load(outcome: Outcome, health: Health) -> Load {
    match outcome {
        // One that judges requests is not busy with others.
        Outcome::Http(429 | 503 | 529) if health != Health::Good => Load::TooMuch,
        Outcome::Timeout if health == Health::Bad => Load::TooMuch,
        Outcome::Success => Load::Fine,
        _ if outcome.is_callers_fault() => Load::Fine,
        _ => Load::Unknown,
    }
}

async fn admit(shared: &Shared, target: &Target, live: &Arc<ModelLive>, call: &Call<'_>) -> Result<Admitted, Failure> {
    let provider = shared.registry.get(target.provider);
    if !provider.is_usable() {
        return Err(Failure::new(Outcome::MissingApiKey, "its key is not set"));
    }
    // Looked at before the wait, so that nobody waits in vain, and again after it.
    pick_key(provider)?;
    if let Some(left) = live.breaker.snapshot().retry_after {
        return Err(open(left));
    }
    let wait = Deadline::after(provider.live.queue_timeout);
    let wait = call.wishes.begins_by().map_or(wait, |deadline| deadline.min(wait));
    let slot = provider.live.admission.enter(call.wishes.priority, call.wishes.tenant, wait).await;
    let slot = slot.map_err(|refused| Failure {
        retry_after: Some(refused.0),
        ..Failure::new(Outcome::Overloaded, "it has as much work as it takes")
    })?;
    let key = pick_key(provider)?;
    let permit = live.breaker.try_acquire_within(provider.limits.probe());
    let permit = permit.map_err(|refused| open(refused.retry_after))?;
    let mut lease = None;
    if permit.is_probe()
        && let Some(replicas) = &shared.replicas
    {
        lease = match Box::pin(replicas.probe(provider, &live.name)).await {
            Ok(lease) => lease.map(Box::new),
            Err(left) => {
                permit.postpone(left);
                return Err(open(left));
            }
        };
    }
    Ok(Admitted { key, permit: Some(permit), lease, slot, _in_flight: live.call(Form::of(call.request.stream)) })
}

fn pick_key(provider: &Provider) -> Result<Option<usize>, Failure> {
    provider.keys().map(|keys| keys.pick()).transpose().map_err(|none| match none {
        NoKey::AllDead => Failure::new(Outcome::KeysDead, "every key was refused"),
        NoKey::Resting(left) => {
            Failure { retry_after: Some(left), ..Failure::new(Outcome::KeysResting, "every key is at its limit") }
        }
    })
}

fn open(left: Duration) -> Failure {
    Failure { retry_after: Some(left), ..Failure::new(Outcome::CircuitOpen, "its breaker is open") }
}
