//! What models cost: the configured prices over a shipped table.

use std::collections::BTreeMap;

use figment::Figment;
use figment::providers::{Format, Toml};

use super::money::Usd;
use super::tokens::{LongPrompts, Price, Tiers};
use crate::config::PriceConfig;
use crate::domain::name_pattern::NamePattern;

/// List prices, in the shape of the configuration.
const SHIPPED: &str = include_str!("prices.toml");

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
        let shipped = shipped().unwrap_or_else(|error| {
            tracing::error!(%error, "the shipped prices cannot be read");
            BTreeMap::new()
        });
        let configured = configured.iter().map(|(pattern, price)| (pattern.clone(), price_of(price)));
        let shipped = shipped.iter().map(|(pattern, price)| (pattern.clone(), price_of(price)));
        // Later ones replace earlier ones.
        let all: BTreeMap<String, Price> = shipped.chain(configured).collect();
        let mut table = Self { exact: BTreeMap::new(), prefixes: Vec::new() };
        for (pattern, price) in all {
            match NamePattern::of(&pattern) {
                NamePattern::Beginning(prefix) => table.prefixes.push((prefix.to_owned(), price)),
                NamePattern::Name(_) => drop(table.exact.insert(pattern, price)),
            }
        }
        table.prefixes.sort_by(|(one, _), (other, _)| one.cmp(other));
        table
    }

    /// What a million tokens read and a million written by `model` cost, in US dollars, for comparisons.
    pub(crate) fn of_a_million(&self, model: &str) -> Option<f64> {
        self.find(model).map(|price| price.input.plus(price.output).times(PER).as_f64())
    }

    /// What `model` costs: by its name, by the longest pattern that fits, or by the part after its last slash, because
    /// aggregators write `vendor/model`. `None`: nobody says, and it costs nothing.
    pub(crate) fn find(&self, model: &str) -> Option<Price> {
        let own = self.exact.get(model).copied();
        let own = own.or_else(|| self.longest_prefix(model).map(|index| self.prefixes[index].1));
        own.or_else(|| model.rsplit_once('/').and_then(|(_, name)| self.find(name)))
    }

    /// Where the longest prefix of `model` stands among the prefixes, which are sorted.
    fn longest_prefix(&self, model: &str) -> Option<usize> {
        let mut beginning = model;
        loop {
            // Of those that are not after a text, its longest prefix is the last, or shares with the last what is looked
            // up next.
            let index = self.prefixes.partition_point(|(prefix, _)| prefix.as_str() <= beginning).checked_sub(1)?;
            let prefix = self.prefixes[index].0.as_str();
            if model.starts_with(prefix) {
                return Some(index);
            }
            let shared = prefix.bytes().zip(beginning.bytes()).take_while(|(one, other)| one == other).count();
            beginning = &beginning[..beginning.floor_char_boundary(shared)];
        }
    }
}

fn shipped() -> Result<BTreeMap<String, PriceConfig>, Box<figment::Error>> {
    Figment::from(Toml::string(SHIPPED)).extract().map_err(Box::new)
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
        long: config.long.map(|long| LongPrompts {
            over: long.over,
            input_permille: permille(long.input_times),
            output_permille: permille(long.output_times),
        }),
        tiers: config.tiers.map_or(Tiers::ALIKE, |tiers| {
            let of = |times: Option<f64>| times.map_or(1000, permille);
            Tiers { flex: of(tiers.flex), priority: of(tiers.priority), ultrafast: of(tiers.ultrafast) }
        }),
    }
}

/// The configuration's check lets only numbers through that stay exact here.
fn permille(times: f64) -> u64 {
    (times * 1000.0).round() as u64
}

/// Exact, because configured prices have at most six decimals.
fn per_token(per_million: Usd) -> Usd {
    Usd::from_picos(per_million.picos() / PER)
}

