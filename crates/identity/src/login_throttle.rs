//! How often a password may be tried.
//!
//! Three limits, each an exact sliding window: of one account from one address, of one address, and of one account
//! from anywhere. The last is wide, so that nobody locks somebody else out with a few tries, and still far too narrow
//! to guess. An attempt counts whether it is right or wrong: were right ones free, an answer would say which it was.
//!
//! It is each replica's own memory: with N replicas a guesser has N times as much, which is still next to nothing.

use std::time::{Duration, Instant};

use vx11_resilience::{RetryAfter, SlidingWindow, SlidingWindowConfig};

const WINDOW: Duration = Duration::from_secs(15 * 60);
const FOR_ACCOUNT_AND_ADDRESS: u32 = 10;
const FOR_ADDRESS: u32 = 50;
const FOR_ACCOUNT: u32 = 100;
/// Accounts and addresses remembered by each limit.
const MAX_KEYS: usize = 50_000;

/// The limits, and what has been tried.
#[derive(Debug)]
pub struct LoginThrottle {
    pairs: SlidingWindow,
    addresses: SlidingWindow,
    accounts: SlidingWindow,
}

impl Default for LoginThrottle {
    fn default() -> Self {
        let window = |limit| SlidingWindow::new(SlidingWindowConfig { limit, window: WINDOW, max_keys: MAX_KEYS });
        Self { pairs: window(FOR_ACCOUNT_AND_ADDRESS), addresses: window(FOR_ADDRESS), accounts: window(FOR_ACCOUNT) }
    }
}

impl LoginThrottle {
    /// Counts an attempt at `account` from `address`; to be asked before the password is looked at, and for accounts
    /// that don't exist as well.
    ///
    /// # Errors
    /// [`RetryAfter`] when there were too many.
    pub fn check(&self, account: &str, address: &str, now: Instant) -> Result<(), RetryAfter> {
        // The narrow ones first: what they refuse must not use up the account's, or one address could close it.
        self.pairs.check(&format!("{address} {account}"), now)?;
        self.addresses.check(address, now)?;
        self.accounts.check(account, now)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_guess_and_cannot_lock_others_out() {
        let (throttle, now) = (LoginThrottle::default(), Instant::now());
        for _ in 0..10 {
            throttle.check("ada", "10.0.0.1", now).expect("few");
        }
        for _ in 0..1000 {
            throttle.check("ada", "10.0.0.1", now).expect_err("too many");
        }
        throttle.check("ada", "10.0.0.2", now).expect("the owner, from elsewhere");
        throttle.check("ada", "10.0.0.1", now + WINDOW).expect("after a while");
    }

    #[test]
    fn one_address_cannot_go_through_the_accounts_nor_all_addresses_through_one() {
        let (throttle, now) = (LoginThrottle::default(), Instant::now());
        let tried = (0..100).filter(|n| throttle.check(&format!("user{n}"), "10.0.0.1", now).is_ok()).count();
        assert_eq!(tried, 50);
        let tried = (0..200).filter(|n| throttle.check("ada", &format!("10.0.1.{n}"), now).is_ok()).count();
        assert_eq!(tried, 100);
    }
}
