//! What is counted of interventions. Of one replica; all of them together count everything once.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use vx11_contracts::intervention::Status;
use vx11_contracts::unit::{UnitAction, UnitEvent};

use crate::domain::intervention::Transition;

/// The desk's own metrics, in the service's registry.
#[derive(Clone, Debug)]
pub(crate) struct DeskMetrics {
    asked: IntCounter,
    ended: IntCounterVec,
    waiting: IntGauge,
    units: IntCounterVec,
}

/// Counts one who waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting(IntGauge);

/// The ways in which a wait ends.
const ENDS: [Status; 4] = [Status::Approved, Status::Rejected, Status::Expired, Status::Completed];

impl DeskMetrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            asked: IntCounter::new("vx11_interventions_asked_total", "Requests for a person's decision.")?,
            ended: IntCounterVec::new(
                Opts::new("vx11_interventions_ended_total", "Requests whose wait ended, by how."),
                &["status"],
            )?,
            waiting: IntGauge::new("vx11_interventions_waiting", "Callers that wait for a decision over HTTP.")?,
            units: IntCounterVec::new(
                Opts::new("vx11_units_events_total", "What happened to units of work."),
                &["action"],
            )?,
        };
        // What is counted for the first time must be seen to have grown.
        for status in ENDS {
            metrics.ended.with_label_values(&[status.as_str()]);
        }
        for action in UnitAction::ALL {
            metrics.units.with_label_values(&[action.as_str()]);
        }
        registry.register(Box::new(metrics.units.clone()))?;
        registry.register(Box::new(metrics.asked.clone()))?;
        registry.register(Box::new(metrics.ended.clone()))?;
        registry.register(Box::new(metrics.waiting.clone()))?;
        Ok(metrics)
    }

    pub(super) fn asked(&self) {
        self.asked.inc();
    }

    /// Counts what ended the wait of a request, among what happened to it.
    pub(super) fn happened(&self, transitions: &[Transition]) {
        let ended = transitions.iter().filter(|step| step.from.is_open() && !step.to.is_open());
        ended.for_each(|step| self.ended.with_label_values(&[step.to.as_str()]).inc());
    }

    /// Counts what happened to a unit.
    pub(super) fn happened_to_unit(&self, events: &[UnitEvent]) {
        events.iter().for_each(|event| self.units.with_label_values(&[event.action.as_str()]).inc());
    }

    pub(super) fn wait(&self) -> Waiting {
        self.waiting.inc();
        Waiting(self.waiting.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}
