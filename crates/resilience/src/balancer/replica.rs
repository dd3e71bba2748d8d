//! One replica: what it has to do, and whether it is left alone.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How many times its first pause the longest is.
const LONGEST: u32 = 16;

/// One replica of a service, and what those know of it who call it. It outlives the set of replicas that it is in, so
/// that a new set knows it.
#[derive(Debug)]
pub struct Replica<T> {
    /// How it is called.
    pub target: T,
    /// Where it is.
    pub(super) zone: Option<String>,
    /// Whether it is for the sessions of a canary.
    pub(super) canary: bool,
    pub(super) outstanding: AtomicU32,
    /// Failures since it last answered well.
    failed_in_a_row: AtomicU32,
    /// Until when it is left alone, in milliseconds since it is known; 0 where it is well.
    out_until: AtomicU64,
    since: Instant,
    pauses: Mutex<Pauses>,
    succeeded: AtomicU64,
    failed: AtomicU64,
    ejected: AtomicU64,
}

#[derive(Debug, Default)]
struct Pauses {
    last: Duration,
    back_since: Option<Instant>,
}

impl<T> Replica<T> {
    /// One that is well, as far as anybody knows.
    pub fn new(target: T, zone: Option<String>, canary: bool) -> Self {
        Self {
            target,
            zone,
            canary,
            outstanding: AtomicU32::new(0),
            failed_in_a_row: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            since: Instant::now(),
            pauses: Mutex::default(),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            ejected: AtomicU64::new(0),
        }
    }

    /// Requests under way.
    pub fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Requests that it answered well.
    pub fn successes(&self) -> u64 {
        self.succeeded.load(Ordering::Relaxed)
    }

    /// Requests that it failed, or that it could not be reached for.
    pub fn failures(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How often it was left alone for a while.
    pub fn ejections(&self) -> u64 {
        self.ejected.load(Ordering::Relaxed)
    }

    /// Whether it is left alone now. One whose pause is over is not, though nobody has asked it since.
    pub fn is_ejected(&self) -> bool {
        self.is_out_at(Instant::now())
    }

    pub(super) fn is_out_at(&self, now: Instant) -> bool {
        self.out_until.load(Ordering::Relaxed) > self.at(now)
    }

    /// Whether requests go to it.
    pub(super) fn is_well(&self) -> bool {
        self.out_until.load(Ordering::Relaxed) == 0
    }

    /// Whether requests go to it, and the last one was answered well.
    pub(super) fn does_well(&self) -> bool {
        self.is_well() && self.failed_in_a_row.load(Ordering::Relaxed) == 0
    }

    /// Takes the one request that shows how it is, where its pause is over. Until that is known it is left alone for as
    /// long again, or until another request may.
    pub(super) fn take_probe(&self, now: Instant) -> bool {
        let until = self.out_until.load(Ordering::Relaxed);
        if until == 0 || until > self.at(now) {
            return false;
        }
        let next = self.after(self.pauses.lock().last, now);
        self.out_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn succeeded(&self) {
        self.succeeded.fetch_add(1, Ordering::Relaxed);
        if self.failed_in_a_row.load(Ordering::Relaxed) != 0 {
            self.failed_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// How many failures there are in a row with this one.
    pub(super) fn failed(&self) -> u32 {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.failed_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Whether it was left alone before.
    pub(super) fn come_back(&self, now: Instant) -> bool {
        let mut pauses = self.pauses.lock();
        let was_out = self.out_until.swap(0, Ordering::Relaxed) != 0;
        if was_out {
            pauses.back_since = Some(now);
        }
        was_out
    }

    /// Its pause is over, if there is one.
    pub(super) fn end_pause(&self) {
        let _pauses = self.pauses.lock();
        let until = self.out_until.load(Ordering::Relaxed);
        self.out_until.store(until.min(1), Ordering::Relaxed);
    }

    /// Leaves it alone, first for `pause`; one that is left alone already only where its probe failed. Whether it was
    /// not before.
    pub(super) fn eject(&self, is_probe: bool, pause: Duration, now: Instant) -> bool {
        let mut pauses = self.pauses.lock();
        let was_well = self.is_well();
        if !was_well && !is_probe {
            // A request of before.
            return false;
        }
        let stayed_well =
            was_well && pauses.back_since.is_none_or(|since| now.saturating_duration_since(since) >= pauses.last);
        let longer = pauses.last.saturating_mul(2).clamp(pause, pause.saturating_mul(LONGEST));
        pauses.last = if stayed_well { pause } else { longer };
        self.out_until.store(self.after(pauses.last, now), Ordering::Relaxed);
        self.ejected.fetch_add(1, Ordering::Relaxed);
        was_well
    }

    fn after(&self, pause: Duration, now: Instant) -> u64 {
        self.at(now).saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds since it is known, from 1 on.
    fn at(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.since).as_millis() as u64 + 1
    }
}
