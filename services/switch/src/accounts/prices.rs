//! What models cost: the configured prices over a shipped table.

use std::collections::BTreeMap;

use super::money::Usd;
use super::tokens::Price;
use crate::config::PriceConfig;

/// Prices that are shipped: pattern, then US dollars per million tokens for input, cached input and output. They are the
/// providers' list prices of November 2025 for their standard tier; `mock` has play money, so that budgets can be tried.
const SHIPPED: &[(&str, &str, &str, &str)] = &[
    ("gpt-4o*", "2.5", "1.25", "10"),
    ("gpt-4o-mini*", "0.15", "0.075", "0.6"),
    ("chatgpt-4o*", "5", "5", "15"),
    ("gpt-4.1*", "2", "0.5", "8"),
    ("gpt-4.1-mini*", "0.4", "0.1", "1.6"),
    ("gpt-4.1-nano*", "0.1", "0.025", "0.4"),
    ("gpt-5*", "1.25", "0.125", "10"),
    ("gpt-5-mini*", "0.25", "0.025", "2"),
    ("gpt-5-nano*", "0.05", "0.005", "0.4"),
    ("o1*", "15", "7.5", "60"),
    ("o1-mini*", "1.1", "0.55", "4.4"),
    ("o1-pro*", "150", "150", "600"),
    ("o3*", "2", "0.5", "8"),
    ("o3-mini*", "1.1", "0.55", "4.4"),
    ("o3-pro*", "20", "20", "80"),
    ("o4-mini*", "1.1", "0.275", "4.4"),
    ("text-embedding-3-small*", "0.02", "0.02", "0"),
    ("text-embedding-3-large*", "0.13", "0.13", "0"),
    ("text-embedding-ada-002*", "0.1", "0.1", "0"),
    ("claude-opus-4*", "15", "1.5", "75"),
    ("claude-opus-4-5*", "5", "0.5", "25"),
    ("claude-sonnet-4*", "3", "0.3", "15"),
    ("claude-haiku-4-5*", "1", "0.1", "5"),
    ("claude-3-7-sonnet*", "3", "0.3", "15"),
    ("claude-3-5-sonnet*", "3", "0.3", "15"),
    ("claude-3-5-haiku*", "0.8", "0.08", "4"),
    ("claude-3-opus*", "15", "1.5", "75"),
    ("claude-3-haiku*", "0.25", "0.03", "1.25"),
    ("gemini-2.5-pro*", "1.25", "0.125", "10"),
    ("gemini-2.5-flash*", "0.3", "0.03", "2.5"),
    ("gemini-2.5-flash-lite*", "0.1", "0.01", "0.4"),
    ("gemini-2.0-flash*", "0.1", "0.025", "0.4"),
    ("gemini-2.0-flash-lite*", "0.075", "0.075", "0.3"),
    ("deepseek-chat*", "0.28", "0.028", "0.42"),
    ("deepseek-reasoner*", "0.28", "0.028", "0.42"),
    ("mock*", "1", "0.5", "2"),
];

/// What tokens cost that are put into the provider's cache, where that is not the price of input: pattern, then US dollars
/// per million tokens kept for five minutes, and for an hour.
const SHIPPED_CACHE_WRITES: &[(&str, &str, &str)] = &[
    ("claude-opus-4*", "18.75", "30"),
    ("claude-opus-4-5*", "6.25", "10"),
    ("claude-sonnet-4*", "3.75", "6"),
    ("claude-haiku-4-5*", "1.25", "2"),
    ("claude-3-7-sonnet*", "3.75", "6"),
    ("claude-3-5-sonnet*", "3.75", "6"),
    ("claude-3-5-haiku*", "1", "1.6"),
    ("claude-3-opus*", "18.75", "30"),
    ("claude-3-haiku*", "0.3", "0.5"),
];

/// Tokens that a price is stated for.
const PER: u64 = 1_000_000;

/// The price of every model that has one.
#[derive(Debug)]
pub(crate) struct PriceTable {
    exact: BTreeMap<String, Price>,
    /// What stands before the `*`, longest first.
    prefixes: Vec<(String, Price)>,
}

impl PriceTable {
    /// The shipped table with `configured` over it.
    pub(crate) fn new(configured: &BTreeMap<String, PriceConfig>) -> Self {
        let shipped = SHIPPED.iter().filter_map(|(pattern, input, cached_input, output)| {
            Some(((*pattern).to_owned(), shipped_price(pattern, input, cached_input, output)?))
        });
        let configured = configured.iter().map(|(pattern, price)| (pattern.clone(), price_of(price)));
        // Later ones replace earlier ones.
        let all: BTreeMap<String, Price> = shipped.chain(configured).collect();
        let mut table = Self { exact: BTreeMap::new(), prefixes: Vec::new() };
        for (pattern, price) in all {
            match pattern.strip_suffix('*') {
                Some(prefix) => table.prefixes.push((prefix.to_owned(), price)),
                None => drop(table.exact.insert(pattern, price)),
            }
        }
        table.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        table
    }

