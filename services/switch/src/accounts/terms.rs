//! What the configuration says of callers and prices. A changed configuration replaces it while the counters go on.

use anyhow::Context;
use vx11_chassis::config::Secrets;

use super::keys::Keys;
use super::prices::PriceTable;
use crate::config::SwitchConfig;

/// Who may call, and what things cost. A request ends on the terms that it began with.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(super) keys: Keys,
    pub(super) prices: PriceTable,
    /// Tokens that are reserved for an answer whose request names no limit.
    pub(super) assumed_output: u64,
}

impl Terms {
    /// Whether it can be counted what is spent on `model`: without a price that would be nothing, and a budget would
    /// never be spent.
    pub(crate) fn has_price(&self, model: &str) -> bool {
        self.prices.find(model).is_some()
    }

    /// The terms of `config`; limits that `before` had too keep their counters.
    ///
    /// # Errors
    /// When a key's secret cannot be used.
    pub(crate) fn new(config: &SwitchConfig, secrets: &Secrets, before: Option<&Self>) -> anyhow::Result<Self> {
        Ok(Self {
            keys: Keys::new(config, secrets, before.map(|before| &before.keys)).context("the callers' keys")?,
            prices: PriceTable::new(&config.prices),
            assumed_output: config.assumed_output_tokens,
        })
    }
}
