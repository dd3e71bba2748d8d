//! Requests that wait for a person: the rules, and how many may wait.

use std::collections::{BTreeMap, BTreeSet};

use regex::RegexBuilder;
use serde::{Deserialize, Serialize};
use vx11_chassis::config::ConfigError;
use vx11_contracts::intervention::{CreateAction, CreateIntervention, DecisionKind, OnTimeout, Priority, Role};

use super::SwitchConfig;
use crate::accounts::Usd;
use crate::domain::hold::{DecidedBy, Pattern, Rule, Rules, Terms, When, Within};
use crate::domain::name_pattern::NamePattern;

/// Longest name of a rule: it is a label.
const MAX_NAME: usize = 64;
/// Most rules.
const MOST_RULES: usize = 100;
/// Largest compiled expression, in bytes.
const PATTERN_BYTES: usize = 1024 * 1024;
/// Longest wait of a caller, in seconds.
pub(crate) const LONGEST_WAIT: u64 = 3600;

/// One rule: which requests wait for a person, and what the person is asked. A condition that is absent applies to all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldConfig {
    /// Its name, in metrics and for the pilot.
    pub name: String,
    /// Models: the one that is asked for, or one that the request may end at; a trailing `*` stands for any ending.
    #[serde(default)]
    pub models: Vec<String>,
    /// Tools that the model may call, by name or, of the provider's own, by type; a trailing `*` as above.
    #[serde(default)]
    pub tools: Vec<String>,
    /// A regular expression, looked for in what is said.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Where it is looked for; `newest` where absent.
    #[serde(default)]
    pub pattern_in: PatternIn,
    /// US dollars that the request is expected to cost, at least.
    #[serde(default)]
    pub(crate) min_cost_usd: Option<Usd>,
    /// Entries of the body's `metadata` and the values that they must have.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Organisations: those of keys; with the shared token, what `x-vx11-org` says.
    #[serde(default)]
    pub orgs: Vec<String>,
    /// Keys by name; `internal` stands for the shared token.
    #[serde(default)]
    pub keys: Vec<String>,
    /// What a pilot reads first; made of the caller and the model where absent.
    #[serde(default)]
    pub title: Option<String>,
    /// How urgent it is. Default `normal`.
    #[serde(default)]
    pub priority: Priority,
    /// The least role that decides. Default `OPERATOR`.
    #[serde(default = "operator")]
    pub required_role: Role,
    /// Seconds until it expires; 0: never. Default 3600.
    #[serde(default = "an_hour")]
    pub expires_in_sec: i64,
    /// What becomes of it then: `reject`, `approve` or `escalate` to any ADMIN. Default `reject`.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// The ways to decide. Default approve, reject and edit.
    #[serde(default = "all_but_respond")]
    pub allow: Vec<DecisionKind>,
    /// Seconds that a caller of `/v1` waits before it is answered 202, unless it says otherwise. Default 30.
    #[serde(default = "half_a_minute")]
    pub wait_sec: u64,
    /// Whose pilots decide: `platform`, or `caller` for those of the caller's organisation. Default `platform`.
    #[serde(default)]
    pub decided_by: DecidedByConfig,
}

/// Where an expression is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatternIn {
    /// In what was said after the model's last words.
    #[default]
    Newest,
    /// In all that is said, instructions included.
    All,
}

/// Whose pilots decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedByConfig {
    /// The platform's.
    #[default]
    Platform,
    /// Those of the caller's organisation; the platform's where it has none.
    Caller,
}

/// How many held requests there may be; read at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoldLimitsConfig {
    /// Callers that wait at a time. One more is answered 202 at once, and with a stream 503. Default 256.
    pub waiting: usize,
    /// The same of one caller. Default 64.
    pub waiting_per_caller: usize,
    /// Bytes that the bodies of all that wait may have together. Default 128 MiB.
    pub waiting_bytes: usize,
    /// Requests that one caller may have held in each minute. Default 60.
    pub opened_per_minute: u32,
}

impl Default for HoldLimitsConfig {
    fn default() -> Self {
        Self { waiting: 256, waiting_per_caller: 64, waiting_bytes: 128 * 1024 * 1024, opened_per_minute: 60 }
    }
}

const fn operator() -> Role {
    Role::Operator
}

const fn an_hour() -> i64 {
    3600
}

