//! What is counted of calls to one provider, by model. Each counter is looked up when it first counts, and then kept:
//! a call hashes no label.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry, opts};

use super::{ANSWER_SECONDS, SHORT_SECONDS, register, times};
use crate::domain::outcome::Outcome;
use crate::domain::routing::{Label, Labels};

/// How one provider call went, as it is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallReport<'a> {
    /// The provider's place in the registry.
    pub(crate) provider: usize,
    /// The model's.
    pub(crate) label: &'a Label,
    /// How it went.
    pub(crate) outcome: Outcome,
    /// From the request to the end of the answer.
    pub(crate) duration: Duration,
    /// From the request to the first token, for a stream that got that far.
    pub(crate) first_token: Option<Duration>,
    /// Tokens written, also by an answer that was not finished.
    pub(crate) generated_tokens: u64,
}

/// What is counted of all providers.
#[derive(Clone, Debug)]
pub(super) struct CallMetrics {
    requests: IntCounterVec,
    generated_tokens: IntCounterVec,
    duration: HistogramVec,
    first_token: HistogramVec,
    output_token: HistogramVec,
}

/// What is counted of one of them.
#[derive(Debug)]
pub(super) struct ProviderCalls {
    all: CallMetrics,
    name: String,
    duration: Histogram,
    first_token: Histogram,
    output_token: Histogram,
    /// By the places of their labels.
    models: Box<[ModelCalls]>,
}

#[derive(Debug, Default)]
struct ModelCalls {
    /// In the order of [`Outcome::COMMON`].
    requests: [OnceLock<IntCounter>; Outcome::COMMON.len()],
    generated_tokens: OnceLock<IntCounter>,
}

impl CallMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(opts!(name, help), labels)?)
        };
        Ok(Self {
            requests: counters(
                "vx11_provider_requests_total",
                "Calls to providers, by how they went.",
                &["provider", "model", "outcome"],
            )?,
            generated_tokens: counters(
                "vx11_tokens_generated_total",
                "Tokens that models wrote, unfinished answers included.",
                &["provider", "model"],
            )?,
            duration: times(
                registry,
                "vx11_provider_duration_seconds",
                "Seconds that calls to a provider took, streams to their end.",
                ANSWER_SECONDS,
            )?,
            first_token: times(
                registry,
                "vx11_provider_time_to_first_token_seconds",
                "Seconds until the first token of a stream.",
                ANSWER_SECONDS,
            )?,
            output_token: times(
                registry,
                "vx11_provider_time_per_output_token_seconds",
                "Seconds per token of a stream after its first one.",
                SHORT_SECONDS,
            )?,
        })
    }

    /// Those of the provider of this name.
    pub(super) fn of(&self, name: &str, labels: &Labels) -> ProviderCalls {
        ProviderCalls {
            all: self.clone(),
            name: name.to_owned(),
            duration: self.duration.with_label_values(&[name]),
            first_token: self.first_token.with_label_values(&[name]),
            output_token: self.output_token.with_label_values(&[name]),
            models: labels.all().iter().map(|_| ModelCalls::default()).collect(),
        }
    }
}

impl ProviderCalls {
    pub(super) fn count(&self, report: &CallReport<'_>) {
        let CallReport { label, duration, first_token, generated_tokens, .. } = *report;
        self.count_outcome(label, report.outcome);
        if generated_tokens > 0
            && let Some(model) = self.models.get(label.place)
        {
            let counter = || self.all.generated_tokens.with_label_values(&[&*self.name, label]);
            model.generated_tokens.get_or_init(counter).inc_by(generated_tokens);
        }
        self.duration.observe(duration.as_secs_f64());
        let Some(first_token) = first_token else { return };
        self.first_token.observe(first_token.as_secs_f64());
        if let Some(rest) = generated_tokens.checked_sub(1).filter(|rest| *rest > 0) {
            self.output_token.observe(duration.saturating_sub(first_token).as_secs_f64() / rest as f64);
        }
    }

    pub(super) fn count_outcome(&self, label: &Label, outcome: Outcome) {
        let counter = || self.all.requests.with_label_values(&[&*self.name, label, &*outcome.name()]);
        let model = self.models.get(label.place);
        match model.zip(outcome.common()).and_then(|(model, common)| model.requests.get(common)) {
            Some(kept) => kept.get_or_init(counter).inc(),
            None => counter().inc(),
        }
    }
}
