//! The counters of this process: exact and atomic under one short lock a tenant, never held across an await.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::MutexGuard;

use super::account::{Account, Amounts, Book, Counts, Meter, Tenant, Unit};
use super::meters::{Level, Meters, Refused, Reservation};
use super::period::Window;

/// How far a clock may be set back and still lead into no window that is over: what keeps it right moves it by less.
/// One that is set back further was wrong, and so are the windows that it has opened. The one before each of those is
/// kept.
const STEP_MS: i64 = 60_000;

/// Counts in memory.
#[derive(Debug, Default)]
pub(crate) struct LocalMeters;

#[async_trait]
impl Meters for LocalMeters {
    async fn reserve(&self, account: &Arc<Account>, amounts: Amounts, now_ms: i64) -> Result<Reservation, Refused> {
        reserve(account, amounts, now_ms, 0)
    }

    fn settle(&self, reservation: Reservation, spent: Amounts) {
        settle(&reservation, spent);
    }

    fn trouble(&self) -> Option<&'static str> {
        None
    }

    async fn flush(&self, _: Duration) {}
}

/// Sets `amounts` aside where every meter has room for them.
pub(crate) fn reserve(account: &Arc<Account>, amounts: Amounts, now_ms: i64, id: u64) -> Result<Reservation, Refused> {
    let mut book = lock(&account.tenant);
    let at_ms = begun_at(&book, account, now_ms);
    for meter in &account.meters {
        let counts = current(&mut book, meter, at_ms);
        let wanted = meter.unit.of(&amounts);
        // What wants nothing of a meter is not stopped by it.
        if wanted > 0 && counts.used().saturating_add(wanted) > meter.limit {
            return Err(Refused { scope: meter.scope.clone(), level: level(meter, counts.used(), now_ms), wanted });
        }
    }
    for meter in &account.meters {
        book.cells[meter.slot].now.add(meter.unit.of(&amounts), 0);
    }
    Ok(Reservation { account: account.clone(), reserved: amounts, at_ms, era: book.era, id, is_shared: false })
}

/// When a request of `now_ms` counts as made, in the windows that its counters are in, or will be; and the era.
pub(crate) fn at_ms(account: &Account, now_ms: i64) -> (i64, u64) {
    let book = lock(&account.tenant);
    (begun_at(&book, account, now_ms), book.era)
}

/// `now_ms`, or the begin of the latest window that a clock has opened which was set back a little since.
fn begun_at(book: &Book, account: &Account, now_ms: i64) -> i64 {
    let begins = account.meters.iter().map(|meter| book.cells[meter.slot].now.window.start_ms);
    let is_just_ahead = |begin: &i64| (now_ms..=now_ms.saturating_add(STEP_MS)).contains(begin);
    begins.filter(is_just_ahead).max().unwrap_or(now_ms)
}

/// Replaces what was reserved by what was spent, in the windows that it was reserved in.
pub(crate) fn settle(reservation: &Reservation, spent: Amounts) {
    let mut book = lock(&reservation.account.tenant);
    for meter in &reservation.account.meters {
        if let Some(counts) = book.cells[meter.slot].counts(reservation.at_ms, reservation.era) {
            counts.add(meter.unit.of(&spent), meter.unit.of(&reservation.reserved));
        }
    }
}

/// Whether the counter of `meter` has counted nothing and was not filled yet.
pub(crate) fn is_new(tenant: &Tenant, meter: &Meter) -> bool {
    lock(tenant).cells[meter.slot].now.window == Window::EMPTY
}

/// Fills a new counter with what was spent before it began.
pub(crate) fn restore(tenant: &Tenant, meter: &Meter, used: u64, now_ms: i64) {
    let counts = &mut lock(tenant).cells[meter.slot].now;
    counts.window = meter.period.window(now_ms);
    counts.said.used = used;
}

/// How much is left on the meter of each unit that has the least left.
pub(crate) fn tightest<const N: usize>(account: &Account, units: [Unit; N], now_ms: i64) -> [Option<Level>; N] {
    let mut book = lock(&account.tenant);
    units.map(|unit| {
        let meters = account.meters.iter().filter(|meter| meter.unit == unit);
        let levels = meters.map(|meter| level(meter, current(&mut book, meter, now_ms).used(), now_ms));
        levels.min_by_key(|level| level.remaining)
    })
}

/// What is left of `meter` when `used` is taken.
pub(crate) fn level(meter: &Meter, used: u64, now_ms: i64) -> Level {
    let left_ms = meter.period.window(now_ms).end_ms.saturating_sub(now_ms);
    Level {
        unit: meter.unit,
        period: meter.period,
        limit: meter.limit,
        remaining: meter.limit.saturating_sub(used),
        reset: Duration::from_millis(left_ms.try_into().unwrap_or_default()),
    }
}

/// The counter of `meter`, in its present window. A clock that was set back a little does not open an old window again;
/// one that was set back further finds the window before as it was left, and any other one empty.
pub(super) fn current<'b>(book: &'b mut Book, meter: &Meter, now_ms: i64) -> &'b mut Counts {
    let cell = &mut book.cells[meter.slot];
    let is_back = cell.now.window.start_ms.saturating_sub(now_ms) > STEP_MS;
    if is_back || now_ms >= cell.now.window.end_ms {
        book.era += u64::from(is_back);
        let left = cell.now;
        cell.now = if is_back && cell.last.window.has(now_ms) {
            cell.last
        } else {
            Counts::new(meter.period.window(now_ms), book.era, left.said)
        };
        cell.last = left;
    }
    &mut cell.now
}

pub(super) fn lock(tenant: &Tenant) -> MutexGuard<'_, Book> {
    tenant.book.lock()
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
