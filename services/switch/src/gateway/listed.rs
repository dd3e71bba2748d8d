//! The models that the configuration names. What is learnt about them is looked up once, and kept for as long as the
//! configuration is in force.

use std::sync::{Arc, OnceLock};

use crate::domain::routing::{Labels, Target};
use crate::providers::{ModelLive, Registry};

/// One place for each label, by provider in registry order; filled when its model is first asked.
#[derive(Debug)]
pub(crate) struct Listed(Vec<Box<[OnceLock<Arc<ModelLive>>]>>);

impl Listed {
    /// For models of these labels; nothing is looked up yet.
    pub(crate) fn new(labels: &[Labels]) -> Self {
        Self(labels.iter().map(|labels| labels.all().iter().map(|_| OnceLock::new()).collect()).collect())
    }

    /// What is learnt about the model of `target`.
    pub(super) fn live(&self, registry: &Registry, target: &Target) -> Arc<ModelLive> {
        let Target { provider, model, label, .. } = target;
        let look_up = || registry.get(*provider).live.model(model, label);
        // A pattern is the label of many.
        let place = self.0.get(*provider).and_then(|places| places.get(label.place)).filter(|_| **model == **label);
        place.map_or_else(look_up, |place| place.get_or_init(look_up).clone())
    }
}
