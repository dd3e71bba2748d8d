//! Which generation of Claude a model is of, as its name says: what a request may not have depends on that.
//!
//! Sources: Anthropic's documentation, "Thinking", "Effort" and "Migration guide".

/// A generation of Claude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    /// Such as 4 and 7; `None` where the name does not say it.
    version: Option<(u8, u8)>,
    is_mythos: bool,
}

impl Generation {
    /// Of `model`, under its own name or under that of a cloud.
    pub(super) fn of(model: &str) -> Self {
        let name = model.to_ascii_lowercase();
        let words = name.split(|character: char| !character.is_ascii_alphanumeric());
        let mut words = words.skip_while(|word| *word != "claude").skip(1);
        // What is longer is a date.
        let number = |word: &str| word.parse::<u8>().ok().filter(|_| word.len() <= 2);
        let major = words.by_ref().find_map(number);
        let version = major.map(|major| (major, words.next().and_then(number).unwrap_or_default()));
        Self { version, is_mythos: name.contains("claude-mythos") }
    }

    /// Whether it decides by itself how much it thinks, and refuses both a budget for that and every wish about sampling.
    pub(super) fn is_adaptive(self) -> bool {
        self.is_mythos || self.version.is_some_and(|version| version >= (4, 7))
    }

    /// Whether it may refuse `temperature` and `top_p` together.
    pub(super) fn takes_one_sampler(self) -> bool {
        self.version.is_none_or(|version| version >= (4, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_generation_it_is() {
        for (model, version, is_adaptive) in [
            ("claude-3-5-sonnet-20241022", Some((3, 5)), false),
            ("claude-sonnet-4-20250514", Some((4, 0)), false),
            ("claude-sonnet-4@20250514", Some((4, 0)), false),
            ("claude-opus-4-1-20250805", Some((4, 1)), false),
            ("claude-haiku-4-5", Some((4, 5)), false),
            ("claude-sonnet-4-6", Some((4, 6)), false),
            ("claude-opus-4-7", Some((4, 7)), true),
            ("anthropic/claude-opus-4.8", Some((4, 8)), true),
            ("us.anthropic.claude-opus-4-7-v1:0", Some((4, 7)), true),
            ("claude-opus-5", Some((5, 0)), true),
            ("claude-sonnet-5-20260601", Some((5, 0)), true),
            ("claude-fable-5-1", Some((5, 1)), true),
            ("claude-mythos-preview", None, true),
            ("our-claude", None, false),
            ("gpt-5", None, false),
        ] {
            let generation = Generation::of(model);
            assert_eq!((generation.version, generation.is_adaptive()), (version, is_adaptive), "{model}");
        }
    }

    #[test]
    fn who_took_both_samplers_still_does() {
        let both = ["claude-3-7-sonnet-latest", "claude-opus-4-20250514"];
        let one = ["claude-opus-4-1", "claude-sonnet-4-5", "our-claude"];
        assert!(both.iter().all(|model| !Generation::of(model).takes_one_sampler()));
        assert!(one.iter().all(|model| Generation::of(model).takes_one_sampler()));
    }
}
