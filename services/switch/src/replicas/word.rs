//! The words themselves: what is said, of what, and for how long it holds.

use std::time::Duration;

use crate::providers::{Keys, Provider};

/// The longest that a word holds. Who has not heard from anybody for that long finds out anew.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A breaker has opened.
    Open,
    /// A breaker has closed.
    Closed,
    /// A key is at its limit.
    Resting,
    /// A key is refused.
    Dead,
}

/// One word as it is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Tells it from another one of the same content.
    pub(super) number: u64,
    pub(super) said: Said,
    /// How long it holds.
    pub(super) left: Duration,
}

impl Said {
    const ALL: [Self; 4] = [Self::Open, Self::Closed, Self::Resting, Self::Dead];

    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Resting => "resting",
            Self::Dead => "dead",
        }
    }
}

impl Word {
    /// Its text, and the milliseconds that it holds.
    pub(super) fn write(self) -> (String, String) {
        let ms = self.left.min(LONGEST).as_millis().max(1);
        (format!("{} {:x}", self.said.as_str(), self.number), ms.to_string())
    }

    /// What [`write`](Self::write) wrote. `None`: it is from another version of the gateway.
    pub(super) fn read(text: &str, ms: &str) -> Option<Self> {
        let (said, number) = text.split_once(' ')?;
        let said = Said::ALL.into_iter().find(|known| known.as_str() == said)?;
        let left = Duration::from_millis(ms.parse().ok()?).min(LONGEST);
        Some(Self { number: u64::from_str_radix(number, 16).ok()?, said, left })
    }
}

/// The name of words about the breaker of this model.
pub(super) fn breaker_field(provider: &Provider, model: &str) -> String {
    format!("breaker {} {model}", provider.identity())
}

/// The provider's identity and the model, where words of this name are about a breaker.
pub(super) fn breaker_of(field: &str) -> Option<(&str, &str)> {
    // There is no space in the name of a provider.
    field.strip_prefix("breaker ")?.split_once(' ')
}

/// The name of words about this key.
pub(super) fn key_field(provider: &Provider, keys: &Keys, key: usize) -> String {
    format!("key {} {}", provider.identity(), keys.digest(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_was_written() {
        for said in Said::ALL {
            let word = Word { number: u64::MAX, said, left: Duration::from_millis(1500) };
            let (text, ms) = word.write();
            assert_eq!(Word::read(&text, &ms), Some(word));
        }
    }

    #[test]
    fn what_nobody_here_would_write_is_no_word() {
        for (text, ms) in [("", "1"), ("open", "1"), ("ajar 1", "1"), ("open x", "1"), ("open 1", "-1")] {
            assert_eq!(Word::read(text, ms), None, "{text}");
        }
        let for_ever = Word { number: 1, said: Said::Dead, left: Duration::MAX };
        assert_eq!(for_ever.write().1, LONGEST.as_millis().to_string());
    }
}
