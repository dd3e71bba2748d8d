//! Money as whole pico-dollars (10⁻¹² US dollars), so that sums are exact.
//!
//! A price in dollars per million tokens with up to six decimals is a whole number of pico-dollars per token; no cost
//! is ever rounded. 64 bits hold 18 million dollars in one amount, and every operation saturates: an amount that large
//! can only be a mistake, and must neither wrap around to nothing nor panic.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Pico-dollars in a dollar.
const DOLLAR: u64 = 1_000_000_000_000;
/// Decimals of a pico-dollar.
const DECIMALS: usize = 12;

/// An amount of US dollars, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Usd(u64);

impl Usd {
    /// Nothing.
    pub(crate) const ZERO: Self = Self(0);

    /// So many pico-dollars.
    pub(crate) const fn from_picos(picos: u64) -> Self {
        Self(picos)
    }

    /// The amount in pico-dollars.
    pub(crate) const fn picos(self) -> u64 {
        self.0
    }

    /// The amount as a measurement, for metrics: rounded, not for sums.
    pub(crate) fn as_f64(self) -> f64 {
        self.0 as f64 / DOLLAR as f64
    }

    /// Both together.
    #[must_use]
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left without `other`.
    #[must_use]
    pub(crate) const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times this.
    #[must_use]
    pub(crate) const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// So many thousandths of this, rounded down to a pico-dollar.
    #[must_use]
    pub(crate) const fn permille(self, thousandths: u64) -> Self {
        let picos = self.0 as u128 * thousandths as u128 / 1000;
        Self(if picos > u64::MAX as u128 { u64::MAX } else { picos as u64 })
    }
}

impl fmt::Display for Usd {
    /// An exact decimal number, such as `0.000125`, without zeros at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_picos(f, u128::from(self.0))
    }
}

/// A sum of amounts, which may be larger than one amount can be, as an exact decimal number.
pub(crate) fn render_picos(picos: u128) -> String {
    struct Sum(u128);
    impl fmt::Display for Sum {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_picos(f, self.0)
        }
    }
    Sum(picos).to_string()
}

fn write_picos(f: &mut fmt::Formatter<'_>, picos: u128) -> fmt::Result {
    // One amount fits into a machine's word, which is much faster to divide and to write.
    if let Ok(picos) = u64::try_from(picos) {
        write!(f, "{}", picos / DOLLAR)?;
        return write_decimals(f, picos % DOLLAR);
    }
    write!(f, "{}", picos / u128::from(DOLLAR))?;
    write_decimals(f, (picos % u128::from(DOLLAR)) as u64)
}

fn write_decimals(f: &mut fmt::Formatter<'_>, rest: u64) -> fmt::Result {
    let (mut rest, mut decimals) = (rest, DECIMALS);
    if rest == 0 {
        return Ok(());
    }
    while rest % 10 == 0 {
        (rest, decimals) = (rest / 10, decimals - 1);
    }
    write!(f, ".{rest:0decimals$}")
}

/// The text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an amount of US dollars with at most 12 decimals, such as 0.15")]
pub(crate) struct BadAmount;

impl FromStr for Usd {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > DECIMALS {
            return Err(BadAmount);
        }
        let whole: u64 = whole.parse().map_err(|_| BadAmount)?;
        let decimals: u64 = format!("{decimals:0<DECIMALS$}").parse().map_err(|_| BadAmount)?;
        let picos = whole.checked_mul(DOLLAR).and_then(|picos| picos.checked_add(decimals));
        picos.map(Self).ok_or(BadAmount)
    }
}

impl Serialize for Usd {
    /// A number of dollars, for people and their programs; rounded where it has more digits than a JSON number is read
    /// with.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % DOLLAR {
            0 => serializer.serialize_u64(self.0 / DOLLAR),
            _ => serializer.serialize_f64(self.as_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Usd {
    /// A number of dollars as it is written in the configuration: TOML's own number, or text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount;
        impl Visitor<'_> for Amount {
            type Value = Usd;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of US dollars, such as 0.15")
            }

            fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<Usd, E> {
                dollars.checked_mul(DOLLAR).map(Usd).ok_or_else(|| E::custom(BadAmount))
            }

            fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<Usd, E> {
                self.visit_u64(u64::try_from(dollars).map_err(|_| E::custom(BadAmount))?)
            }

            fn visit_f64<E: de::Error>(self, dollars: f64) -> Result<Usd, E> {
                // The shortest text that means this float is what stood in the file.
                self.visit_str(&format!("{dollars}"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Usd, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Amount)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_exact_as_they_stand_in_a_file() {
        for (written, picos) in [
            ("0.075", 75_000_000_000),
            ("2.5", 2_500_000_000_000),
            ("0.000000000001", 1),
            ("600", 600 * DOLLAR),
            ("0.0375", 37_500_000_000),
        ] {
            let parsed: Usd = toml_value(written).expect(written);
            assert_eq!((parsed.picos(), parsed.to_string().as_str()), (picos, written));
        }
        for wrong in ["-1", "-0.1", "\"\"", "\"1,5\"", "\"1e3\"", "0.0000000000001", "99999999999", "true", "\".5\""] {
            assert!(toml_value(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn in_json_it_is_a_number() {
        for written in ["0", "600", "0.000528", "0.15"] {
            let amount: Usd = written.parse().expect(written);
            assert_eq!(serde_json::to_string(&amount).expect("a number"), written);
        }
    }

    #[test]
    fn an_amount_that_is_too_large_saturates() {
        assert_eq!(Usd(u64::MAX).plus(Usd(1)).times(9), Usd(u64::MAX));
        assert_eq!(render_picos(u128::from(u64::MAX) * 2), "36893488.14741910323");
    }

    fn toml_value(text: &str) -> Option<Usd> {
        use figment::providers::Format;
        figment::Figment::from(figment::providers::Toml::string(&format!("v = {text}"))).extract_inner("v").ok()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(picos in any::<u64>()) {
            prop_assert_eq!(Usd(picos).to_string().parse(), Ok(Usd(picos)));
        }
    }
}
