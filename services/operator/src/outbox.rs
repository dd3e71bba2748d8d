//! The outbox: what is told outside goes out at least once.
//!
//! What is to be told stands in the database, written with the change itself ([`crate::control`]). Here it is sent: by
//! whichever replica leases it, again and again with growing pauses, until it is taken or given up. How a message is
//! sent is its channel's affair; each channel has a queue of its own, so that none keeps another waiting.

mod metrics;
mod pause;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use vx11_chassis::Shutdown;
use vx11_contracts::intervention::Channel as Kind;
use vx11_contracts::time;

use crate::control::{Control, Due, Outcome, Room};

pub(crate) use metrics::OutboxMetrics;

/// How often the outbox is looked at, for what is due again and for what other replicas wrote.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often those that wait are counted.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// How long a lease is beyond the attempt's own time: for the database.
const LEASE_SPARE: Duration = Duration::from_secs(20);
/// What is said where there was no answer in time.
const NO_ANSWER: &str = "the receiver was not reached, or did not answer in time";

/// A way on which messages go out.
pub(crate) trait Channel: std::fmt::Debug + Send + Sync + 'static {
    /// Which one it is.
    const KIND: Kind;
    /// Messages at a time, of all organisations.
    const MOST: usize;
    /// Messages at a time, of one organisation.
    const EACH: usize;
    /// When what fails again and again is given up.
    const GIVE_UP: GiveUp;

    /// How fast it goes.
    fn pace(&self) -> Pace;

    /// Sends `due` once. Whoever calls bounds the wait, and drops what takes longer.
    fn send(&self, due: &Due, now: Timestamp) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// How fast a channel goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Longest attempt.
    pub(crate) timeout: Duration,
    /// The most that is waited after the first one.
    pub(crate) retry_base: Duration,
}

/// When a delivery that fails again and again is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GiveUp {
    /// After so many attempts.
    AfterAttempts(u32),
    /// When what it tells is older than this.
    AfterAge(Duration),
}

impl GiveUp {
    fn is_due(self, due: &Due, now: Timestamp) -> bool {
        match self {
            Self::AfterAttempts(most) => due.attempt >= most,
            Self::AfterAge(most) => now.checked_sub(most).is_ok_and(|then| due.created_at < time::render(then)),
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may succeed later, but not before what the receiver has asked for.
    Again { error: String, not_before: Option<Duration> },
    /// It will not.
    Final(String),
}

impl Failure {
    /// It may succeed later.
    pub(crate) fn again(error: impl Into<String>) -> Self {
        Self::Again { error: error.into(), not_before: None }
    }

    /// There was no answer. Nothing more is said, so that nobody learns by it what listens where.
    pub(crate) fn no_answer() -> Self {
        Self::again(NO_ANSWER)
    }
}

/// Sends what stands in the outbox for one channel. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Outbox<C> {
    control: Control,
    channel: Arc<C>,
    metrics: OutboxMetrics,
    wake: Arc<Notify>,
}

impl<C> Clone for Outbox<C> {
    fn clone(&self) -> Self {
        Self {
            control: self.control.clone(),
            channel: self.channel.clone(),
            metrics: self.metrics.clone(),
            wake: self.wake.clone(),
        }
    }
}

impl<C: Channel> Outbox<C> {
    pub(crate) fn new(control: Control, channel: C, metrics: OutboxMetrics) -> Self {
        Self { control, channel: Arc::new(channel), metrics, wake: Arc::default() }
    }

    /// How its messages go out.
    pub(crate) fn channel(&self) -> &C {
        &self.channel
    }

