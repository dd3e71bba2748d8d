//! Tokens that one provider call spent, and what that costs.

use vx11_contracts::chat::Usage;

use super::money::Usd;
use super::tier::Tier;

/// Tokens of one call, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Tokens read, cached ones included.
    pub(crate) prompt: u64,
    /// Tokens of these that came from the provider's cache.
    pub(crate) cached: u64,
    /// Tokens of these that the provider put into its cache.
    pub(crate) cache_written: u64,
    /// Tokens of those that it keeps for an hour, not for minutes.
    pub(crate) cache_written_1h: u64,
    /// Tokens written, reasoning included.
    pub(crate) completion: u64,
    /// Tokens of these that are reasoning.
    pub(crate) reasoning: u64,
    /// How urgently they were served; of one call.
    pub(crate) tier: Tier,
}

/// More tokens of one kind than any call has; what is above it is a provider's mistake.
const MOST: u64 = 1 << 32;

impl Tokens {
    /// These, as far as one call can have had them: an absurd number must not be the end of sums that it goes into.
    #[must_use]
    pub(crate) fn believable(self) -> Self {
        Self {
            prompt: self.prompt.min(MOST),
            cached: self.cached.min(MOST),
            cache_written: self.cache_written.min(MOST),
            cache_written_1h: self.cache_written_1h.min(MOST),
            completion: self.completion.min(MOST),
            reasoning: self.reasoning.min(MOST),
            tier: self.tier,
        }
    }

    /// All that a limit counts.
    pub(crate) fn total(self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }

    /// Both together.
    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            prompt: self.prompt.saturating_add(other.prompt),
            cached: self.cached.saturating_add(other.cached),
            cache_written: self.cache_written.saturating_add(other.cache_written),
            cache_written_1h: self.cache_written_1h.saturating_add(other.cache_written_1h),
            completion: self.completion.saturating_add(other.completion),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            tier: other.tier,
        }
    }

    /// What is left without `other`.
    #[must_use]
    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            prompt: self.prompt.saturating_sub(other.prompt),
            cached: self.cached.saturating_sub(other.cached),
            cache_written: self.cache_written.saturating_sub(other.cache_written),
            cache_written_1h: self.cache_written_1h.saturating_sub(other.cache_written_1h),
            completion: self.completion.saturating_sub(other.completion),
            reasoning: self.reasoning.saturating_sub(other.reasoning),
            tier: self.tier,
        }
    }
}

/// What a provider has said of its tokens while its answer is not whole yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SoFar {
    /// Tokens until now; of those written perhaps but some.
    pub(crate) tokens: Tokens,
    /// Whether all that was written until now is counted.
    pub(crate) counts_written: bool,
}

impl SoFar {
    /// What was spent where `written` tokens were counted on their way: an estimate that stands in for what was not
    /// said.
    pub(crate) fn with_written(self, written: u64) -> Tokens {
        let said = self.tokens.completion;
        Tokens { completion: if self.counts_written { said } else { said.max(written) }, ..self.tokens }
    }
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self { prompt: usage.prompt_tokens, completion: usage.completion_tokens, ..Self::default() }
    }
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self { prompt_tokens: tokens.prompt, completion_tokens: tokens.completion, total_tokens: tokens.total() }
    }
}

/// What one token of each kind costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Price {
    /// A token read.
    pub(crate) input: Usd,
    /// A token read from the provider's cache.
    pub(crate) cached_input: Usd,
    /// A token read, and put into the provider's cache for minutes.
    pub(crate) cache_write: Usd,
    /// A token read, and put into the provider's cache for an hour.
    pub(crate) cache_write_1h: Usd,
    /// A token written.
    pub(crate) output: Usd,
    /// A token of reasoning.
    pub(crate) reasoning: Usd,
    /// What a call costs whose prompt is long, where that differs.
    pub(crate) long: Option<LongPrompts>,
    /// What all of it costs at another tier than the standard one.
    pub(crate) tiers: Tiers,
}

/// Thousandths of the list price at which a call is charged, for each tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiers {
    pub(crate) flex: u64,
    pub(crate) priority: u64,
    pub(crate) ultrafast: u64,
}

impl Tiers {
    /// All at the list price.
    pub(crate) const ALIKE: Self = Self { flex: 1000, priority: 1000, ultrafast: 1000 };

