//! One call to one provider, from asking its breaker to reporting how it went.
//!
//! An attempt reports exactly once. One that is dropped before it knows how it went was given up by the caller: it counts
//! as `cancelled`, with what was spent until then, and says nothing about the provider.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{Instrument, Span};
use vx11_contracts::chat::Usage;
use vx11_resilience::{BreakerState, Deadline, Permit};
use vx11_telemetry::{GenAiUsage, TraceContext, genai_span, record_genai};

use super::Shared;
use crate::domain::failover::Failure;
use crate::domain::outcome::{Health, Outcome};
use crate::domain::routing::Target;
use crate::metrics::CallReport;
use crate::providers::Provider;

/// One call to one provider.
#[derive(Debug)]
pub(super) struct Attempt {
    shared: Arc<Shared>,
    target: Target,
    permit: Option<Permit>,
    reported: bool,
    /// The request that it is part of, for its log lines.
    request: Span,
    span: Span,
    trace: TraceContext,
    started: Instant,
    first_token: Option<Duration>,
    prompt_tokens: u64,
    generated_tokens: u64,
}

impl Attempt {
    /// Begins a call to `target`, if there is a key for it and its breaker lets it through.
    pub(super) fn begin(shared: Arc<Shared>, target: Target, parent: &TraceContext) -> Result<Self, Failure> {
        let provider = shared.registry.get(target.provider);
        let permit = match admit(provider) {
            Ok(permit) => permit,
            Err(failure) => {
                let outcome = failure.outcome.name();
                shared.metrics.skipped(&provider.name, &target.label, &outcome);
                tracing::debug!(provider = provider.name, outcome = &*outcome, "provider skipped");
                return Err(failure);
            }
        };
        let (span, trace) = genai_span("chat", &provider.name, &target.model, &provider.chat_url, parent);
        Ok(Self {
            target,
            permit: Some(permit),
            reported: false,
            request: Span::current(),
            span,
            trace,
            started: Instant::now(),
            first_token: None,
            prompt_tokens: 0,
            generated_tokens: 0,
            shared,
        })
    }

    /// The trace that the provider is told of.
    pub(super) fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// Awaits `call` within the provider's limit for an answer and the caller's deadline.
    pub(super) async fn bounded<T>(
        &self,
        deadline: Option<Deadline>,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let limit = self.provider().limits.answer;
        let allowed = deadline.map_or(limit, |deadline| deadline.remaining().min(limit));
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

    /// Takes note of what the provider says was spent.
    pub(super) fn spent(&mut self, usage: Option<Usage>) {
        if let Some(usage) = usage {
            self.prompt_tokens = usage.prompt_tokens;
            self.generated_tokens = usage.completion_tokens;
        }
    }

    /// Takes note of how far a stream has got.
    pub(super) fn streamed(&mut self, token: bool, generated_tokens: u64, usage: Option<Usage>) {
        if token && self.first_token.is_none() {
            self.first_token = Some(self.started.elapsed());
        }
        self.generated_tokens = generated_tokens;
        self.spent(usage);
    }

    /// A stream has begun. For a provider on probation that is proof enough: others need not wait for its end.
    pub(super) fn stream_begun(&mut self) {
        let breaker = &self.provider().breaker;
        if breaker.snapshot().state != BreakerState::HalfOpen {
            return;
        }
        let breaker = breaker.clone();
        if let Some(probe) = self.permit.take() {
            self.log_closed(probe.success());
            // Closed now; refused only if others have opened it again in this instant.
            self.permit = breaker.try_acquire().ok();
        }
    }

    /// The call gave a whole answer.
    pub(super) fn succeeded(mut self) {
        self.report(Outcome::Success, Health::Good);
    }

    /// The call failed.
    pub(super) fn failed(mut self, failure: &Failure) {
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
        self.report(failure.outcome, failure.health);
    }

    fn report(&mut self, outcome: Outcome, health: Health) {
        self.reported = true;
        let name = outcome.name();
        self.close_span(outcome, &name);
        self.shared.metrics.call(CallReport {
            index: self.target.provider,
            provider: &self.provider().name,
            model: &self.target.label,
            outcome: &name,
            duration: self.started.elapsed(),
            first_token: self.first_token,
            prompt_tokens: self.prompt_tokens,
            generated_tokens: self.generated_tokens,
        });
        let Some(permit) = self.permit.take() else { return };
        match health {
            Health::Good => self.log_closed(permit.success()),
            Health::Bad => {
                if permit.failure() {
                    let provider = &self.provider().name;
                    self.request.in_scope(|| tracing::warn!(provider, "circuit breaker opened"));
                }
            }
            Health::Unknown => drop(permit),
        }
    }

    fn close_span(&self, outcome: Outcome, name: &str) {
        if let Outcome::Http(status) = outcome {
            self.span.record("http.response.status_code", i64::from(status));
        }
        if outcome != Outcome::Success {
            self.span.record("otel.status_code", "ERROR").record("error.type", name);
        }
        let reported = |tokens: u64| (tokens > 0).then_some(tokens);
        let (input_tokens, output_tokens) = (reported(self.prompt_tokens), reported(self.generated_tokens));
        record_genai(&self.span, GenAiUsage { model: None, input_tokens, output_tokens });
    }

    fn log_closed(&self, closed: bool) {
        if closed {
            let provider = &self.provider().name;
            self.request.in_scope(|| tracing::info!(provider, "circuit breaker closed"));
        }
    }

    fn provider(&self) -> &Provider {
        self.shared.registry.get(self.target.provider)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.reported {
            self.report(Outcome::Cancelled, Health::Unknown);
        }
    }
}

fn admit(provider: &Provider) -> Result<Permit, Failure> {
    if !provider.is_usable() {
        return Err(Failure::new(Outcome::MissingApiKey, "its key is not set"));
    }
    provider.breaker.try_acquire().map_err(|open| Failure {
        retry_after: Some(open.retry_after),
        ..Failure::new(Outcome::CircuitOpen, "its breaker is open")
    })
}
