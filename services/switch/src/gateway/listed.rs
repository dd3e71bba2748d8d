//! What belongs to the labels of models: their counters and, of models that the configuration names, what is learnt
//! about them. It is looked up once, and kept for as long as the configuration is in force.

use std::sync::{Arc, OnceLock};

use crate::accounts::{Accounts, ModelSpent};
use crate::domain::routing::{Labels, Target};
use crate::providers::{ModelLive, Provider, Registry};

/// By provider in registry order.
#[derive(Debug)]
pub(crate) struct Listed(Vec<OfProvider>);

/// By the places of labels.
#[derive(Debug)]
struct OfProvider {
    /// Filled when the model is first asked.
    live: Box<[OnceLock<Arc<ModelLive>>]>,
    spent: Box<[ModelSpent]>,
}

impl Listed {
    /// For models of these labels; nothing is learnt about them yet.
    pub(crate) fn new(registry: &Registry, labels: &[Labels], accounts: &Accounts) -> Self {
        let of_provider = |(provider, labels): (&Arc<Provider>, &Labels)| OfProvider {
            live: labels.all().iter().map(|_| OnceLock::new()).collect(),
            spent: accounts.expect_models(&provider.name, labels),
        };
        Self(registry.all().iter().zip(labels).map(of_provider).collect())
    }

    /// What is learnt about the model of `target`.
    pub(super) fn live(&self, registry: &Registry, target: &Target) -> Arc<ModelLive> {
        let Target { provider, model, label, .. } = target;
        let look_up = || registry.get(*provider).live.model(model, label);
        // A pattern is the label of many.
        if **model != **label {
            return look_up();
        }
        self.0[*provider].live[label.place].get_or_init(look_up).clone()
    }

    /// What is counted of what the model of `target` costs.
    pub(super) fn spent(&self, target: &Target) -> &ModelSpent {
        &self.0[target.provider].spent[target.label.place]
    }
}
