//! The keys that one target was asked with for one request: another one takes over, and none twice.

use super::Failure;

/// The keys that a provider has refused for one request.
#[derive(Debug, Default)]
pub(crate) struct KeysTried(Vec<usize>);

impl KeysTried {
    /// Takes note of `failure`, and of the key that it is about. It keeps the key that is to take over only where that was
    /// not asked with before: keys at their limit may rest for less time than it takes to go around.
    pub(crate) fn note(&mut self, failure: &mut Failure) {
        let Some(key) = failure.key else { return };
        let is_new = !self.0.contains(&key);
        self.0.push(key);
        failure.other_key = failure.other_key.filter(|other| is_new && !self.0.contains(other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Outcome;

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
}
