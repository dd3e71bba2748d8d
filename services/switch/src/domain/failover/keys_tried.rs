//! The keys that one target was asked with for one request: another one takes over, and none twice.

use super::{Failure, Turn};
use crate::domain::outcome::Outcome;

/// The keys that a provider has refused for one request.
#[derive(Debug, Default)]
pub(crate) struct KeysTried {
    refused: Vec<usize>,
    /// The first one with which what is asked was forbidden.
    forbidden: Option<usize>,
}

impl KeysTried {
    /// Takes note of `failure`, and of the key that it is about. It keeps the key that is to take over only where that
    /// was not asked with before: keys at their limit may rest for less time than it takes to go around.
    pub(crate) fn note(&mut self, failure: &mut Failure) {
        let Some(key) = failure.key else { return };
        let is_new = !self.refused.contains(&key);
        self.refused.push(key);
        failure.other_key = failure.other_key.filter(|other| is_new && !self.refused.contains(other));
        if failure.outcome == Outcome::Http(403) {
            self.forbidden.get_or_insert(key);
        }
    }

    /// The turn that follows.
    pub(crate) fn turn(&self) -> Turn {
        self.forbidden.map_or(Turn::Again, Turn::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_takes_over_twice() {
        let mut tried = KeysTried::default();
        let mut after = |key, other| {
            let mut failure = Failure { key, other_key: Some(other), ..Failure::new(Outcome::Http(429), "") };
            tried.note(&mut failure);
            failure.other_key
        };
        assert_eq!((after(Some(0), 1), after(Some(1), 2), after(Some(2), 0)), (Some(1), Some(2), None));
        assert_eq!(after(Some(1), 7), None, "somebody else made it the one to use");
    }

    #[test]
    fn who_is_asked_next_knows_the_key_with_which_it_was_forbidden() {
        let mut tried = KeysTried::default();
        let mut after = |status, key| {
            tried.note(&mut Failure { key: Some(key), ..Failure::new(Outcome::Http(status), "") });
            tried.turn()
        };
        assert_eq!((after(401, 0), after(403, 1)), (Turn::Again, Turn::Forbidden(1)));
        assert_eq!((after(429, 2), after(403, 3)), (Turn::Forbidden(1), Turn::Forbidden(1)));
    }
}
