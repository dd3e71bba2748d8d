//! What can be wrong with a connection.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail};

/// One thing that is wrong with a [link](super::Link).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Everything arrives so much later, each way.
    Slow(Duration),
    /// Of all segments so many in a hundred are lost; what they carried arrives when it has been sent again.
    Lossy(u8),
    /// Nothing arrives, and nothing is lost: what was sent goes on when this is over. A new connection is made, and hears
    /// nothing.
    Stall(Ways),
    /// Open connections are reset, new ones refused.
    Cut,
}

/// The ways of a link that are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// Both.
    Both,
    /// From who calls.
    To,
    /// To who calls.
    Back,
}

impl Ways {
    pub(super) fn include(self, way: Self) -> bool {
        self == Self::Both || self == way
    }
}

impl Fault {
    /// Reads the words after the names, such as `slow` and `200ms`.
    ///
    /// # Errors
    /// When they are no fault.
    pub fn parse(name: &str, detail: Option<&str>) -> anyhow::Result<Self> {
        Ok(match (name, detail) {
            ("slow", Some(time)) => Self::Slow(milliseconds(time)?),
            ("lossy", Some(percent)) => {
                let percent = percent.strip_suffix('%').unwrap_or(percent).parse().ok();
                Self::Lossy(percent.filter(|percent| *percent <= 100).context("a percentage, such as 5%")?)
            }
            ("stall", None) => Self::Stall(Ways::Both),
            ("stall", Some("to")) => Self::Stall(Ways::To),
            ("stall", Some("back")) => Self::Stall(Ways::Back),
            ("cut", None) => Self::Cut,
            _ => bail!("a fault is `slow … 200ms`, `lossy … 5%`, `stall …`, `stall … to`, `stall … back` or `cut …`"),
        })
    }
}

fn milliseconds(text: &str) -> anyhow::Result<Duration> {
    let number = |suffix, factor: u64| text.strip_suffix(suffix)?.parse::<u64>().ok()?.checked_mul(factor);
    let time = number("ms", 1).or_else(|| number("s", 1000)).filter(|time| *time <= 600_000);
    time.map(Duration::from_millis).context("a time such as 200ms or 2s, ten minutes at most")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow(time) => write!(f, "slow by {} ms", time.as_millis()),
            Self::Lossy(percent) => write!(f, "loses {percent} %"),
            Self::Stall(Ways::Both) => write!(f, "stalled"),
            Self::Stall(Ways::To) => write!(f, "stalled from the caller"),
            Self::Stall(Ways::Back) => write!(f, "stalled to the caller"),
            Self::Cut => write!(f, "cut"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_words() {
        let slow = |time| Fault::Slow(Duration::from_millis(time));
        for (words, fault) in [
            (("slow", Some("200ms")), Some(slow(200))),
            (("slow", Some("2s")), Some(slow(2000))),
            (("slow", Some("2")), None),
            (("slow", None), None),
            (("lossy", Some("5%")), Some(Fault::Lossy(5))),
            (("lossy", Some("101")), None),
            (("stall", None), Some(Fault::Stall(Ways::Both))),
            (("stall", Some("back")), Some(Fault::Stall(Ways::Back))),
            (("cut", None), Some(Fault::Cut)),
            (("cut", Some("to")), None),
        ] {
            assert_eq!(Fault::parse(words.0, words.1).ok(), fault, "{words:?}");
        }
    }
}
