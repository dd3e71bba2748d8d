//! What is known of the replicas that talk: how many hints each has told, and whether it still lives.

use std::collections::HashMap;

use tokio::time::Instant;

use super::SILENCE;
use super::hint::{Hint, Message};

/// Replicas that are remembered.
const MOST: usize = 1024;

/// All replicas that were heard, this one among them.
#[derive(Debug)]
pub(super) struct Others {
    own: String,
    known: HashMap<String, Replica>,
    /// Whether Redis was asked to listen, and it is not known yet that it does.
    is_asking: bool,
}

#[derive(Clone, Copy, Debug)]
struct Replica {
    hints: u64,
    heard_at: Instant,
}

/// What a message says.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The hint, if it is another replica's and known here.
    pub(super) hint: Option<Hint>,
    /// Whether it is this replica's own.
    pub(super) is_own: bool,
    /// Whether something was missed.
    pub(super) missed: bool,
}

impl Others {
    /// None yet, beside the one that calls itself `own`.
    pub(super) fn new(own: String) -> Self {
        Self { own, known: HashMap::new(), is_asking: true }
    }

    /// Redis was asked anew to listen: what was said until this replica hears itself is missed.
    pub(super) fn asked(&mut self) {
        self.is_asking = true;
    }

    /// Takes note of a message.
    pub(super) fn take(&mut self, text: &str, now: Instant) -> Said {
        let Ok(message) = serde_json::from_str::<Message<'_>>(text) else { return Said::default() };
        let is_own = message.from == self.own;
        let (is_new, gap) = self.count(&message, now);
        let missed = (is_own && self.hears_itself(now)) || gap;
        if message.leaves {
            self.known.remove(message.from);
        }
        let hint = message.hint.filter(|_| is_new && !is_own);
        Said { hint: hint.and_then(|hint| serde_json::from_str(hint.get()).ok()), is_own, missed }
    }

    /// Counts the hints of a replica; whether this is one that was not heard before, and whether one is missing.
    fn count(&mut self, message: &Message<'_>, now: Instant) -> (bool, bool) {
        let before = self.known.get(message.from).map_or(0, |replica| replica.hints);
        let is_full = self.known.len() >= MOST && !self.known.contains_key(message.from);
        if is_full {
            self.known.clear();
        }
        self.known.insert(message.from.to_owned(), Replica { hints: message.number.max(before), heard_at: now });
        let follows = before.saturating_add(u64::from(message.hint.is_some()));
        (message.number > before, is_full || message.number > follows)
    }

    /// This replica's own word has come back: so do others' from here on. Who was silent for long is gone, and may have
    /// done something that it did not live to tell. Whether something was missed.
    fn hears_itself(&mut self, now: Instant) -> bool {
        let known = self.known.len();
        self.known.retain(|_, replica| now - replica.heard_at < SILENCE);
        std::mem::take(&mut self.is_asking) || self.known.len() < known
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    /// What `others` make of a message, after so many seconds.
    fn hear(others: &mut Others, start: Instant, (seconds, message): (u64, serde_json::Value)) -> Said {
        others.take(&message.to_string(), start + Duration::from_secs(seconds))
    }

    fn beat(from: &str, number: u64) -> serde_json::Value {
        json!({"from": from, "number": number})
    }

    fn hint(from: &str, number: u64) -> serde_json::Value {
        json!({"from": from, "number": number, "hint": {"trail": {}}})
    }

    /// Those that `own` hears, as it hears itself.
    fn others(start: Instant) -> Others {
        let mut others = Others::new("own".to_owned());
        assert!(hear(&mut others, start, (0, beat("own", 0))).missed, "nobody knows what was said before");
        others
    }

    #[test]
    fn hints_are_passed_on_in_order_and_this_replicas_own_are_not() {
        let start = Instant::now();
        let mut others = others(start);
        for (message, is_passed_on) in [
            (beat("a", 0), false),
            (hint("a", 1), true),
            (hint("own", 1), false),
            (hint("a", 2), true),
            (hint("a", 2), false),
            (beat("a", 2), false),
            (json!({"from": "a", "number": 3, "hint": {"of_a_later_release": 1}, "more": 1}), false),
            (json!("nonsense"), false),
            (hint("a", 4), true),
        ] {
            let said = hear(&mut others, start, (1, message.clone()));
            assert_eq!((said.hint.is_some(), said.missed), (is_passed_on, false), "{message}");
        }
    }

    #[test]
    fn a_number_that_is_missing_is_missed_once() {
        let start = Instant::now();
        let mut others = others(start);
        for (message, is_missed) in [
            (hint("a", 1), false),
            (hint("a", 3), true),
            (hint("a", 4), false),
            (beat("a", 6), true),
            (beat("a", 6), false),
            (hint("b", 2), true),
            (hint("own", 2), true),
        ] {
            assert_eq!(hear(&mut others, start, (1, message.clone())).missed, is_missed, "{message}");
        }
    }

    #[test]
    fn who_falls_silent_may_have_done_something_and_who_takes_leave_has_not() {
        let start = Instant::now();
        let mut others = others(start);
        let mut missed = |at, message| hear(&mut others, start, (at, message)).missed;
        assert!(!missed(1, hint("a", 1)));
        assert!(!missed(1, beat("b", 0)));
        assert!(!missed(2, json!({"from": "b", "number": 0, "leaves": true})));
        assert!(!missed(3, beat("own", 0)));
        assert!(missed(6, beat("own", 0)), "a is gone");
        assert!(!missed(7, beat("own", 0)), "and was mourned");
        assert!(missed(8, beat("a", 1)), "it was cut off, and is known anew");
    }

    #[test]
    fn who_asks_anew_to_listen_has_missed_something_once_it_hears_itself() {
        let start = Instant::now();
        let mut others = others(start);
        others.asked();
        assert!(!hear(&mut others, start, (1, hint("a", 1))).missed);
        assert!(hear(&mut others, start, (1, beat("own", 0))).missed);
        assert!(!hear(&mut others, start, (2, beat("own", 0))).missed);
    }
}
