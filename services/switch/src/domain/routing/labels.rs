//! What the models of one provider are called in metrics: a name or pattern of the configuration, and never a caller's
//! own word, so that there are only so many.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::domain::name_pattern::NamePattern;

/// The label of models that no name or pattern of the configuration stands for.
const OTHER_MODELS: &str = "other";

/// What a model is called in metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    name: Arc<str>,
    /// Its place among those of its provider.
    pub(crate) place: usize,
}

/// Every label of one provider. A model has one of them, whichever way leads to it: its own name where the
/// configuration has that, else the pattern by which it is served.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    /// In their order.
    names: Arc<[Arc<str>]>,
    /// Names that the provider serves; a trailing `*` stands for any ending.
    served: Vec<Label>,
    other: Label,
}

impl Labels {
    /// For a provider that serves these patterns, and that is asked for these `names` besides.
    pub(super) fn new<'n>(patterns: &'n [Arc<str>], names: impl Iterator<Item = &'n str>) -> Self {
        let all = patterns.iter().map(|pattern| &**pattern).chain(names).chain([OTHER_MODELS]);
        let all: BTreeSet<&str> = all.collect();
        let label = |name: &str| Label { name: name.into(), place: all.range(..name).count() };
        Self {
            served: patterns.iter().map(|pattern| label(pattern)).collect(),
            other: label(OTHER_MODELS),
            names: all.iter().map(|name| Arc::from(*name)).collect(),
        }
    }

    /// All of them, in the order of their places.
    pub(crate) fn all(&self) -> &[Arc<str>] {
        &self.names
    }

    /// That of this model.
    pub(crate) fn of(&self, model: &str) -> Label {
        self.own(model).or_else(|| self.pattern(model).cloned()).unwrap_or_else(|| self.other.clone())
    }

    /// That of this model, where the provider serves it.
    pub(super) fn served(&self, model: &str) -> Option<Label> {
        let pattern = self.pattern(model)?;
        Some(self.own(model).unwrap_or_else(|| pattern.clone()))
    }

    fn own(&self, model: &str) -> Option<Label> {
        let place = self.names.binary_search_by(|name| (**name).cmp(model)).ok()?;
        Some(Label { name: self.names[place].clone(), place })
    }

    /// The pattern by which the provider serves `model`: the first that fits.
    fn pattern(&self, model: &str) -> Option<&Label> {
        self.served.iter().find(|label| NamePattern::of(label).fits(model))
    }
}

impl Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
impl From<&str> for Label {
    fn from(name: &str) -> Self {
        Self { name: name.into(), place: 0 }
    }
}
