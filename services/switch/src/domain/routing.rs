//! Where a model name leads: to an ordered list of targets.
//!
//! In this order: a configured name leads to its targets, as its [`Plan`] arranges them; `provider/model` to that one;
//! a name that providers serve to each of them, in the order of their names. Anything else leads nowhere.

mod labels;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::name_pattern::NamePattern;
use super::strategy::{Asker, Plan};

pub(crate) use labels::{Label, Labels};

/// One model at one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The provider's place in the registry.
    pub(crate) provider: usize,
    /// What the provider is asked for.
    pub(crate) model: Arc<str>,
    /// The model in metrics.
    pub(crate) label: Label,
    /// Whether it is there for requests that are too long for the others, and for no others.
    pub(crate) larger: bool,
}

/// What routing knows of a provider.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// Its name.
    pub(crate) name: String,
    /// Names it serves; a trailing `*` stands for any ending.
    pub(crate) patterns: Vec<Arc<str>>,
    /// What it is asked for when only the provider was named.
    pub(crate) default_model: Arc<str>,
}

/// Why a request leads nowhere. Both come with the names that would have been accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// The caller pinned a provider that is not there.
    UnknownProvider(Vec<String>),
    /// Nobody serves the model.
    ModelNotFound(Vec<String>),
}

/// Where one configured name leads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Route {
    /// The targets, and how they are chosen from.
    pub(crate) plan: Plan,
    /// `provider/model` of the targets for longer requests.
    pub(crate) larger: Vec<String>,
    /// `provider/model` of the target that gets copies, and of how many in a hundred requests.
    pub(crate) shadow: Option<(String, u8)>,
}

/// The routes of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    providers: Vec<Served>,
    /// In the same order.
    labels: Vec<Labels>,
    models: BTreeMap<String, Model>,
}

#[derive(Clone, Debug)]
struct Model {
    /// Those of the plan first, then those for longer requests.
    targets: Arc<[Target]>,
    /// Absent where the targets are always asked as listed.
    plan: Option<Plan>,
    shadow: Option<(Target, u8)>,
}

/// Those of `targets` that `can`, in their order.
pub(crate) fn able(targets: Arc<[Target]>, can: &dyn Fn(&Target) -> bool) -> Arc<[Target]> {
    if targets.iter().all(can) { targets } else { targets.iter().filter(|target| can(target)).cloned().collect() }
}

impl Routes {
    /// Routes over `providers` in registry order. Targets at providers that are not in the registry are left out.
    pub(crate) fn new(providers: Vec<Served>, models: impl IntoIterator<Item = (String, Route)>) -> Self {
        let models: Vec<(String, Route)> = models.into_iter().collect();
        let labels = providers.iter().map(|provider| labels_of(provider, &models)).collect();
        let mut routes = Self { providers, labels, models: BTreeMap::new() };
        for (name, Route { mut plan, larger, shadow }) in models {
            plan.choices.retain(|choice| routes.target(&choice.name, false).is_some());
            let usual = plan.choices.iter().filter_map(|choice| routes.target(&choice.name, false));
            let larger = larger.iter().filter_map(|target| routes.target(target, true));
            let targets = usual.chain(larger).collect();
            let shadow = shadow.and_then(|(target, percent)| Some((routes.target(&target, false)?, percent)));
            let plan = (!plan.is_plain()).then_some(plan);
            routes.models.insert(name, Model { targets, plan, shadow });
        }
        routes
    }

    /// The target of this `provider/model`, where its provider is there.
    fn target(&self, name: &str, larger: bool) -> Option<Target> {
        let (provider, model) = name.split_once('/')?;
        let provider = self.position(provider)?;
        Some(Target { provider, label: self.labels[provider].of(model), model: model.into(), larger })
    }

    /// What the models of each provider are called in metrics, in registry order.
    pub(crate) fn labels(&self) -> &[Labels] {
        &self.labels
    }

    /// Whether it depends on the request in which order the targets of `model` are asked.
    pub(crate) fn is_planned(&self, model: &str) -> bool {
        self.models.get(model).is_some_and(|model| model.plan.is_some())
    }

    /// `targets`, which were found for `model`, as far as they `can` do what is asked for, in the order in which this
    /// request asks them. `random` gives a number from 0 to below 1, another one each time; `cost` how long a target is
    /// expected to take.
    pub(crate) fn arrange(
        &self,
        model: &str,
        targets: Arc<[Target]>,
        asker: &Asker<'_>,
        can: &dyn Fn(&Target) -> bool,
        random: impl Fn() -> f64,
        cost: impl Fn(&Target) -> Duration,
    ) -> Arc<[Target]> {
        let Some(plan) = self.models.get(model).and_then(|model| model.plan.as_ref()) else {
            return able(targets, can);
        };
        let (usual, larger) = targets.split_at(plan.choices.len().min(targets.len()));
        let is_able = |place: usize| usual.get(place).is_some_and(can);
        let order = plan.order(asker, is_able, random, |place| usual.get(place).map_or(Duration::MAX, &cost));
        let larger = larger.iter().filter(|target| can(target));
        order.into_iter().filter_map(|place| usual.get(place)).chain(larger).cloned().collect()
    }

