//! How long a caller waits for a person: RFC 7240's `Prefer`, and the time that it has.

use std::time::Duration;

/// What is kept of a caller's time for the 202 itself.
const SPARE: Duration = Duration::from_millis(250);
/// The part of it that is kept for the answer: a person's word at the last moment would be good for nothing.
const FOR_THE_ANSWER: u32 = 4;

/// What a caller prefers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preference {
    /// `respond-async`: 202 is as good as an answer.
    pub(crate) is_async: bool,
    /// `wait`: for so many seconds.
    pub(crate) wait: Option<u64>,
}

impl Preference {
    /// Reads the values of the header. Of two that say the same the first one counts, and what cannot be read, or is not
    /// for the gateway, is passed over, as the RFC has it.
    pub(crate) fn read<'v>(values: impl Iterator<Item = &'v str>) -> Self {
        let mut read = Self::default();
        for preference in values.flat_map(|value| value.split(',')) {
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("respond-async") {
                read.is_async = true;
            } else if name.eq_ignore_ascii_case("wait") {
                read.wait = read.wait.or_else(|| value.parse().ok());
            }
        }
        read
    }

    /// How many seconds the caller waits, where `otherwise` is what the rule says.
    pub(crate) fn seconds(self, otherwise: u64) -> u64 {
        self.wait.unwrap_or(if self.is_async { 0 } else { otherwise })
    }

    /// What was heeded of it, as `Preference-Applied` says it.
    pub(crate) fn applied(self) -> Option<String> {
        match (self.is_async, self.wait) {
            (true, Some(seconds)) => Some(format!("respond-async, wait={seconds}")),
            (true, None) => Some("respond-async".to_owned()),
            (false, Some(seconds)) => Some(format!("wait={seconds}")),
            (false, None) => None,
        }
    }
}

/// How long a caller waits for a person at most that has so much time `left` for all.
pub(crate) fn time_to_wait(left: Duration) -> Duration {
    left.saturating_sub(SPARE.max(left / FOR_THE_ANSWER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_little_time_leaves_some_for_the_answer() {
        for (left, wait) in [(60_000, 45_000), (5000, 3750), (600, 350), (100, 0)] {
            assert_eq!(time_to_wait(Duration::from_millis(left)), Duration::from_millis(wait));
        }
    }

    #[test]
    fn a_caller_waits_as_long_as_it_says_else_as_the_rule_says() {
        for (values, seconds, applied) in [
            (&[][..], 30, None),
            (&["respond-async"], 0, Some("respond-async")),
            (&["wait=5"], 5, Some("wait=5")),
            (&["Respond-Async, Wait = \"7\"; x=1"], 7, Some("respond-async, wait=7")),
            (&["return=minimal", "wait=3", "wait=9"], 3, Some("wait=3")),
            (&["wait=soon"], 30, None),
        ] {
            let preference = Preference::read(values.iter().copied());
            assert_eq!(preference.seconds(30), seconds, "{values:?}");
            assert_eq!(preference.applied().as_deref(), applied, "{values:?}");
        }
    }
}
