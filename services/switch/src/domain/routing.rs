//! Where a model name leads: to an ordered list of targets.
//!
//! In this order: a configured name leads to its targets; `provider/model` to that one; a name that providers serve to
//! each of them, in the order of their names. Anything else leads nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The label of models that only a caller's own spelling names, so that metrics stay bounded.
const OTHER_MODELS: &str = "other";

/// One model at one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The provider's place in the registry.
    pub(crate) provider: usize,
    /// What the provider is asked for.
    pub(crate) model: Arc<str>,
    /// The model in metrics: a name or pattern of the configuration.
    pub(crate) label: Arc<str>,
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

/// The routes of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    providers: Vec<Served>,
    models: BTreeMap<String, Arc<[Target]>>,
}

impl Routes {
    /// Routes over `providers` in registry order; `models` names `(provider, model)` pairs, and whether each is for longer
    /// requests. Pairs of providers that are not in the registry are left out.
    pub(crate) fn new<'t>(
        providers: Vec<Served>,
        models: impl IntoIterator<Item = (String, Vec<((&'t str, &'t str), bool)>)>,
    ) -> Self {
        let mut routes = Self { providers, models: BTreeMap::new() };
        for (name, targets) in models {
            let targets = targets.into_iter().filter_map(|((provider, model), larger)| {
                // A configured target is bounded by the configuration: its own name is its label.
                let model: Arc<str> = model.into();
                Some(Target { provider: routes.position(provider)?, label: model.clone(), model, larger })
            });
            let targets = targets.collect();
            routes.models.insert(name, targets);
        }
        routes
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

    /// The targets of a request that named no model: those of the model `default`, or the pinned provider's own default.
    pub(crate) fn find_default(&self, default: &str, pinned: Option<&str>) -> Result<Arc<[Target]>, NoRoute> {
        match (self.find(default, pinned), pinned.and_then(|name| self.position(name))) {
            (Err(NoRoute::ModelNotFound(_)), Some(provider)) => {
                let model = self.providers[provider].default_model.clone();
                Ok([Target { provider, label: model.clone(), model, larger: false }].into())
            }
            (found, _) => found,
        }
    }

    /// Every model that can be asked for by a plain name, and the provider that a client is told owns it.
    pub(crate) fn listed(&self, usable: impl Fn(usize) -> bool) -> BTreeMap<&str, &str> {
        let mut listed = BTreeMap::new();
        for (index, provider) in self.providers.iter().enumerate().filter(|(index, _)| usable(*index)) {
            for name in provider.patterns.iter().filter(|pattern| !pattern.ends_with('*')) {
                listed.entry(&**name).or_insert(&*self.providers[index].name);
            }
        }
        for (name, targets) in &self.models {
            let first = targets.iter().find(|target| usable(target.provider)).or(targets.first());
            if let Some(target) = first {
                listed.insert(name, &self.providers[target.provider].name);
            }
        }
        listed
    }

    fn all_targets(&self, model: &str) -> Arc<[Target]> {
        if let Some(targets) = self.models.get(model) {
            return targets.clone();
        }
        if let Some((provider, name)) = model.split_once('/')
            && let Some(provider) = self.position(provider)
            && !name.is_empty()
        {
            let label = self.served(provider, name).cloned().unwrap_or_else(|| OTHER_MODELS.into());
            return [Target { provider, model: name.into(), label, larger: false }].into();
        }
        let name: Arc<str> = model.into();
        let serving = (0..self.providers.len()).filter_map(|provider| {
            let label = self.served(provider, model)?.clone();
            Some(Target { provider, model: name.clone(), label, larger: false })
        });
        serving.collect()
    }

    /// The pattern by which a provider serves `model`.
    fn served(&self, provider: usize, model: &str) -> Option<&Arc<str>> {
        self.providers[provider].patterns.iter().find(|pattern| match pattern.strip_suffix('*') {
            Some(stem) => model.starts_with(stem),
            None => &***pattern == model,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn served(name: &str, patterns: &[&str], default_model: &str) -> Served {
        let patterns = patterns.iter().map(|pattern| (*pattern).into()).collect();
        Served { name: name.to_owned(), patterns, default_model: default_model.into() }
    }

    fn routes() -> Routes {
        let providers = vec![served("a", &["llama", "gpt-*"], "llama"), served("b", &["llama", "meta/llama"], "llama")];
        let models = [
            ("default".to_owned(), vec![(("a", "llama"), false), (("gone", "x"), false)]),
            ("both".to_owned(), vec![(("b", "llama"), false), (("a", "gpt-4"), false)]),
        ];
        Routes::new(providers, models)
    }

    fn names(found: Result<Arc<[Target]>, NoRoute>) -> Vec<String> {
        let routes = routes();
        let name =
            |target: &Target| format!("{}/{} {}", routes.providers[target.provider].name, target.model, target.label);
        found.expect("a route").iter().map(name).collect()
    }

    #[test]
    fn a_configured_name_leads_to_its_targets_in_order() {
        assert_eq!(names(routes().find("both", None)), ["b/llama llama", "a/gpt-4 gpt-4"]);
        assert_eq!(names(routes().find("default", None)), ["a/llama llama"], "a provider that is off is left out");
    }

    #[test]
    fn a_served_name_leads_to_everyone_who_serves_it() {
        assert_eq!(names(routes().find("llama", None)), ["a/llama llama", "b/llama llama"]);
        assert_eq!(names(routes().find("meta/llama", None)), ["b/meta/llama meta/llama"]);
    }

    #[test]
    fn what_callers_choose_freely_is_labelled_by_its_pattern() {
        assert_eq!(names(routes().find("gpt-4o", None)), ["a/gpt-4o gpt-*"]);
        assert_eq!(names(routes().find("b/anything", None)), ["b/anything other"]);
    }

    #[test]
    fn a_pin_leaves_one_target() {
        assert_eq!(names(routes().find("both", Some("a"))), ["a/gpt-4 gpt-4"]);
        assert_eq!(names(routes().find_default("default", Some("b"))), ["b/llama llama"], "its own default");
        let known = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(routes().find("llama", Some("c")), Err(NoRoute::UnknownProvider(known.clone())));
        assert_eq!(routes().find_default("default", Some("c")), Err(NoRoute::UnknownProvider(known)));
        assert!(matches!(routes().find("gpt-4o", Some("b")), Err(NoRoute::ModelNotFound(_))));
    }

    #[test]
    fn an_unknown_model_names_the_known_ones() {
        let known = ["both", "default", "gpt-*", "llama", "meta/llama"].map(str::to_owned).to_vec();
        for model in ["nothing", "", "a/", "/llama"] {
            assert_eq!(routes().find(model, None), Err(NoRoute::ModelNotFound(known.clone())), "{model}");
        }
    }

    #[test]
    fn the_list_has_plain_names_of_usable_providers_and_all_configured_ones() {
        let routes = routes();
        let listed: Vec<_> = routes.listed(|provider| provider == 1).into_iter().collect();
        assert_eq!(listed, [("both", "b"), ("default", "a"), ("llama", "b"), ("meta/llama", "b")]);
    }
}
