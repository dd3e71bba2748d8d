//! What is counted of held requests.

use prometheus::{IntCounterVec, IntGauge, Registry, opts};

use crate::domain::hold::Rule;

/// How a request's stay ended. A caller that comes again is counted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was approved, and goes on.
    Approved,
    /// It was approved with other arguments, and goes on.
    Edited,
    /// It was not approved.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// Its caller was answered 202, or told in its stream that it does not wait any longer.
    Pending,
    /// Its caller went away.
    Left,
    /// It came with an intervention that is not for it, or was used.
    Mismatched,
    /// It cannot be shown to a person, its caller has too many, or it was approved and something else refuses it.
    Refused,
    /// Nobody could be asked.
    Unavailable,
}

impl Ended {
    const ALL: [Self; 9] = [
        Self::Approved,
        Self::Edited,
        Self::Rejected,
        Self::Expired,
        Self::Pending,
        Self::Left,
        Self::Mismatched,
        Self::Refused,
        Self::Unavailable,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Edited => "edited",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Pending => "pending",
            Self::Left => "left",
            Self::Mismatched => "mismatched",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The counters. A clone counts into the same ones.
#[derive(Clone, Debug)]
pub(crate) struct HoldMetrics {
    held: IntCounterVec,
    waiting: IntGauge,
}

impl HoldMetrics {
    /// Registers them in `registry`.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let held = opts!(
            "vx11_held_requests_total",
            "Requests that a rule held for a person, by the rule and how that ended: approved, edited, rejected, expired, \
             pending (202), left, mismatched, refused, unavailable."
        );
        let held = IntCounterVec::new(held, &["rule", "outcome"])?;
        let waiting = IntGauge::new("vx11_held_requests_waiting", "Callers that wait for a person's decision.")?;
        registry.register(Box::new(held.clone()))?;
        registry.register(Box::new(waiting.clone()))?;
        Ok(Self { held, waiting })
    }

    /// Lets what is counted for the first time be seen to have grown.
    pub(crate) fn expect(&self, rule: &Rule) {
        for ended in Ended::ALL {
            self.held.with_label_values(&[&*rule.name, ended.as_str()]);
        }
    }

    /// Counts one.
    pub(crate) fn ended(&self, rule: &Rule, ended: Ended) {
        self.held.with_label_values(&[&*rule.name, ended.as_str()]).inc();
    }

    /// Counts a caller that waits, as long as the guard lives.
    pub(crate) fn wait(&self) -> Waiting {
        self.waiting.inc();
        Waiting(self.waiting.clone())
    }
}

/// One caller that waits.
#[derive(Debug)]
pub(crate) struct Waiting(IntGauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}
