//! What money and limits count. Labels are names of the configuration.

use std::sync::Weak;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, opts};

use super::Accounts;
use super::account::Unit;
use super::bill::Charge;
use super::meters::Refused;
use super::money::Usd;

/// The counters.
#[derive(Debug)]
pub(super) struct Metrics {
    tokens: IntCounterVec,
    estimated: IntCounterVec,
    cost: CounterVec,
    unpriced: IntCounterVec,
    refusals: IntCounterVec,
    rows_lost: IntCounter,
    /// Settlements that became part of others.
    pub(super) settlements_folded: IntCounter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(opts!(name, help), labels)?;
            registry.register(Box::new(counters.clone())).map(|()| counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let target = ["provider", "model"];
        let cost = CounterVec::new(opts!("vx11_cost_usd_total", "US dollars spent at providers."), &target)?;
        registry.register(Box::new(cost.clone()))?;
        let refusals = counters("vx11_limit_refusals_total", "Requests refused by a limit of their key.", &["limit"])?;
        // What is counted for the first time must be seen to have grown.
        for unit in Unit::ALL {
            refusals.with_label_values(&[unit.as_str()]);
        }
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
            refusals,
            rows_lost: counter("vx11_ledger_rows_lost_total", "Requests that the ledger could not take.")?,
            settlements_folded: counter(
                "vx11_limits_settlements_folded_total",
                "Settlements that were added up with others of their key, because Redis did not take them in time.",
            )?,
        })
    }

    /// Shows whether limits are degraded, as it is when that is scraped.
    pub(super) fn watch(&self, registry: &Registry, accounts: Weak<Accounts>) -> prometheus::Result<()> {
        let help = "1 while limits are those of this replica alone, because Redis does not answer.";
        let gauge = IntGauge::with_opts(Opts::new("vx11_limits_degraded", help))?;
        registry.register(Box::new(Degraded { gauge, accounts }))
    }

    /// Shows that no call of `model` was without a price so far.
    pub(super) fn model(&self, provider: &str, model: &str) {
        self.unpriced.with_label_values(&[provider, model]);
    }

    pub(super) fn charged(&self, charge: &Charge<'_>, cost: Option<Usd>) {
        let Charge { provider, label, tokens, estimated, .. } = charge;
        for (kind, count) in [
            ("prompt", tokens.prompt),
            ("cached", tokens.cached),
            ("cache_written", tokens.cache_written),
            ("completion", tokens.completion),
            ("reasoning", tokens.reasoning),
        ] {
            if count > 0 {
                self.tokens.with_label_values(&[*provider, *label, kind]).inc_by(count);
            }
        }
        if *estimated {
            self.estimated.with_label_values(&[*provider, *label]).inc();
        }
        match cost {
            Some(cost) if cost > Usd::ZERO => self.cost.with_label_values(&[*provider, *label]).inc_by(cost.as_f64()),
            Some(_) => {}
            None if tokens.total() == 0 => {}
            None => self.unpriced.with_label_values(&[*provider, *label]).inc(),
        }
    }

    pub(super) fn refused(&self, refused: &Refused) {
        self.refusals.with_label_values(&[refused.level.unit.as_str()]).inc();
    }

    pub(super) fn row_lost(&self) {
        self.rows_lost.inc();
    }
}

struct Degraded {
    gauge: IntGauge,
    accounts: Weak<Accounts>,
}

impl Collector for Degraded {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let is_degraded = self.accounts.upgrade().is_some_and(|accounts| accounts.meters.trouble().is_some());
        self.gauge.set(is_degraded.into());
        self.gauge.collect()
    }
}
