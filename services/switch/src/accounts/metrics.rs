//! What money and limits count. Labels are names of the configuration.

mod spent;

use std::sync::{Arc, Weak};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, opts};

use super::Accounts;
use super::account::Unit;
use super::meters::Refused;

pub(crate) use spent::ModelSpent;
use spent::SpentMetrics;

/// The counters.
#[derive(Debug)]
pub(super) struct Metrics {
    spent: SpentMetrics,
    refusals: IntCounterVec,
    rows_lost: IntCounter,
    /// Questions to the operator who calls.
    pub(super) questions: Questions,
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
        let refusals = counters("vx11_limit_refusals_total", "Requests refused by a limit of their key.", &["limit"])?;
        // What is counted for the first time must be seen to have grown.
        for unit in Unit::ALL {
            refusals.with_label_values(&[unit.as_str()]);
        }
        let questions = counters(
            "vx11_identity_questions_total",
            "Questions to the operator who comes with a key or token, by what it said.",
            &["answer"],
        )?;
        for answer in Questions::ANSWERS {
            questions.with_label_values(&[answer]);
        }
        Ok(Self {
            questions: Questions(questions),
            spent: SpentMetrics::new(registry)?,
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

    /// What is counted of the model of this label.
    pub(super) fn model(&self, provider: Arc<str>, label: Arc<str>) -> ModelSpent {
        self.spent.of(provider, label)
    }

    pub(super) fn refused(&self, refused: &Refused) {
        self.refusals.with_label_values(&[refused.level.unit.as_str()]).inc();
    }

    pub(super) fn row_lost(&self) {
        self.rows_lost.inc();
    }
}

/// Questions to the operator who comes with a key or token.
#[derive(Clone, Debug)]
pub(super) struct Questions(IntCounterVec);

impl Questions {
    const ANSWERS: [&str; 4] = ["known", "nobody", "no_answer", "not_asked"];

    /// One was answered so, as [`Questions::ANSWERS`] has it.
    pub(super) fn count(&self, answer: &str) {
        self.0.with_label_values(&[answer]).inc();
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