    /// Has the outbox looked at now: something was committed to it.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Sends until the service stops. What is under way then is not waited for: its lease lapses, and it is sent again.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut attempts = JoinSet::new();
        let mut orgs: HashMap<Id, String> = HashMap::new();
        let mut count_at = Instant::now();
        let pause = LOOK_EVERY.min(self.channel.pace().retry_base);
        while !shutdown.has_begun() {
            for due in self.take(&orgs).await {
                let org = due.org.clone();
                let attempt = attempts.spawn(self.clone().attempt(due));
                orgs.insert(attempt.id(), org);
            }
            if Instant::now() >= count_at {
                count_at = Instant::now() + COUNT_EVERY;
                self.count().await;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = shutdown.begun() => {}
                Some(ended) = attempts.join_next_with_id() => {
                    orgs.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
                }
            }
        }
    }

    /// What is to be sent now, as far as there is room beside what is under way.
    async fn take(&self, orgs: &HashMap<Id, String>) -> Vec<Due> {
        let mut under_way: HashMap<String, usize> = HashMap::new();
        orgs.values().for_each(|org| *under_way.entry(org.clone()).or_default() += 1);
        let room = Room { all: C::MOST.saturating_sub(orgs.len()), each: C::EACH, under_way };
        if room.all == 0 {
            return Vec::new();
        }
        let lease = self.channel.pace().timeout + LEASE_SPARE;
        let taken = self.control.take_deliveries(C::KIND, Timestamp::now(), lease, room).await;
        taken.unwrap_or_else(|error| {
            tracing::warn!(%error, channel = %C::KIND, "the outbox waits for the database");
            Vec::new()
        })
    }

    async fn count(&self) {
        match self.control.pending_deliveries(C::KIND).await {
            Ok(pending) => self.metrics.set_pending(pending),
            Err(error) => tracing::debug!(%error, channel = %C::KIND, "what waits in the outbox cannot be counted"),
        }
    }

    async fn attempt(self, due: Due) {
        let sent = tokio::time::timeout(self.channel.pace().timeout, self.channel.send(&due, Timestamp::now())).await;
        let sent = sent.unwrap_or_else(|_| Err(Failure::no_answer()));
        let now = Timestamp::now();
        let outcome = self.outcome(&due, sent, now);
        let channel = C::KIND.as_str();
        if let Outcome::Dead(error) = &outcome {
            let attempts = due.attempt;
            tracing::warn!(channel, org = due.org, delivery = due.id, attempts, error, "a delivery is given up");
        }
        self.metrics.attempted(&outcome);
        if let Err(error) = self.control.settle_delivery(&due, outcome, now).await {
            tracing::warn!(%error, channel, delivery = due.id, "it will be sent again: what came of it cannot be written");
        }
    }

    fn outcome(&self, due: &Due, sent: Result<(), Failure>, now: Timestamp) -> Outcome {
        match sent {
            Ok(()) => Outcome::Delivered,
            Err(Failure::Final(error)) => Outcome::Dead(error),
            Err(Failure::Again { error, .. }) if C::GIVE_UP.is_due(due, now) => Outcome::Dead(error),
            Err(Failure::Again { error, not_before }) => {
                let pause = pause::before_next(self.channel.pace().retry_base, due.attempt, rand::random::<f64>());
                let pause = pause.max(not_before.unwrap_or_default()).min(pause::LONGEST);
                Outcome::Again(now.checked_add(pause).unwrap_or(now), error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_and_again_is_given_up_by_attempts_or_by_age() {
        let due = |attempt| Due {
            org: "acme".to_owned(),
            id: "msg_1".to_owned(),
            url: "mailto:ops@acme.example".to_owned(),
            body: String::new(),
            attempt,
            created_at: "2026-11-22T10:00:00.000Z".to_owned(),
        };
        let at = |time: &str| time.parse::<Timestamp>().expect("a time");
        let (soon, late) = (at("2026-11-23T10:00:00Z"), at("2026-11-23T10:00:01Z"));
        let (often, day) = (GiveUp::AfterAttempts(8), GiveUp::AfterAge(Duration::from_secs(24 * 60 * 60)));
        assert_eq!([7, 8].map(|attempt| often.is_due(&due(attempt), late)), [false, true]);
        assert_eq!([soon, late].map(|now| day.is_due(&due(100), now)), [false, true]);
    }
}
