//! What is counted of what one model at one provider costs. Each counter is looked up when it first counts, and then
//! kept: a call hashes no label.

use std::sync::{Arc, OnceLock};

use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec, Registry, opts};

use super::super::money::Usd;
use super::super::tokens::Tokens;

/// What is counted of all models.
#[derive(Clone, Debug)]
pub(super) struct SpentMetrics {
    tokens: IntCounterVec,
    estimated: IntCounterVec,
    cost: CounterVec,
    unpriced: IntCounterVec,
}

/// What is counted of one of them.
#[derive(Debug)]
pub(crate) struct ModelSpent {
    all: SpentMetrics,
    provider: Arc<str>,
    label: Arc<str>,
    /// By [`KINDS`].
    tokens: [OnceLock<IntCounter>; KINDS.len()],
    estimated: OnceLock<IntCounter>,
    cost: OnceLock<Counter>,
    unpriced: IntCounter,
}

/// A kind of tokens, and how many of it were spent.
type Kind = (&'static str, fn(&Tokens) -> u64);

const KINDS: [Kind; 5] = [
    ("prompt", |tokens| tokens.prompt),
    ("cached", |tokens| tokens.cached),
    ("cache_written", |tokens| tokens.cache_written),
    ("completion", |tokens| tokens.completion),
    ("reasoning", |tokens| tokens.reasoning),
];

impl SpentMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(opts!(name, help), labels)?;
            registry.register(Box::new(counters.clone())).map(|()| counters)
        };
        let target = ["provider", "model"];
        let cost = CounterVec::new(opts!("vx11_cost_usd_total", "US dollars spent at providers."), &target)?;
        registry.register(Box::new(cost.clone()))?;
        Ok(Self {
            cost,
            tokens: counters(
                "vx11_tokens_total",
                "Tokens spent at providers, reported or estimated, by kind; cached and reasoning ones are parts of prompt and completion.",
                &["provider", "model", "kind"],
            )?,
            estimated: counters(
                "vx11_estimated_calls_total",
                "Provider calls whose tokens are an estimate, because the provider did not report them.",
                &target,
            )?,
            unpriced: counters(
                "vx11_unpriced_calls_total",
                "Provider calls that spent tokens of a model without a price.",
                &target,
            )?,
        })
    }

    /// Those of the model of this label. That no call was without a price so far is shown from now on.
    pub(super) fn of(&self, provider: Arc<str>, label: Arc<str>) -> ModelSpent {
        let unpriced = self.unpriced.with_label_values(&[&*provider, &*label]);
        let tokens = Default::default();
        let (estimated, cost) = Default::default();
        ModelSpent { all: self.clone(), provider, label, tokens, estimated, cost, unpriced }
    }
}

impl ModelSpent {
    /// Counts one call, and what it cost, where that is known.
    pub(in crate::accounts) fn count(&self, tokens: &Tokens, estimated: bool, cost: Option<Usd>) {
        let target = [&*self.provider, &*self.label];
        for (kept, (kind, of)) in self.tokens.iter().zip(KINDS) {
            let count = of(tokens);
            if count > 0 {
                let [provider, label] = target;
                kept.get_or_init(|| self.all.tokens.with_label_values(&[provider, label, kind])).inc_by(count);
            }
        }
        if estimated {
            self.estimated.get_or_init(|| self.all.estimated.with_label_values(&target)).inc();
        }
        match cost {
            Some(cost) if cost > Usd::ZERO => {
                self.cost.get_or_init(|| self.all.cost.with_label_values(&target)).inc_by(cost.as_f64());
            }
            Some(_) => {}
            None if tokens.total() == 0 => {}
            None => self.unpriced.inc(),
        }
    }
}