    /// What `model` costs: by its name, by the longest pattern that fits, or by the part after its last slash, because
    /// aggregators write `vendor/model`. `None`: nobody says, and it costs nothing.
    pub(crate) fn find(&self, model: &str) -> Option<Price> {
        let own = self.exact.get(model).copied().or_else(|| {
            let fitting = self.prefixes.iter().find(|(prefix, _)| model.starts_with(prefix.as_str()));
            fitting.map(|(_, price)| *price)
        });
        own.or_else(|| model.rsplit_once('/').and_then(|(_, name)| self.find(name)))
    }
}

fn shipped_price(pattern: &str, input: &str, cached_input: &str, output: &str) -> Option<Price> {
    let usd = |text: &str| text.parse::<Usd>().ok().map(per_token);
    let writes = SHIPPED_CACHE_WRITES.iter().find(|(other, ..)| *other == pattern);
    let (_, cache_write, cache_write_1h) = writes.copied().unwrap_or((pattern, input, input));
    Some(Price {
        input: usd(input)?,
        cached_input: usd(cached_input)?,
        cache_write: usd(cache_write)?,
        cache_write_1h: usd(cache_write_1h)?,
        output: usd(output)?,
        reasoning: usd(output)?,
    })
}

fn price_of(config: &PriceConfig) -> Price {
    let cache_write = config.cache_write.unwrap_or(config.input);
    Price {
        input: per_token(config.input),
        cached_input: per_token(config.cached_input.unwrap_or(config.input)),
        cache_write: per_token(cache_write),
        cache_write_1h: per_token(config.cache_write_1h.unwrap_or(cache_write)),
        output: per_token(config.output),
        reasoning: per_token(config.reasoning.unwrap_or(config.output)),
    }
}

/// Exact, because configured prices have at most six decimals.
fn per_token(per_million: Usd) -> Usd {
    Usd::from_picos(per_million.picos() / PER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().expect("an amount")
    }

    #[test]
    fn the_shipped_table_is_whole_and_exact() {
        let table = PriceTable::new(&BTreeMap::new());
        assert_eq!(table.exact.len() + table.prefixes.len(), SHIPPED.len());
        let exact = |text: &str| usd(text).picos().is_multiple_of(PER);
        for (_, input, cached_input, output) in SHIPPED {
            assert!([input, cached_input, output].iter().all(|text| exact(text)));
        }
        for (pattern, minutes, hour) in SHIPPED_CACHE_WRITES {
            assert!(SHIPPED.iter().any(|(shipped, ..)| shipped == pattern), "{pattern}");
            assert!(exact(minutes) && exact(hour), "{pattern}");
        }
        let price = table.find("claude-sonnet-4-5-20250929").expect("a price");
        let writes = [price.cache_write, price.cache_write_1h];
        assert_eq!(writes, ["3.75", "6"].map(|text| per_token(usd(text))));
        let price = table.find("gpt-4o").expect("a price");
        assert_eq!([price.cache_write, price.cache_write_1h], [price.input, price.input]);
    }

    #[test]
    fn the_longest_pattern_that_fits_is_the_models_price() {
        let table = PriceTable::new(&BTreeMap::new());
        let input = |model: &str| table.find(model).map(|price| price.input.times(PER).to_string());
        for (model, expected) in [
            ("gpt-4o", "2.5"),
            ("gpt-4o-2024-08-06", "2.5"),
            ("gpt-4o-mini-2024-07-18", "0.15"),
            ("openai/gpt-4.1-nano", "0.1"),
            ("claude-opus-4-5-20251101", "5"),
            ("mock-large", "1"),
        ] {
            assert_eq!(input(model).as_deref(), Some(expected), "{model}");
        }
        assert_eq!(input("llama-3.3-70b"), None);
    }

    #[test]
    fn a_configured_price_replaces_the_shipped_one_and_fills_in_what_it_leaves_out() {
        let config = PriceConfig {
            input: usd("7"),
            output: usd("9"),
            cached_input: None,
            cache_write: None,
            cache_write_1h: None,
            reasoning: None,
        };
        let names = ["gpt-4o*", "gpt-4o-2024-08-06"];
        let table = PriceTable::new(&names.map(|name| (name.to_owned(), config.clone())).into());
        for model in ["gpt-4o", "gpt-4o-2024-08-06"] {
            let price = table.find(model).expect("a price");
            assert_eq!((price.input, price.cached_input), (per_token(usd("7")), per_token(usd("7"))), "{model}");
            assert_eq!((price.cache_write, price.cache_write_1h), (price.input, price.input), "{model}");
            assert_eq!((price.output, price.reasoning), (per_token(usd("9")), per_token(usd("9"))), "{model}");
        }
        let dearer = PriceConfig { cache_write: Some(usd("8")), ..config };
        let table = PriceTable::new(&[("gpt-4o*".to_owned(), dearer)].into());
        assert_eq!(table.find("gpt-4o").map(|price| price.cache_write_1h), Some(per_token(usd("8"))));
        assert_eq!(table.find("gpt-4o-mini").map(|price| price.input), Some(per_token(usd("0.15"))));
    }
}