    /// The target that gets a copy of a request to `model`, drawn by `random`, a number from 0 to below 1.
    pub(crate) fn shadow(&self, model: &str, random: impl Fn() -> f64) -> Option<&Target> {
        let (target, percent) = self.models.get(model)?.shadow.as_ref()?;
        (random() * 100.0 < f64::from(*percent)).then_some(target)
    }

    /// The targets of `model`, best first, at least one; `pinned` leaves that provider only.
    pub(crate) fn find(&self, model: &str, pinned: Option<&str>) -> Result<Arc<[Target]>, NoRoute> {
        let pinned = match pinned {
            Some(name) => Some(self.position(name).ok_or_else(|| NoRoute::UnknownProvider(self.provider_names()))?),
            None => None,
        };
        let targets = self.all_targets(model);
        let targets = match pinned {
            None => targets,
            Some(provider) => {
                targets.iter().filter(|target| target.provider == provider && !target.larger).take(1).cloned().collect()
            }
        };
        if targets.is_empty() { Err(NoRoute::ModelNotFound(self.known_models())) } else { Ok(targets) }
    }

    /// The targets of a request that named no model: those of the model `default`, or the pinned provider's own
    /// default.
    pub(crate) fn find_default(&self, default: &str, pinned: Option<&str>) -> Result<Arc<[Target]>, NoRoute> {
        match (self.find(default, pinned), pinned.and_then(|name| self.position(name))) {
            (Err(NoRoute::ModelNotFound(_)), Some(provider)) => {
                let model = self.providers[provider].default_model.clone();
                Ok([Target { provider, label: self.labels[provider].of(&model), model, larger: false }].into())
            }
            (found, _) => found,
        }
    }

    /// Every model that can be asked for by a plain name, and the provider that a client is told owns it.
    pub(crate) fn listed(&self, usable: impl Fn(usize) -> bool) -> BTreeMap<&str, &str> {
        let mut listed = BTreeMap::new();
        for (index, provider) in self.providers.iter().enumerate().filter(|(index, _)| usable(*index)) {
            for name in provider.patterns.iter().filter_map(|pattern| NamePattern::of(pattern).name()) {
                listed.entry(name).or_insert(&*self.providers[index].name);
            }
        }
        for (name, Model { targets, .. }) in &self.models {
            let first = targets.iter().find(|target| usable(target.provider)).or(targets.first());
            if let Some(target) = first {
                listed.insert(name, &self.providers[target.provider].name);
            }
        }
        listed
    }

    fn all_targets(&self, model: &str) -> Arc<[Target]> {
        if let Some(model) = self.models.get(model) {
            return model.targets.clone();
        }
        if let Some((provider, name)) = model.split_once('/')
            && let Some(provider) = self.position(provider)
            && !name.is_empty()
        {
            let label = self.labels[provider].of(name);
            return [Target { provider, model: name.into(), label, larger: false }].into();
        }
        let name: Arc<str> = model.into();
        let serving = self.labels.iter().enumerate().filter_map(|(provider, labels)| {
            let label = labels.served(model)?;
            Some(Target { provider, model: name.clone(), label, larger: false })
        });
        serving.collect()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.providers.iter().position(|provider| provider.name == name)
    }

    fn provider_names(&self) -> Vec<String> {
        self.providers.iter().map(|provider| provider.name.clone()).collect()
    }

    fn known_models(&self) -> Vec<String> {
        let served =
            self.providers.iter().flat_map(|provider| provider.patterns.iter().map(|name| (**name).to_owned()));
        let mut known: Vec<String> = self.models.keys().cloned().chain(served).collect();
        known.sort_unstable();
        known.dedup();
        known
    }
}

/// Those of what `provider` serves, and of the targets of `models` at it.
fn labels_of(provider: &Served, models: &[(String, Route)]) -> Labels {
    let targets = models.iter().flat_map(|(_, Route { plan, larger, shadow })| {
        let shadow = shadow.iter().map(|(target, _)| target);
        plan.choices.iter().map(|choice| &choice.name).chain(larger).chain(shadow)
    });
    let here = |target: &'_ String| target.strip_prefix(&provider.name)?.strip_prefix('/').map(str::to_owned);
    let named: Vec<String> = targets.filter_map(here).collect();
    Labels::new(&provider.patterns, named.iter().map(String::as_str).chain([&*provider.default_model]))
}

#[cfg(test)]
mod tests;
