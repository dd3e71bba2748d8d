//! Who may call with a key of their own, how much they may ask and spend, and what models cost.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;
use vx11_chassis::config::ConfigError;
use vx11_contracts::identity::BudgetPeriod;

use crate::accounts::{INTERNAL, SHADOW, Usd, digest_of_hex};
use crate::domain::name_pattern::NamePattern;

/// Pico-dollars per million tokens that make a whole pico-dollar per token.
const WHOLE_PICO: u64 = 1_000_000;

/// What a model costs, in US dollars per million tokens with up to six decimals.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceConfig {
    /// Tokens read.
    pub(crate) input: Usd,
    /// Tokens written.
    pub(crate) output: Usd,
    /// Tokens read from the provider's cache; as `input` where absent.
    pub(crate) cached_input: Option<Usd>,
    /// Tokens put into the provider's cache; as `input` where absent.
    pub(crate) cache_write: Option<Usd>,
    /// Tokens put into the provider's cache for an hour; as `cache_write` where absent.
    pub(crate) cache_write_1h: Option<Usd>,
    /// Tokens of reasoning; as `output` where absent.
    pub(crate) reasoning: Option<Usd>,
    /// What a call costs whose prompt is long; no more than others where absent.
    pub(crate) long: Option<LongPromptsConfig>,
    /// By what all of it is multiplied at other tiers; by one where absent.
    pub(crate) tiers: Option<TiersConfig>,
}

/// By what a price is multiplied where an answer says that it was served at another tier than the standard one.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TiersConfig {
    /// When there was time for it.
    pub(crate) flex: Option<f64>,
    /// Before others; Anthropic's fast mode, too.
    pub(crate) priority: Option<f64>,
    /// Before those.
    pub(crate) ultrafast: Option<f64>,
}

/// How much dearer every token of a call is whose prompt is long.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LongPromptsConfig {
    /// A prompt of more tokens than this is long.
    pub(crate) over: u64,
    /// By what the prices of tokens read are multiplied, cached ones too.
    pub(crate) input_times: f64,
    /// By what the prices of tokens written are multiplied.
    pub(crate) output_times: f64,
}

/// One key: its secret, whose it is, and what it may do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyConfig {
    /// The SHA-256 of the secret in hexadecimal digits.
    pub sha256: Option<SecretString>,
    /// The variable that holds the secret itself, or, with `_FILE` appended, the path of a file that does.
    pub secret_env: Option<String>,
    /// The organisation it belongs to.
    pub org: Option<String>,
    /// The team within the organisation.
    pub team: Option<String>,
    /// Models that it may ask for; a trailing `*` stands for any ending. Absent: all.
    pub models: Option<Vec<String>>,
    /// Requests in each minute.
    pub requests_per_minute: Option<u64>,
    /// Requests in each day, UTC.
    pub requests_per_day: Option<u64>,
    /// Tokens in each minute.
    pub tokens_per_minute: Option<u64>,
    /// Tokens in each day, UTC.
    pub tokens_per_day: Option<u64>,
    /// What it may spend.
    pub budget: Option<BudgetConfig>,
    /// `false` refuses it.
    pub enabled: Option<bool>,
}

/// An organisation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrgConfig {
    /// Requests of all of its keys together in each minute.
    pub requests_per_minute: Option<u64>,
    /// The same in each day, UTC.
    pub requests_per_day: Option<u64>,
    /// Tokens of all of its keys together in each minute.
    pub tokens_per_minute: Option<u64>,
    /// The same in each day, UTC.
    pub tokens_per_day: Option<u64>,
    /// What all of its keys may spend together.
    pub budget: Option<BudgetConfig>,
    /// Its teams.
    pub teams: BTreeMap<String, TeamConfig>,
}

/// A team of an organisation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeamConfig {
    /// What all of its keys may spend together.
    pub budget: Option<BudgetConfig>,
}

/// Money that may be spent.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// US dollars.
    pub(crate) usd: Usd,
    /// In which time; a month where absent.
    #[serde(default)]
    pub(crate) period: BudgetPeriod,
}

