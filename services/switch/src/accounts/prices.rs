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

/// How OpenRouter may be asked to serve a model, after a `:`.
const SERVED: [&str; 6] = ["beta", "exacto", "extended", "floor", "nitro", "thinking"];

/// What is given away.
const FREE: Price = Price {
    input: Usd::ZERO,
    cached_input: Usd::ZERO,
    cache_write: Usd::ZERO,
    cache_write_1h: Usd::ZERO,
    output: Usd::ZERO,
    reasoning: Usd::ZERO,
    long: None,
    tiers: Tiers::ALIKE,
};

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
        let mut all: BTreeMap<String, Price> = shipped.chain(configured).collect();
        let dotted: Vec<_> = all.iter().filter_map(|(name, price)| Some((with_dots(name)?, *price))).collect();
        for (name, price) in dotted {
            all.entry(name).or_insert(price);
        }
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

    /// What `model` costs: by its name, by the longest pattern that fits, or by what it is called without what
    /// aggregators write around it, as in `vendor/model:nitro`. `None`: nobody says, and it costs nothing.
    pub(crate) fn find(&self, model: &str) -> Option<Price> {
        self.listed(model).or_else(|| {
            let served = model.rsplit_once(':').filter(|(_, how)| SERVED.contains(how));
            let name = served.map_or(model, |(name, _)| name);
            let listed = served.and_then(|(name, _)| self.listed(name));
            listed.or_else(|| name.rsplit_once('/').and_then(|(_, name)| self.listed(name)))
        })
    }

    /// What stands in the table for `model` as it is written.
    fn listed(&self, model: &str) -> Option<Price> {
        if let Some(own) = self.exact.get(model) {
            return Some(*own);
        }
        // It may begin like one that is paid for.
        if model.ends_with(":free") && model.contains('/') {
            return Some(FREE);
        }
        self.longest_prefix(model).map(|index| self.prefixes[index].1)
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

/// `pattern` as aggregators write versions: `claude-opus-4.5*` for `claude-opus-4-5*`. A date has no dots. `None`: there
/// is no version in it that can be written otherwise.
///
/// The table has both spellings, so that looking up costs what it did, and of what fits either the longest holds.
fn with_dots(pattern: &str) -> Option<String> {
    let (name, ending) = pattern.strip_suffix('*').map_or((pattern, ""), |name| (name, "*"));
    let is_version = |part: &str| matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = name.split('-');
    let mut before = parts.next()?;
    let mut dotted = before.to_owned();
    for part in parts {
        dotted.push(if is_version(before) && is_version(part) { '.' } else { '-' });
        dotted.push_str(part);
        before = part;
    }
    dotted.push_str(ending);
    (dotted != pattern).then_some(dotted)
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
mod tests;
