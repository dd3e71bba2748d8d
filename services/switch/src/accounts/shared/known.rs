//! What this process knows of the counters beside what Redis says: enough to fill a Redis that has lost them.
//!
//! A counter of the process is what Redis said last, and what the process adds to that until Redis is told. Some of it
//! Redis is told sooner or later: what requests under way reserved, and what ended requests spent as long as their
//! settlements wait. What is left without it is what a Redis that comes back empty lacks. Other replicas may know more;
//! each fills in what it knows when it comes first, and the most of it stays.

use crate::accounts::account::{Account, Amounts, Counts, Said};
use crate::accounts::local;
use crate::accounts::meters::Reservation;

/// What a counter in Redis has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seed {
    pub(super) used: u64,
    /// Which of Redis' lives was asked before: one that knows the counter is not told of it again.
    pub(super) life: u64,
}

/// What the counters of `account` have at least in the windows of `at_ms`, in the order of its meters.
pub(super) fn seeds(account: &Account, at_ms: i64) -> Vec<Seed> {
    let book = local::lock(&account.tenant);
    let seed = |counts: &Counts| Seed {
        used: if counts.window.has(at_ms) { counts.used().saturating_sub(counts.untold) } else { 0 },
        life: counts.said.life,
    };
    account.meters.iter().map(|meter| seed(&book.cells[meter.slot].now)).collect()
}

/// Redis has `said` what is used of each meter of `account`.
pub(super) fn heard(account: &Account, said: &[Said], now_ms: i64) {
    let mut book = local::lock(&account.tenant);
    for (meter, said) in account.meters.iter().zip(said) {
        let counts = local::current(&mut book, meter, now_ms);
        // Another request may have opened the next window meanwhile.
        if counts.window.has(now_ms) {
            counts.hear(*said);
        }
    }
}

/// A request was let in: Redis is told when it ends.
pub(super) fn began(reservation: &Reservation) {
    change(reservation, |_, counts, of| counts.untold = counts.untold.saturating_add(of(&reservation.reserved)));
}

/// A request has ended, having `spent` that: Redis is told soon.
pub(super) fn ended(reservation: &Reservation, spent: Amounts) {
    change(reservation, |_, counts, of| {
        counts.untold = counts.untold.saturating_sub(of(&reservation.reserved)).saturating_add(of(&spent));
    });
}

/// Redis was told what a request has `spent`, and has `said` what is used since.
pub(super) fn told(reservation: &Reservation, spent: Amounts, said: &[Said]) {
    change(reservation, |index, counts, of| {
        counts.untold = counts.untold.saturating_sub(of(&spent));
        let held = if reservation.is_shared { of(&reservation.reserved) } else { 0 };
        counts.add(held, of(&spent));
        said.get(index).into_iter().for_each(|said| counts.hear(*said));
    });
}

/// Redis is never told that a request has ended, and has what was reserved for it in what it says.
pub(super) fn forgotten(reservation: &Reservation) {
    if reservation.is_shared {
        change(reservation, |_, counts, of| counts.add(of(&reservation.reserved), 0));
    }
}

/// Changes the counters of a reservation that still know its window: given the place of each and its unit's part.
fn change(reservation: &Reservation, to: impl Fn(usize, &mut Counts, &dyn Fn(&Amounts) -> u64)) {
    let mut book = local::lock(&reservation.account.tenant);
    for (index, meter) in reservation.account.meters.iter().enumerate() {
        if let Some(counts) = book.cells[meter.slot].counts(reservation.at_ms, reservation.era) {
            to(index, counts, &|amounts| meter.unit.of(amounts));
        }
    }
}

#[cfg(test)]
mod tests;