#[cfg(test)]
mod tests {
    use super::super::tokens::Tokens;
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().expect("an amount")
    }

    #[test]
    fn the_shipped_table_is_whole_and_as_the_configuration_must_be() {
        let shipped = shipped().expect("a table");
        assert!(shipped.len() > 80, "{}", shipped.len());
        shipped.iter().for_each(|(pattern, price)| price.check(pattern).expect("a price"));
        let table = PriceTable::new(&BTreeMap::new());
        assert_eq!(table.exact.len() + table.prefixes.len(), shipped.len());
        let price = table.find("claude-sonnet-4-5-20250929").expect("a price");
        let writes = [price.cache_write, price.cache_write_1h];
        assert_eq!(writes, ["3.75", "6"].map(|text| per_token(usd(text))));
        let price = table.find("gpt-4o").expect("a price");
        assert_eq!([price.cache_write, price.cache_write_1h], [price.input, price.input]);
        let price = table.find("gpt-5.5").expect("a price");
        assert_eq!(price.tiers, Tiers { flex: 500, priority: 2500, ultrafast: 1000 });
        assert_eq!(table.find("mock").map(|price| price.tiers), Some(Tiers::ALIKE));
    }

    #[test]
    fn who_is_served_first_pays_what_is_published_for_that() {
        let table = PriceTable::new(&BTreeMap::new());
        for (model, priority) in [
            ("gpt-4.1-mini-2025-04-14", 1750),
            ("gpt-4.1-nano", 2000),
            ("gpt-4o-2024-08-06", 1700),
            ("gpt-4o-2024-11-20", 1700),
            ("gpt-4o-2024-05-13", 1750),
            ("o3-2025-04-16", 1750),
            ("o3-mini", 1000),
            ("claude-opus-5-5", 2000),
        ] {
            assert_eq!(table.find(model).map(|price| price.tiers.priority), Some(priority), "{model}");
        }
    }

    #[test]
    fn a_later_generation_has_its_own_price() {
        let table = PriceTable::new(&BTreeMap::new());
        for (model, expected) in [
            ("claude-opus-5", ["5", "25", "0.5", "6.25", "10"]),
            ("claude-opus-5-5", ["4", "20", "0.2", "5", "8"]),
            ("claude-sonnet-5-5", ["2", "10", "0.1", "2.5", "4"]),
            ("claude-haiku-5-5", ["0.1", "0.5", "0.01", "0.125", "0.2"]),
        ] {
            let price = table.find(model).expect("a price");
            let got = [price.input, price.output, price.cached_input, price.cache_write, price.cache_write_1h];
            assert_eq!(got, expected.map(|text| per_token(usd(text))), "{model}");
        }
    }

    #[test]
    fn a_model_that_hears_speaks_or_draws_does_not_have_the_price_of_one_that_writes() {
        let table = PriceTable::new(&BTreeMap::new());
        for (model, output) in [
            ("gemini-2.5-flash-image", "30"),
            ("gemini-2.5-flash-image-preview", "30"),
            ("gemini-3-pro-image-preview", "120"),
            ("gemini-3.1-flash-image-preview", "60"),
            ("gemini-2.0-flash-preview-image-generation", "30"),
            ("gemini-2.5-flash-preview-tts", "10"),
            ("gpt-4o-audio-preview", "80"),
            ("gpt-4o-mini-audio-preview-2024-12-17", "20"),
            ("gpt-3.5-turbo-instruct", "2"),
            ("gpt-4-32k", "120"),
            ("o1-mini", "4.4"),
        ] {
            let price = table.find(model).map(|price| price.output.times(PER).to_string());
            assert_eq!(price.as_deref(), Some(output), "{model}");
        }
    }

    #[test]
    fn a_long_prompt_makes_every_token_of_its_call_dearer() {
        let table = PriceTable::new(&BTreeMap::new());
        let price = table.find("gemini-2.5-pro").expect("a price");
        let cost =
            |prompt| price.of(Tokens { prompt, cached: 100_000, completion: 1000, ..Tokens::default() }).to_string();
        // 100,000 × 1.25 + 100,000 × 0.125 + 1000 × 10, a million of each.
        assert_eq!(cost(200_000), "0.1475");
        // 100,001 × 2.5 + 100,000 × 0.25 + 1000 × 15.
        assert_eq!(cost(200_001), "0.2900025");
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
            ("claude-opus-4-1-20250805", "15"),
            ("claude-opus-4-5-20251101", "5"),
            ("gpt-5-2025-08-07", "1.25"),
            ("gpt-5.5-2026-04-23", "5"),
            ("mock-large", "1"),
        ] {
            assert_eq!(input(model).as_deref(), Some(expected), "{model}");
        }
        assert_eq!(input("somebodys-own-model"), None);
    }

    #[test]
    fn a_pattern_is_found_whatever_stands_beside_it() {
        let price = PriceTable::new(&BTreeMap::new()).find("mock").expect("a price");
        let prefixes = ["", "a", "ab", "abc-d", "abé", "b"].map(|prefix| (prefix.to_owned(), price));
        let table = PriceTable { exact: BTreeMap::new(), prefixes: prefixes.into() };
        let longest = |model: &str| table.longest_prefix(model).map(|index| table.prefixes[index].0.as_str());
        for (model, expected) in [
            ("", ""),
            ("a", "a"),
            ("aa", "a"),
            ("abc-", "ab"),
            ("abc-de", "abc-d"),
            ("abè", "ab"),
            ("abéb", "abé"),
            ("zz", ""),
        ] {
            assert_eq!(longest(model), Some(expected), "{model}");
        }
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
            long: None,
            tiers: None,
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
