//! Slows down who guesses tokens: an address that has presented too many wrong ones waits until its minute is over.
//!
//! Until then none of its tokens is looked at, the right one neither, because an answer to that would tell a guesser
//! when it has found it. Other addresses are not touched.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use parking_lot::{RwLock, RwLockWriteGuard};
use vx11_resilience::RetryAfter;

/// How long wrong tokens are held against an address, counted from the first.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered at a time. Beyond it all are forgotten, which gives each guesser one more minute's worth.
const MAX_ADDRESSES: usize = 10_000;

/// Wrong tokens by address.
#[derive(Debug)]
pub(crate) struct WrongTokens {
    most: NonZeroU32,
    seen: RwLock<HashMap<IpAddr, Seen>>,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    count: u32,
}

impl Seen {
    fn left(&self, now: Instant) -> Option<Duration> {
        WINDOW.checked_sub(now.saturating_duration_since(self.since)).filter(|left| !left.is_zero())
    }
}

impl WrongTokens {
    /// Lets an address be wrong `most` times a minute.
    pub(crate) fn new(most: NonZeroU32) -> Self {
        Self { most, seen: RwLock::default() }
    }

    /// Whether `address` may present a token `now`, and when it may where it may not.
    pub(crate) fn check(&self, address: IpAddr, now: Instant) -> Result<(), RetryAfter> {
        let seen = self.seen.read();
        let spent = seen.get(&address).filter(|seen| seen.count >= self.most.get());
        spent.and_then(|seen| seen.left(now)).map_or(Ok(()), |left| Err(RetryAfter(left)))
    }

    /// Counts a wrong token of `address`.
    pub(crate) fn count(&self, address: IpAddr, now: Instant) {
        let mut seen = self.room(now);
        let entry = seen.entry(address).or_insert(Seen { since: now, count: 0 });
        if entry.left(now).is_none() {
            *entry = Seen { since: now, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
    }

    fn room(&self, now: Instant) -> RwLockWriteGuard<'_, HashMap<IpAddr, Seen>> {
        let mut seen = self.seen.write();
        if seen.len() >= MAX_ADDRESSES {
            seen.retain(|_, seen| seen.left(now).is_some());
        }
        if seen.len() >= MAX_ADDRESSES {
            seen.clear();
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    fn twice() -> WrongTokens {
        WrongTokens::new(NonZeroU32::new(2).expect("not zero"))
    }

    #[test]
    fn an_address_that_is_wrong_too_often_waits_out_its_minute_alone() {
        let (wrong, start) = (twice(), Instant::now());
        wrong.count(address(1), start);
        assert_eq!(wrong.check(address(1), start), Ok(()));
        wrong.count(address(1), start + Duration::from_secs(20));
        let later = start + Duration::from_secs(50);
        assert_eq!(wrong.check(address(1), later), Err(RetryAfter(Duration::from_secs(10))));
        assert_eq!(wrong.check(address(2), later), Ok(()));

        let after = start + WINDOW;
        assert_eq!(wrong.check(address(1), after), Ok(()));
        wrong.count(address(1), after);
        assert_eq!(wrong.check(address(1), after), Ok(()), "it starts over");
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_the_table() {
        let (wrong, now) = (twice(), Instant::now());
        for n in 0..3 * MAX_ADDRESSES as u32 {
            wrong.count(address(n), now);
        }
        assert!(wrong.seen.read().len() <= MAX_ADDRESSES);
    }

    #[test]
    fn who_has_waited_makes_room_before_who_still_waits() {
        let (wrong, start) = (twice(), Instant::now());
        for n in 1..MAX_ADDRESSES as u32 {
            wrong.count(address(n), start);
        }
        let later = start + WINDOW;
        wrong.count(address(0), later);
        wrong.count(address(0), later);
        wrong.count(address(1), later);
        assert!(wrong.check(address(0), later).is_err());
    }
}
