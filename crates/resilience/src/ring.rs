//! Counters over the last while: a ring of slots, each for an equal part of it, the oldest emptied as time goes on.
//!
//! The time is handed in; a call with a time before the last one counts into the newest slot.

use std::time::{Duration, Instant};

/// Slots of a ring.
const SLOTS: usize = 10;

/// Counters over ten slots of time.
#[derive(Clone, Debug)]
pub(crate) struct Ring<T> {
    start: Instant,
    slot: Duration,
    /// The number of slots since `start` that the newest one stands for.
    newest: u128,
    slots: [T; SLOTS],
}

impl<T: Copy + Default> Ring<T> {
    /// An empty ring over `span`.
    pub(crate) fn over(span: Duration, now: Instant) -> Self {
        let slot = (span / SLOTS as u32).max(Duration::from_millis(1));
        Self { start: now, slot, newest: 0, slots: [T::default(); SLOTS] }
    }

    /// The slot of `now`.
    pub(crate) fn at(&mut self, now: Instant) -> &mut T {
        let number = now.saturating_duration_since(self.start).as_nanos() / self.slot.as_nanos();
        let passed = number.saturating_sub(self.newest).min(SLOTS as u128);
        for step in 1..=passed {
            let index = index(self.newest + step);
            self.slots[index] = T::default();
        }
        self.newest = self.newest.max(number);
        &mut self.slots[index(self.newest)]
    }

    /// Every slot, in no order. Those that have become too old go at the next [`Ring::at`].
    pub(crate) fn slots(&self) -> &[T] {
        &self.slots
    }
}

fn index(number: u128) -> usize {
    (number % SLOTS as u128) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_counts_what_the_last_ten_slots_saw(pauses_ms in prop::collection::vec(0u64..3_000, 1..100)) {
            let start = Instant::now();
            let mut ring: Ring<u32> = Ring::over(Duration::from_secs(10), start);
            let mut seconds: Vec<u64> = Vec::new();
            let mut at = Duration::ZERO;
            for pause_ms in pauses_ms {
                at += Duration::from_millis(pause_ms);
                *ring.at(start + at) += 1;
                seconds.push(at.as_secs());
                let recent = seconds.iter().filter(|second| at.as_secs() - **second < SLOTS as u64).count();
                prop_assert_eq!(ring.slots().iter().sum::<u32>() as usize, recent);
            }
        }
    }
}
