//! Which of a service's replicas a request goes to.
//!
//! - Of two replicas that chance picks the one with fewer requests under way is asked (power of two choices): a slow one
//!   gets fewer, and nobody has to look at all of them.
//! - Replicas of the caller's own zone are preferred. As long as seven in ten of them are well they are asked alone;
//!   then some of the requests go to other zones, the more the fewer are left.
//! - What cannot be reached, or says that it stops, is left alone at once. What fails though it was reached is left alone after some failures in
//!   a row, but only where another replica does better, and at most half of them are: where all fail, the fault is
//!   behind them, and those that are left would only get all the work.
//! - Each pause is twice as long as the one before, until a replica stays well for as long as its last pause was. After
//!   a pause one request shows how it is.
//! - Where nobody is left, everybody is asked: a guess that all of them are down must not make it so.
//! - A canary's replicas are for the sessions that were chosen for it, and the others for the rest; either stands in
//!   where none of the other is left.
//!
//! A single replica is neither counted out nor compared with anything. It costs a few counters.

mod canary;
mod replica;
mod side;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::BreakerConfig;

pub use canary::is_canary;
pub use replica::Replica;
use side::Side;

/// How a request went, as far as it says something about the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Good,
    /// It answered, and that it stops.
    Leaving,
    /// It failed, broke off, or did not answer in time.
    Bad,
    /// There was no connection.
    Unreachable,
}

/// What a request has changed for its replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is left alone from now on.
    Ejected,
    /// It is asked again.
    Back,
}

/// The replicas of one service, as those see them who call it.
pub struct Balancer<T> {
    /// Those for everybody, and those of the canary.
    sides: [Side<T>; 2],
    /// When a replica is left alone, and for how long at first; `None`: never.
    ejection: Option<Ejection>,
}

#[derive(Clone, Copy, Debug)]
struct Ejection {
    /// Failures in a row.
    after: u32,
    pause: Duration,
}

/// A replica that is asked. It counts as a request under way until it is dropped.
pub struct Choice<T> {
    replica: Arc<Replica<T>>,
    /// Whether it was the canary's that was asked for.
    canary: bool,
    reason: Reason,
}

/// Why a replica is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// It is well.
    Well,
    /// Its pause is over: the request shows how it is.
    Probe,
    /// Nobody is well.
    NobodyIs,
}

impl<T> Balancer<T> {
    /// Balances over `replicas` for a caller in `zone`. They are left alone by the rules of `circuit`: after its
    /// failures, and first for its pause.
    pub fn new(
        replicas: impl IntoIterator<Item = Arc<Replica<T>>>,
        zone: Option<&str>,
        circuit: BreakerConfig,
    ) -> Self {
        let (canary, stable) = replicas.into_iter().partition(|replica| replica.canary);
        let ejection = Ejection { after: circuit.failure_threshold.max(1), pause: circuit.open_for };
        Self {
            sides: [stable, canary].map(|side| Side::new(side, zone)),
            ejection: circuit.enabled.then_some(ejection),
        }
    }

