//! What this process knows of the counters beside what Redis says: enough to fill a Redis that has lost them.
//!
//! A counter of the process is what Redis said last, and what the process has added since. Some of that Redis is told
//! sooner or later: what requests under way reserved, and what ended requests spent as long as their settlements wait. What
//! is left without it is what a Redis that comes back empty lacks. Other replicas may know more; each fills in what it knows
//! when it comes first, and the most of it stays.

use crate::accounts::account::{Account, Amounts, Cell};
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
    let seed = |cell: &Cell| Seed {
        used: if cell.window.has(at_ms) { cell.used.saturating_sub(cell.untold) } else { 0 },
        life: cell.life,
    };
    account.meters.iter().map(|meter| seed(&book[meter.slot])).collect()
}

/// A request was let in: Redis is told when it ends.
pub(super) fn began(reservation: &Reservation) {
    change(reservation, |untold, of| untold.saturating_add(of(&reservation.reserved)));
}

/// A request has ended, having `spent` that: Redis is told soon.
pub(super) fn ended(reservation: &Reservation, spent: Amounts) {
    change(reservation, |untold, of| untold.saturating_sub(of(&reservation.reserved)).saturating_add(of(&spent)));
}

/// Redis was told what a request has `spent`.
pub(super) fn told(reservation: &Reservation, spent: Amounts) {
    change(reservation, |untold, of| untold.saturating_sub(of(&spent)));
}

fn change(reservation: &Reservation, after: impl Fn(u64, &dyn Fn(&Amounts) -> u64) -> u64) {
    let mut book = local::lock(&reservation.account.tenant);
    for meter in &reservation.account.meters {
        let cell = &mut book[meter.slot];
        if cell.window.has(reservation.at_ms) {
            cell.untold = after(cell.untold, &|amounts| meter.unit.of(amounts));
        }
    }
}
