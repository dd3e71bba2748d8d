//! The rules, and which of them a request meets.

use std::cell::OnceCell;
use std::sync::Arc;

use regex::Regex;
use vx11_contracts::intervention::{DecisionKind, OnTimeout, Priority, Role};

use super::Content;
use crate::accounts::Usd;
use crate::domain::name_pattern::NamePattern;
use crate::domain::request::BadRequest;

/// Which requests wait for a person, and what the person is asked.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Its name, in metrics and logs and for the pilot.
    pub(crate) name: Arc<str>,
    /// The requests to which all of this applies.
    pub(crate) when: When,
    /// What is asked.
    pub(crate) terms: Terms,
}

/// Conditions; one that is empty applies to every request.
#[derive(Clone, Debug, Default)]
pub(crate) struct When {
    /// Names of models, or patterns.
    pub(crate) models: Vec<String>,
    /// Names of tools, or patterns.
    pub(crate) tools: Vec<String>,
    /// What is said.
    pub(crate) pattern: Option<Pattern>,
    /// The least that the request is expected to cost.
    pub(crate) min_cost: Option<Usd>,
    /// Entries of the body's `metadata`.
    pub(crate) tags: Vec<(String, String)>,
    /// Organisations.
    pub(crate) orgs: Vec<String>,
    /// Names of keys.
    pub(crate) keys: Vec<String>,
}

/// An expression, and the texts that it is looked for in.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) regex: Regex,
    pub(crate) within: Within,
}

/// Texts of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Within {
    /// What was said after the model's last words.
    #[default]
    Newest,
    /// All.
    All,
}

/// What the person is asked, and how long the caller waits.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) title: Option<String>,
    pub(crate) priority: Priority,
    pub(crate) required_role: Role,
    pub(crate) expires_in_seconds: i64,
    pub(crate) on_timeout: OnTimeout,
    pub(crate) allow: Vec<DecisionKind>,
    pub(crate) wait_seconds: u64,
    pub(crate) decided_by: DecidedBy,
}

/// Whose pilots decide; those whose word counts for more stand first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DecidedBy {
    /// The platform's.
    #[default]
    Platform,
    /// Those of the caller's own organisation; the platform's where it names none.
    Caller,
}

/// Whether a name is meant.
type NameTest<'t> = &'t dyn Fn(&str) -> bool;

/// What a request says of itself. Only what a rule asks for is looked up, the cheapest first.
pub(crate) struct Asker<'a> {
    /// The caller's organisation.
    pub(crate) org: Option<&'a str>,
    /// The name of the caller's key.
    pub(crate) key: &'a str,
    /// Whether one of the models that it may end at, or the one that it asks for, fits.
    pub(crate) any_model: &'a dyn Fn(NameTest<'_>) -> bool,
    /// An entry of `metadata`.
    pub(crate) tag: &'a dyn Fn(&str) -> Option<String>,
    /// What it is expected to cost, where that can be told.
    pub(crate) cost: &'a dyn Fn() -> Option<Usd>,
    /// What it says and offers.
    pub(crate) content: &'a dyn Fn() -> Result<Content, BadRequest>,
}

/// All rules, the platform's own first, and of these and the others those that need the highest role: a request that
/// meets a rule which its own organisation decides by gets round none that the platform decides by.
#[derive(Clone, Debug)]
pub(crate) struct Rules(Vec<Arc<Rule>>);

impl Rules {
    /// These, of which those for one role stay in their order; `None` where there are none.
    pub(crate) fn new(rules: Vec<Rule>) -> Option<Self> {
        let mut rules: Vec<_> = rules.into_iter().map(Arc::new).collect();
        rules.sort_by_key(|rule| (rule.terms.decided_by, std::cmp::Reverse(rule.terms.required_role)));
        Some(Self(rules)).filter(|rules| !rules.0.is_empty())
    }

    /// Every one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().map(|rule| &**rule)
    }

    /// The first rule that the request meets.
    ///
    /// # Errors
    /// When its body has to be looked at, and cannot be read.
    pub(crate) fn find(&self, asker: &Asker<'_>) -> Result<Option<&Arc<Rule>>, BadRequest> {
        let cost = OnceCell::new();
        let content = OnceCell::new();
        for rule in &self.0 {
            if !rule.when.fits_beforehand(asker, &cost) {
                continue;
            }
            if !rule.when.looks_inside() {
                return Ok(Some(rule));
            }
            let content = match content.get() {
                Some(content) => content,
                None => {
                    let read = (asker.content)()?;
                    content.get_or_init(|| read)
                }
            };
            if rule.when.fits(content) {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }
}

impl When {
    /// Whether it applies, as far as that is known without reading the body.
    fn fits_beforehand(&self, asker: &Asker<'_>, cost: &OnceCell<Option<Usd>>) -> bool {
        let one_of = |names: &[String], name: &str| names.is_empty() || names.iter().any(|own| own == name);
        one_of(&self.keys, asker.key)
            && one_of(&self.orgs, asker.org.unwrap_or_default())
            && (self.models.is_empty() || (asker.any_model)(&|model| any_fits(&self.models, model)))
            && self.tags.iter().all(|(name, value)| (asker.tag)(name).as_ref() == Some(value))
            && self.min_cost.is_none_or(|least| cost.get_or_init(|| (asker.cost)()).is_none_or(|cost| cost >= least))
    }

    fn looks_inside(&self) -> bool {
        !self.tools.is_empty() || self.pattern.is_some()
    }

    fn fits(&self, content: &Content) -> bool {
        let is_offered = |name: &String| any_fits(&self.tools, name);
        (self.tools.is_empty() || content.tools.iter().any(is_offered))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_in(content))
    }
}

impl Pattern {
    /// Whether it is there, or may be: what is said in tokens cannot be read here.
    fn is_in(&self, content: &Content) -> bool {
        if content.has_tokens {
            return true;
        }
        match self.within {
            Within::Newest => content.newest().any(|text| self.regex.is_match(text)),
            Within::All => content.all().any(|text| self.regex.is_match(text)),
        }
    }
}

fn any_fits(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| NamePattern::of(pattern).fits(name))
}

#[cfg(test)]
mod tests;
