//! Power tokens: a sign that whoever applies a change has just been here. They live in memory, because a token that a
//! restart forgets is only refused.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::secret;

/// How long a token works.
pub(super) const TTL: Duration = Duration::from_secs(60);
/// Tokens that are remembered; a further one pushes out the oldest.
const MOST: usize = 64;

/// The tokens that were given out and not used.
#[derive(Debug, Default)]
pub(super) struct PowerTokens(Mutex<VecDeque<Issued>>);

#[derive(Debug)]
struct Issued {
    digest: String,
    expires: Instant,
}

impl PowerTokens {
    /// A new token.
    pub(super) fn issue(&self, now: Instant) -> String {
        let token = secret::mint();
        let mut issued = self.0.lock();
        if issued.len() == MOST {
            issued.pop_front();
        }
        issued.push_back(Issued { digest: secret::digest(&token), expires: now + TTL });
        token
    }

    /// Whether `token` is good; it is not a second time.
    pub(super) fn spend(&self, token: &str, now: Instant) -> bool {
        let mut issued = self.0.lock();
        issued.retain(|token| token.expires > now);
        let found = issued.iter().position(|known| secret::matches(token, &known.digest));
        found.is_some_and(|at| issued.remove(at).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_works_once_and_for_a_minute() {
        let tokens = PowerTokens::default();
        let now = Instant::now();
        let (first, second) = (tokens.issue(now), tokens.issue(now));
        assert!(!tokens.spend("made up", now));
        assert!(tokens.spend(&first, now));
        assert!(!tokens.spend(&first, now), "spent");
        assert!(!tokens.spend(&second, now + TTL), "expired");
    }

    #[test]
    fn a_flood_of_tokens_pushes_out_the_oldest() {
        let tokens = PowerTokens::default();
        let now = Instant::now();
        let issued: Vec<String> = (0..=MOST).map(|_| tokens.issue(now)).collect();
        assert!(!tokens.spend(&issued[0], now));
        assert!(tokens.spend(&issued[MOST], now));
    }
}