impl PriceConfig {
    pub(crate) fn check(&self, name: &str) -> Result<(), ConfigError> {
        let kinds = [
            ("input", Some(self.input)),
            ("output", Some(self.output)),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("cache_write_1h", self.cache_write_1h),
            ("reasoning", self.reasoning),
        ];
        if !NamePattern::of(name).is_sound() {
            return Err(unusable(&format!("prices.{name}"), "a `*` stands only at the end of a pattern"));
        }
        for (kind, price) in kinds {
            if price.is_some_and(|price| !price.picos().is_multiple_of(WHOLE_PICO)) {
                return Err(unusable(&format!("prices.{name}.{kind}"), "has more than six decimals"));
            }
        }
        let long = |field: &'static str, times: fn(LongPromptsConfig) -> f64| (field, self.long.map(times));
        let tier = |field: &'static str, times: fn(TiersConfig) -> Option<f64>| (field, self.tiers.and_then(times));
        let times = [
            long("long.input_times", |long| long.input_times),
            long("long.output_times", |long| long.output_times),
            tier("tiers.flex", |tiers| tiers.flex),
            tier("tiers.priority", |tiers| tiers.priority),
            tier("tiers.ultrafast", |tiers| tiers.ultrafast),
        ];
        for (field, times) in times.into_iter().filter_map(|(field, times)| Some((field, times?))) {
            let is_exact = (times * 1000.0).round() / 1000.0 == times;
            if !(0.0..=1000.0).contains(&times) || !is_exact {
                let problem = "must be a number from 0 to 1000 with at most three decimals";
                return Err(unusable(&format!("prices.{name}.{field}"), problem));
            }
        }
        Ok(())
    }
}

impl KeyConfig {
    pub(super) fn check(&self, name: &str, orgs: &BTreeMap<String, OrgConfig>) -> Result<(), ConfigError> {
        let field = |field: &str| format!("keys.{name}{field}");
        match name {
            INTERNAL => return Err(unusable(&field(""), "this name stands for the shared token")),
            SHADOW => return Err(unusable(&field(""), "this name stands for what goes to shadow targets")),
            _ => {}
        }
        check_name(&field(""), name)?;
        match (&self.sha256, &self.secret_env) {
            (Some(_), Some(_)) | (None, None) => {
                return Err(unusable(&field(""), "needs either `sha256` or `secret_env`"));
            }
            (Some(hex), None) if digest_of_hex(hex).is_none() => {
                return Err(unusable(&field(".sha256"), "must be the 64 hexadecimal digits of a SHA-256"));
            }
            _ => {}
        }
        let unsound = |pattern: &String| !NamePattern::of(pattern).is_sound();
        if let Some(index) = self.models.as_ref().and_then(|models| models.iter().position(unsound)) {
            return Err(unusable(&field(&format!(".models[{index}]")), "a `*` stands only at the end of a pattern"));
        }
        if let Some(org) = &self.org {
            check_name(&field(".org"), org)?;
        }
        if let Some(team) = &self.team {
            let known = self.org.as_ref().and_then(|org| orgs.get(org)).map(|org| &org.teams);
            if known.is_none_or(|teams| !teams.contains_key(team)) {
                let problem = format!("there is no team `{team}` in `switch.orgs` under the key's `org`");
                return Err(unusable(&field(".team"), &problem));
            }
        }
        Ok(())
    }
}

impl OrgConfig {
    pub(super) fn check(&self, name: &str) -> Result<(), ConfigError> {
        check_name(&format!("orgs.{name}"), name)?;
        self.teams.keys().try_for_each(|team| check_name(&format!("orgs.{name}.teams.{team}"), team))
    }
}

/// Names become parts of Redis' keys and of metrics.
fn check_name(field: &str, name: &str) -> Result<(), ConfigError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
        return Err(unusable(field, "a name is 1 to 64 letters, digits, `-`, `_`, `.` or `@`"));
    }
    Ok(())
}

fn unusable(field: &str, problem: &str) -> ConfigError {
    ConfigError::unusable(format!("switch.{field}"), problem)
}