const fn half_a_minute() -> u64 {
    30
}

fn all_but_respond() -> Vec<DecisionKind> {
    vec![DecisionKind::Approve, DecisionKind::Reject, DecisionKind::Edit]
}

impl SwitchConfig {
    /// The rules; `None` where there are none.
    ///
    /// # Errors
    /// Naming the rule and the field.
    pub(crate) fn hold_rules(&self) -> Result<Option<Rules>, ConfigError> {
        if self.holds.len() > MOST_RULES {
            return Err(ConfigError::unusable("switch.holds", format!("at most {MOST_RULES} rules")));
        }
        let mut names = BTreeSet::new();
        let mut rules = Vec::with_capacity(self.holds.len());
        for (place, hold) in self.holds.iter().enumerate() {
            let unusable =
                |(field, problem): Fault| ConfigError::unusable(format!("switch.holds[{place}].{field}"), problem);
            if !names.insert(&hold.name) {
                return Err(unusable(("name".to_owned(), "another rule has the same name".to_owned())));
            }
            rules.push(hold.rule().map_err(unusable)?);
        }
        Ok(Rules::new(rules))
    }
}

/// A field, and what is wrong with it.
type Fault = (String, String);

fn fault(field: &str, problem: &str) -> Fault {
    (field.to_owned(), problem.to_owned())
}

impl HoldConfig {
    fn rule(&self) -> Result<Rule, Fault> {
        let is_label = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
        if !(1..=MAX_NAME).contains(&self.name.len()) || !self.name.bytes().all(is_label) {
            return Err(fault("name", "must be 1 to 64 letters, digits, `_`, `-` and `.`"));
        }
        for (field, patterns) in [("models", &self.models), ("tools", &self.tools)] {
            if let Some(index) = patterns.iter().position(|pattern| !NamePattern::of(pattern).is_sound()) {
                return Err(fault(&format!("{field}[{index}]"), "a `*` stands only at the end of a pattern"));
            }
        }
        if self.wait_sec > LONGEST_WAIT {
            return Err(fault("wait_sec", &format!("must be 0 to {LONGEST_WAIT}")));
        }
        if self.expires_in_sec < 0 {
            return Err(fault("expires_in_sec", "must not be negative"));
        }
        self.example().validate().map_err(|invalid| {
            let field = if invalid.field == "expires_in_seconds" { "expires_in_sec" } else { &invalid.field };
            fault(field, &invalid.detail)
        })?;
        Ok(Rule { name: self.name.as_str().into(), when: self.when()?, terms: self.terms() })
    }

    /// What a pilot would be asked, for its checks.
    fn example(&self) -> CreateIntervention {
        CreateIntervention {
            priority: self.priority,
            expires_in_seconds: Some(self.expires_in_sec),
            action: Some(CreateAction { name: "request".to_owned(), args: serde_json::Map::new() }),
            allow: self.allow.clone(),
            required_role: self.required_role,
            on_timeout: self.on_timeout,
            ..CreateIntervention::new(self.title.as_deref().unwrap_or(&self.name))
        }
    }

    fn when(&self) -> Result<When, Fault> {
        let pattern = match &self.pattern {
            None => None,
            Some(pattern) => {
                let regex = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
                let regex = regex.map_err(|error| fault("pattern", &error.to_string()))?;
                let within = match self.pattern_in {
                    PatternIn::Newest => Within::Newest,
                    PatternIn::All => Within::All,
                };
                Some(Pattern { regex, within })
            }
        };
        Ok(When {
            models: self.models.clone(),
            tools: self.tools.clone(),
            pattern,
            min_cost: self.min_cost_usd,
            tags: self.tags.clone().into_iter().collect(),
            orgs: self.orgs.clone(),
            keys: self.keys.clone(),
        })
    }

    fn terms(&self) -> Terms {
        Terms {
            title: self.title.clone(),
            priority: self.priority,
            required_role: self.required_role,
            expires_in_seconds: self.expires_in_sec,
            on_timeout: self.on_timeout,
            allow: self.allow.clone(),
            wait_seconds: self.wait_sec,
            decided_by: match self.decided_by {
                DecidedByConfig::Platform => DecidedBy::Platform,
                DecidedByConfig::Caller => DecidedBy::Caller,
            },
        }
    }
}