    /// Every replica.
    pub fn replicas(&self) -> impl Iterator<Item = &Arc<Replica<T>>> {
        self.sides.iter().flat_map(Side::all)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sides.iter().map(Side::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whom to ask, for the canary or for the rest; `None` where there is no replica at all. `draw` makes a random word.
    pub fn choose(&self, canary: bool, draw: impl FnOnce() -> u64) -> Option<Choice<T>> {
        match self.only() {
            Some(only) => Some(Choice::of(only, canary, Reason::Well)),
            None => self.choose_at(canary, draw(), Instant::now()),
        }
    }

    /// Whom to ask now that `failed` has; `None` where that is still the best there is.
    pub fn choose_another(&self, failed: &Choice<T>, draw: impl FnOnce() -> u64) -> Option<Choice<T>> {
        let (sides, draw) = (self.sides_for(failed.canary), draw());
        if let Some(well) = sides.iter().find_map(|side| side.well(Some(failed), draw)) {
            return Some(Choice::of(well, failed.canary, Reason::Well));
        }
        if failed.replica.is_well() {
            return None;
        }
        let anybody = sides.iter().find_map(|side| side.any(Some(failed), draw))?;
        Some(Choice::of(anybody, failed.canary, Reason::NobodyIs))
    }

    /// Takes in how the request to `choice` went.
    pub fn report(&self, choice: &Choice<T>, outcome: Outcome) -> Option<Change> {
        self.report_at(choice, outcome, Instant::now)
    }

    /// Whether a replica besides `choice` is well, and failed nothing since its last answer: then what `choice` fails is
    /// its own fault, and not that of all of them.
    pub fn another_does_well(&self, choice: &Choice<T>) -> bool {
        self.replicas().any(|replica| !choice.is(replica) && replica.does_well())
    }

    fn choose_at(&self, canary: bool, draw: u64, now: Instant) -> Option<Choice<T>> {
        let sides = self.sides_for(canary);
        if let Some(due) = sides[0].all().find(|replica| replica.take_probe(now)) {
            return Some(Choice::of(due, canary, Reason::Probe));
        }
        if let Some(well) = sides.iter().find_map(|side| side.well(None, draw)) {
            return Some(Choice::of(well, canary, Reason::Well));
        }
        let anybody = sides.iter().find_map(|side| side.any(None, draw))?;
        Some(Choice::of(anybody, canary, Reason::NobodyIs))
    }

    fn report_at(&self, choice: &Choice<T>, outcome: Outcome, now: impl FnOnce() -> Instant) -> Option<Change> {
        match outcome {
            Outcome::Good => self.succeeded(choice, now),
            Outcome::Leaving => {
                choice.replica.succeeded();
                self.eject(choice, now)
            }
            Outcome::Bad | Outcome::Unreachable => {
                let failures = choice.replica.failed();
                let is_sure = outcome == Outcome::Unreachable || choice.reason == Reason::Probe;
                if is_sure || self.is_outlier(choice, failures) { self.eject(choice, now) } else { None }
            }
        }
    }

    fn succeeded(&self, choice: &Choice<T>, now: impl FnOnce() -> Instant) -> Option<Change> {
        choice.replica.succeeded();
        if choice.reason == Reason::Well {
            return None;
        }
        let is_back = choice.replica.come_back(now());
        if choice.reason == Reason::NobodyIs {
            // Whatever took all of them away is over.
            self.replicas().for_each(|replica| replica.end_pause());
        }
        is_back.then_some(Change::Back)
    }

    fn is_outlier(&self, choice: &Choice<T>, failures: u32) -> bool {
        let is_often = self.ejection.is_some_and(|ejection| failures >= ejection.after);
        is_often && self.may_lose_one() && self.another_does_well(choice)
    }

    fn eject(&self, choice: &Choice<T>, now: impl FnOnce() -> Instant) -> Option<Change> {
        let pause = self.ejection.filter(|_| self.only().is_none())?.pause;
        // Where nobody is well it is left alone already; a guess does not make that longer.
        let may = choice.reason != Reason::NobodyIs;
        let is_new = may && choice.replica.eject(choice.reason == Reason::Probe, pause, now());
        is_new.then_some(Change::Ejected)
    }

    /// Whether at least half of the replicas are left when one more is left alone.
    fn may_lose_one(&self) -> bool {
        let out = self.replicas().filter(|replica| !replica.is_well()).count();
        (out + 1) * 2 <= self.len()
    }

    fn sides_for(&self, canary: bool) -> [&Side<T>; 2] {
        let [stable, its] = &self.sides;
        if canary { [its, stable] } else { [stable, its] }
    }

    /// The replica, where there is just one.
    fn only(&self) -> Option<&Arc<Replica<T>>> {
        let mut all = self.replicas();
        all.next().filter(|_| all.next().is_none())
    }
}

impl<T> Choice<T> {
    fn of(replica: &Arc<Replica<T>>, canary: bool, reason: Reason) -> Self {
        replica.outstanding.fetch_add(1, Ordering::Relaxed);
        Self { replica: replica.clone(), canary, reason }
    }

    /// Whom to ask.
    pub fn target(&self) -> &T {
        &self.replica.target
    }

    fn is(&self, replica: &Arc<Replica<T>>) -> bool {
        Arc::ptr_eq(&self.replica, replica)
    }
}

impl<T> Drop for Choice<T> {
    fn drop(&mut self) {
        self.replica.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: fmt::Debug> fmt::Debug for Balancer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.replicas()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choice").field("target", self.target()).field("reason", &self.reason).finish_non_exhaustive()
    }
}
