//! The settlements that Redis has not taken yet, and which of them are next. There are never more than a number of
//! them: beyond it the oldest of each key and day become one, which loses nothing but the minute that they were spent
//! in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vx11_redis::Failed;

use super::Settlement;
use crate::accounts::account::Amounts;
use crate::accounts::shared::known;

/// Settlements that wait one by one at most.
const CAPACITY: usize = 10_000;
/// Settlements that Redis is told at a time: it answers them in one round trip.
const AT_ONCE: usize = 128;
/// How long what Redis refused is left alone, and Redis itself after it did not answer.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Settlements by what is to become of them.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Those that Redis did not answer. It may have carried them out: they are told as they were, before all others.
    unanswered: Vec<Settlement>,
    /// By account and day, what was too much to wait one by one.
    folded: BTreeMap<(usize, i64), Settlement>,
    /// The others, oldest first.
    new: VecDeque<Settlement>,
    /// Those that Redis refused, and when they are due again.
    refused: VecDeque<Settlement>,
    refused_until: Option<Instant>,
    /// Those that Redis is being told.
    telling: usize,
}

impl Waiting {
    /// Adds one. `true` when the oldest was folded for it.
    pub(super) fn push(&mut self, settlement: Settlement) -> bool {
        self.new.push_back(settlement);
        if self.new.len() + self.refused.len() <= CAPACITY {
            return false;
        }
        let oldest = self.refused.pop_front().or_else(|| self.new.pop_front());
        oldest.map(|oldest| self.fold(oldest)).is_some()
    }

    /// The first of a day keeps its reservation, and takes over what the others spent; their reservations end by
    /// themselves.
    fn fold(&mut self, settlement: Settlement) {
        let Settlement { reservation, spent } = &settlement;
        let place = (Arc::as_ptr(&reservation.account) as usize, reservation.at_ms.div_euclid(DAY_MS));
        match self.folded.get_mut(&place) {
            Some(first) => {
                first.spent = first.spent.plus(*spent);
                known::forgotten(reservation);
            }
            // Where nothing was spent there is nothing to be told of.
            None if *spent == Amounts::default() => known::forgotten(reservation),
            None => drop(self.folded.insert(place, settlement)),
        }
    }

    /// Those that Redis is to be told now; none while none is due.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Settlement> {
        let mut batch = std::mem::take(&mut self.unanswered);
        if batch.is_empty() {
            if self.refused_until.is_none_or(|until| until <= now) {
                batch.extend(self.refused.drain(..self.refused.len().min(AT_ONCE)));
            }
            let folded = std::iter::from_fn(|| self.folded.pop_first()).map(|(_, folded)| folded);
            batch.extend(folded.take(AT_ONCE));
            batch.extend(self.new.drain(..self.new.len().min(AT_ONCE)));
        }
        self.telling = batch.len();
        batch
    }

    /// What became of those that were taken.
    pub(super) fn told(&mut self, results: impl Iterator<Item = (Settlement, Result<(), Failed>)>, now: Instant) {
        self.telling = 0;
        for (settlement, result) in results {
            match result {
                Ok(()) => {}
                Err(Failed::Lost) => self.unanswered.push(settlement),
                Err(Failed::Refused) => {
                    self.refused.push_back(settlement);
                    self.refused_until = Some(now + PAUSE);
                }
            }
        }
    }

    /// How many there are, those included that Redis is being told.
    pub(super) fn len(&self) -> usize {
        self.unanswered.len() + self.folded.len() + self.new.len() + self.refused.len() + self.telling
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::account::Account;
    use crate::accounts::meters::Reservation;
    use crate::accounts::money::Usd;

    fn spending(account: &Arc<Account>, id: u64, picos: u64) -> Settlement {
        let reservation = Reservation {
            account: account.clone(),
            reserved: Amounts::default(),
            at_ms: 0,
            era: 0,
            id,
            is_shared: false,
        };
        let spent = Amounts { requests: 1, tokens: 2, money: Usd::from_picos(picos) };
        Settlement { reservation, spent }
    }

    fn ids(batch: &[Settlement]) -> Vec<u64> {
        batch.iter().map(|settlement| settlement.reservation.id).collect()
    }

    /// All that Redis is told, as long as it takes everything.
    fn told(waiting: &mut Waiting) -> Vec<Settlement> {
        let now = Instant::now() + PAUSE;
        let mut all = Vec::new();
        loop {
            let batch = waiting.take(now);
            if batch.is_empty() {
                return all;
            }
            waiting.told(batch.iter().map(|settlement| (settlement.clone(), Ok(()))), now);
            all.extend(batch);
        }
    }

    #[test]
    fn many_are_told_at_once_in_the_order_in_which_they_came() {
        let (mut waiting, account) = (Waiting::default(), Arc::new(Account::unlimited("a")));
        for id in 0..200 {
            waiting.push(spending(&account, id, 1));
        }
        assert_eq!(ids(&waiting.take(Instant::now())), (0..128).collect::<Vec<_>>());
        assert_eq!(waiting.len(), 200, "they wait until Redis has taken them");
    }

    #[test]
    fn what_is_too_much_to_wait_one_by_one_is_still_told() {
        let (mut waiting, accounts) = (Waiting::default(), ["a", "b"].map(|name| Arc::new(Account::unlimited(name))));
        let count = 3 * CAPACITY as u64;
        let folded = (0..count).filter(|id| waiting.push(spending(&accounts[(id % 2) as usize], *id, 1))).count();
        assert_eq!((folded, waiting.len()), (2 * CAPACITY, CAPACITY + 2));
        let told = told(&mut waiting);
        for account in &accounts {
            let own = told.iter().filter(|settlement| Arc::ptr_eq(&settlement.reservation.account, account));
            let sum = own.fold(Amounts::default(), |sum, settlement| sum.plus(settlement.spent));
            assert_eq!((sum.requests, sum.tokens, sum.money), (count / 2, count, Usd::from_picos(count / 2)));
        }
    }

    #[test]
    fn one_that_is_refused_holds_up_no_other() {
        let (mut waiting, account) = (Waiting::default(), Arc::new(Account::unlimited("a")));
        let now = Instant::now();
        waiting.push(spending(&account, 1, 1));
        let batch = waiting.take(now);
        waiting.told(batch.into_iter().map(|settlement| (settlement, Err(Failed::Refused))), now);
        waiting.push(spending(&account, 2, 1));
        assert_eq!(ids(&waiting.take(now)), [2]);
        waiting.told(std::iter::empty(), now);
        assert!(waiting.take(now).is_empty(), "not before its pause is over");
        assert_eq!(ids(&waiting.take(now + PAUSE)), [1]);
    }

    #[test]
    fn one_that_was_not_answered_is_told_again_as_it_was_before_all_others() {
        let (mut waiting, account) = (Waiting::default(), Arc::new(Account::unlimited("a")));
        let now = Instant::now();
        waiting.push(spending(&account, 1, 1));
        let batch = waiting.take(now);
        waiting.told(batch.into_iter().map(|settlement| (settlement, Err(Failed::Lost))), now);
        for id in 2..2 + 2 * CAPACITY as u64 {
            waiting.push(spending(&account, id, 1));
        }
        let first = waiting.take(now);
        assert_eq!((ids(&first), first[0].spent.requests), (vec![1], 1));
    }
}
