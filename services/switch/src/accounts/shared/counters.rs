//! The counters in Redis: what the scripts are asked, and what their answers mean.

use std::sync::Arc;

use vx11_redis::{Failed, Redis, Script};

use super::known::{self, Seed};
use super::script::{RESERVE, SETTLE};
use crate::accounts::account::{Account, Amounts, Meter, Said};
use crate::accounts::local;
use crate::accounts::meters::{Refused, Reservation};

/// How long a reservation holds that nobody settles: longer than any request may take.
const RESERVATION_MS: i64 = 45 * 60 * 1000;
/// How long it is remembered that a reservation was settled: longer than a settlement is repeated after a lost answer.
const SETTLED_MS: i64 = 5 * 60 * 1000;
/// How much longer than its window a counter is kept, for late settlements.
const KEPT_MS: i64 = 60 * 60 * 1000;
/// The most that a counter has: the scripts add up to it, and take what has more for broken.
const MOST: u64 = 9_000_000_000_000_000_000;

/// The counters of all replicas.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) redis: Arc<Redis>,
    reserve: Script,
    settle: Script,
}

impl Counters {
    /// Those that are kept in `redis`.
    pub(super) fn new(redis: Arc<Redis>) -> Self {
        let (reserve, settle) = (redis.script("reserve", RESERVE), redis.script("settle", SETTLE));
        Self { redis, reserve, settle }
    }

    /// Why the counters are not those of all replicas, where that is so.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        if self.redis.is_lost() {
            return Some("Redis does not answer; limits are those of this replica alone");
        }
        let is_refused = self.reserve.is_refused() || self.settle.is_refused();
        is_refused.then_some("Redis refuses to count; limits are those of this replica alone")
    }

    /// Sets `amounts` aside, and makes the process's own counters equal to those of all. `None`: Redis does not do it.
    pub(super) async fn reserve(
        &self,
        account: &Arc<Account>,
        amounts: Amounts,
        now_ms: i64,
        id: u64,
    ) -> Option<Result<(), Refused>> {
        if account.meters.is_empty() || self.redis.is_lost() {
            return account.meters.is_empty().then_some(Ok(()));
        }
        let mut arguments = vec![now_ms.to_string(), (now_ms + RESERVATION_MS).to_string(), name(id), new_life()];
        for (meter, seed) in account.meters.iter().zip(known::seeds(account, now_ms)) {
            let amount = meter.unit.of(&amounts).min(i64::MAX as u64);
            let limit = meter.limit.min(i64::MAX as u64);
            arguments.extend([amount.to_string(), limit.to_string()]);
            arguments.extend(filling(meter, seed, now_ms, now_ms));
        }
        let spell = self.redis.spell();
        let answer: Vec<String> = self.redis.run(&self.reserve, keys(account, now_ms), arguments).await.ok()?;
        let (refused, answer) = answer.split_first()?;
        let (refused, said) = (refused.parse().ok()?, said(answer, spell)?);
        known::heard(account, &said, now_ms);
        let Some(index) = usize::checked_sub(refused, 1) else { return Some(Ok(())) };
        let (meter, used) = (account.meters.get(index)?, said.get(index)?.used);
        let level = local::level(meter, used, now_ms);
        Some(Err(Refused { scope: meter.scope.clone(), level, wanted: meter.unit.of(&amounts) }))
    }

    /// Replaces what `reservation` holds by `spent`.
    ///
    /// # Errors
    /// When Redis does not do it.
    pub(super) async fn settle(&self, reservation: &Reservation, spent: Amounts) -> Result<(), Failed> {
        let Reservation { account, reserved, at_ms, id, .. } = reservation;
        if account.meters.is_empty() {
            return Ok(());
        }
        let now_ms = crate::accounts::period::now_ms();
        let mut arguments = vec![(now_ms + SETTLED_MS).to_string(), name(*id), new_life()];
        for (meter, seed) in account.meters.iter().zip(known::seeds(account, *at_ms)) {
            let whole = meter.unit.of(&spent).min(i64::MAX as u64) as i64;
            let held = meter.unit.of(reserved).min(i64::MAX as u64) as i64;
            arguments.extend([(whole - held).to_string(), whole.to_string()]);
            arguments.extend(filling(meter, seed, *at_ms, now_ms));
        }
        let spell = self.redis.spell();
        let answer: Vec<String> = self.redis.run(&self.settle, keys(account, *at_ms), arguments).await?;
        known::told(reservation, spent, &said(&answer, spell).unwrap_or_default());
        Ok(())
    }
}

/// What an answer of a script that was sent in `spell` says: the life, the turn, and what is used of each counter.
fn said(answer: &[String], spell: u64) -> Option<Vec<Said>> {
    let [life, turn, used @ ..] = answer else { return None };
    let (life, turn) = (u64::from_str_radix(life, 16).ok()?, turn.parse().ok()?);
    // A counter that was settled below nothing is empty.
    let used = used.iter().map(|text| text.parse::<i64>().map_or(0, |used| used.max(0) as u64));
    Some(used.map(|used| Said { used, life, turn, spell }).collect())
}

/// The keys that the scripts take for a request of `at_ms`.
fn keys(account: &Account, at_ms: i64) -> Vec<String> {
    let tenant = &account.tenant.name;
    let own = |rest: &str| format!("vx11:{{{tenant}}}:{rest}");
    let counter = |meter: &Meter| {
        let start_ms = meter.period.window(at_ms).start_ms;
        let start_ms = if start_ms == i64::MIN { 0 } else { start_ms };
        own(&format!("{}:{}:{}:{start_ms}", meter.scope, meter.unit.as_str(), meter.period.as_str()))
    };
    [own("ends"), own("held"), own("state")].into_iter().chain(account.meters.iter().map(counter)).collect()
}

/// What the scripts need to fill in the counter of `meter` for a request of `at_ms`.
fn filling(meter: &Meter, seed: Seed, at_ms: i64, now_ms: i64) -> [String; 3] {
    let least = seed.used.min(MOST);
    [kept_ms(meter, at_ms, now_ms).to_string(), least.to_string(), name(seed.life)]
}

/// The number of Redis' life, if a new one begins.
fn new_life() -> String {
    name(rand::random::<u64>().max(1))
}

/// How long the counter of `meter` is kept from `now_ms` on; 0: for ever.
fn kept_ms(meter: &Meter, at_ms: i64, now_ms: i64) -> i64 {
    match meter.period.window(at_ms).end_ms {
        i64::MAX => 0,
        end_ms => (end_ms - now_ms + KEPT_MS).max(1),
    }
}

fn name(id: u64) -> String {
    format!("{id:x}")
}