    const fn of(self, tier: Tier) -> u64 {
        match tier {
            Tier::Standard => 1000,
            Tier::Flex => self.flex,
            Tier::Priority => self.priority,
            Tier::Ultrafast => self.ultrafast,
        }
    }
}

/// How much dearer every token of a call is whose prompt is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongPrompts {
    /// Tokens read, cached ones included, that are not yet many.
    pub(crate) over: u64,
    /// Thousandths of the price of whatever is read.
    pub(crate) input_permille: u64,
    /// Thousandths of the price of whatever is written.
    pub(crate) output_permille: u64,
}

impl Price {
    /// What `tokens` cost. Details that exceed what they are a part of are cut to it.
    pub(crate) fn of(&self, tokens: Tokens) -> Usd {
        let cached = tokens.cached.min(tokens.prompt);
        let put = tokens.cache_written.min(tokens.prompt - cached);
        let put_1h = tokens.cache_written_1h.min(put);
        let reasoning = tokens.reasoning.min(tokens.completion);
        let read = self.input.times(tokens.prompt - cached - put).plus(self.cached_input.times(cached));
        let put = self.cache_write.times(put - put_1h).plus(self.cache_write_1h.times(put_1h));
        let written = self.output.times(tokens.completion - reasoning).plus(self.reasoning.times(reasoning));
        let listed = match self.long.filter(|long| tokens.prompt > long.over) {
            None => read.plus(put).plus(written),
            Some(long) => read.plus(put).permille(long.input_permille).plus(written.permille(long.output_permille)),
        };
        listed.permille(self.tiers.of(tokens.tier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picos([input, cached_input, cache_write, cache_write_1h, output, reasoning]: [u64; 6]) -> Price {
        let usd = Usd::from_picos;
        Price {
            input: usd(input),
            cached_input: usd(cached_input),
            cache_write: usd(cache_write),
            cache_write_1h: usd(cache_write_1h),
            output: usd(output),
            reasoning: usd(reasoning),
            long: None,
            tiers: Tiers { flex: 500, priority: 2500, ultrafast: 1000 },
        }
    }

    #[test]
    fn each_kind_of_token_has_its_own_price_and_is_paid_once() {
        let (prompt, cached, cache_written, cache_written_1h, completion, reasoning) = (100, 40, 30, 20, 30, 10);
        let tier = Tier::Standard;
        let tokens = Tokens { prompt, cached, cache_written, cache_written_1h, completion, reasoning, tier };
        let paid = [30 * 1000, 40 * 100, 10 * 1250, 20 * 2000, 20 * 7, 10 * 5].iter().sum();
        assert_eq!(picos([1000, 100, 1250, 2000, 7, 5]).of(tokens), Usd::from_picos(paid));
    }

    #[test]
    fn a_call_costs_what_its_tier_costs() {
        let cost = |tier| picos([1000, 100, 0, 0, 7, 5]).of(Tokens { prompt: 4, cached: 2, tier, ..Tokens::default() });
        let costs = [Tier::Standard, Tier::Flex, Tier::Priority, Tier::Ultrafast].map(|tier| cost(tier).picos());
        assert_eq!(costs, [2200, 1100, 5500, 2200]);
    }

    #[test]
    fn only_what_was_not_said_is_estimated() {
        let tokens = Tokens { prompt: 9, cached: 4, completion: 3, reasoning: 1, ..Tokens::default() };
        let completion = |counts_written, written| SoFar { tokens, counts_written }.with_written(written);
        assert_eq!(completion(true, 7), tokens);
        assert_eq!(completion(false, 7), Tokens { completion: 7, ..tokens });
        assert_eq!(completion(false, 1), tokens);
    }

    #[test]
    fn impossible_details_make_no_negative_cost() {
        let (prompt, cached, cache_written, cache_written_1h, completion, reasoning) = (1, 9, 9, 99, 1, 9);
        let tier = Tier::Standard;
        let tokens = Tokens { prompt, cached, cache_written, cache_written_1h, completion, reasoning, tier };
        assert_eq!(picos([1000, 100, 1250, 2000, 7, 5]).of(tokens), Usd::from_picos(105));
        assert_eq!(picos([1000, 100, 1250, 2000, 7, 5]).of(Tokens { cached: 0, ..tokens }), Usd::from_picos(2005));
    }
}
