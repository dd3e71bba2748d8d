//! Which generation of Claude a model is of, as its name says: what a request may not have depends on that.
//!
//! Sources: Anthropic's documentation, "Thinking", "Effort", "Structured outputs" and the migration guide of each
//! model.

/// A generation of Claude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    /// Such as 4 and 7; `None` where the name does not say it.
    version: Option<(u8, u8)>,
    family: Family,
}

/// The families whose generations differ in what they refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Opus,
    Sonnet,
    Haiku,
    Mythos,
    Other,
}

const FAMILIES: [(&str, Family); 4] =
    [("opus", Family::Opus), ("sonnet", Family::Sonnet), ("haiku", Family::Haiku), ("mythos", Family::Mythos)];

/// How little a model thinks that would think unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Least {
    /// This `thinking.type` keeps it from thinking before it answers. With more effort than `high` it is refused.
    Type(&'static str),
    /// It always thinks; the least effort makes it brief.
    Effort,
}

impl Generation {
    /// Of `model`, under its own name or under that of a cloud.
    pub(super) fn of(model: &str) -> Self {
        let name = model.to_ascii_lowercase();
        let own = name.split_once("claude").map_or("", |(_, own)| own);
        let family = FAMILIES.into_iter().find(|(word, _)| own.contains(word));
        let words = name.split(|character: char| !character.is_ascii_alphanumeric());
        let mut words = words.skip_while(|word| *word != "claude").skip(1);
        // What is longer is a date.
        let number = |word: &str| word.parse::<u8>().ok().filter(|_| word.len() <= 2);
        let major = words.by_ref().find_map(number);
        let version = major.map(|major| (major, words.next().and_then(number).unwrap_or_default()));
        Self { version, family: family.map_or(Family::Other, |(_, family)| family) }
    }

    /// Whether it decides by itself how much it thinks, and refuses both a budget for that and every wish about
    /// sampling.
    pub(super) fn is_adaptive(self) -> bool {
        self.is_from((4, 7))
    }

    /// Whether it thinks where a request does not speak of it.
    pub(super) fn thinks_unasked(self) -> bool {
        self.is_from((5, 0))
    }

    /// What a request says to one that thinks unasked so that it does as little of that as it can.
    pub(super) fn least(self) -> Least {
        match (self.family, self.version) {
            (Family::Sonnet, Some((5, 5..))) => Least::Type("between_tools"),
            (Family::Opus | Family::Sonnet, Some((5, 0..=4))) | (Family::Haiku, _) => Least::Type("disabled"),
            _ => Least::Effort,
        }
    }

    /// Whether it refuses that a tool must be called.
    pub(super) fn refuses_forced_tools(self) -> bool {
        self.version.is_some_and(|version| version >= (5, 1)) && self.family != Family::Haiku
    }

    /// Whether its answers and its tools can be constrained to a schema.
    pub(super) fn keeps_to_schemas(self) -> bool {
        self.version.is_none_or(|version| version >= (4, 1))
    }

    /// The first of Mythos had no number.
    fn is_from(self, first: (u8, u8)) -> bool {
        self.version.map_or(self.family == Family::Mythos, |version| version >= first)
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
    fn who_thinks_unasked_is_kept_from_it_each_in_its_own_way() {
        let (off, between) = (Least::Type("disabled"), Least::Type("between_tools"));
        for (model, least, refuses_forced_tools) in [
            ("claude-opus-5", off, false),
            ("claude-sonnet-5-20260601", off, false),
            ("anthropic/claude-haiku-5.5", off, false),
            ("claude-sonnet-5-5", between, true),
            ("us.anthropic.claude-opus-5-5", Least::Effort, true),
            ("claude-fable-5", Least::Effort, false),
            ("claude-fable-5-1", Least::Effort, true),
            ("claude-mythos-preview", Least::Effort, false),
        ] {
            let generation = Generation::of(model);
            assert!(generation.thinks_unasked(), "{model}");
            assert_eq!(
                (generation.least(), generation.refuses_forced_tools()),
                (least, refuses_forced_tools),
                "{model}"
            );
        }
        for model in ["claude-opus-4-8", "claude-haiku-4-5", "our-claude"] {
            let generation = Generation::of(model);
            assert_eq!((generation.thinks_unasked(), generation.refuses_forced_tools()), (false, false), "{model}");
        }
    }

    #[test]
    fn schemas_are_kept_to_since_the_first_that_came_with_them() {
        for (model, keeps) in [
            ("claude-3-7-sonnet-latest", false),
            ("claude-opus-4-20250514", false),
            ("claude-opus-4-1", true),
            ("claude-haiku-4-5", true),
            ("claude-mythos-preview", true),
            ("our-claude", true),
        ] {
            assert_eq!(Generation::of(model).keeps_to_schemas(), keeps, "{model}");
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
