//! Names of models as a configuration writes them: one name, or all that begin alike, with a `*` at the end.

/// What one text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamePattern<'t> {
    /// This name.
    Name(&'t str),
    /// Every name that begins with this; what stands before the `*`.
    Beginning(&'t str),
}

impl<'t> NamePattern<'t> {
    /// What `text` stands for.
    pub(crate) fn of(text: &'t str) -> Self {
        text.strip_suffix('*').map_or(Self::Name(text), Self::Beginning)
    }

    /// Whether it stands for `name`.
    pub(crate) fn fits(self, name: &str) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Beginning(beginning) => name.starts_with(beginning),
        }
    }

    /// The name, where it stands for one only.
    pub(crate) fn name(self) -> Option<&'t str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Beginning(_) => None,
        }
    }

    /// Whether it says what it means: a `*` anywhere but at the end stands for nothing.
    pub(crate) fn is_sound(self) -> bool {
        let (Self::Name(text) | Self::Beginning(text)) = self;
        !text.contains('*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_ending_and_for_none() {
        for (pattern, name, fits) in [
            ("gpt-4", "gpt-4", true),
            ("gpt-4", "gpt-4o", false),
            ("gpt-*", "gpt-4o", true),
            ("gpt-*", "gpt-", true),
            ("gpt-*", "gpt", false),
            ("*", "", true),
            ("*", "vendor/anything", true),
        ] {
            assert_eq!(NamePattern::of(pattern).fits(name), fits, "{pattern} {name}");
        }
        assert_eq!((NamePattern::of("gpt-4").name(), NamePattern::of("gpt-*").name()), (Some("gpt-4"), None));
    }

    #[test]
    fn a_star_elsewhere_is_a_mistake() {
        for (pattern, is_sound) in [("gpt-*", true), ("*", true), ("gpt", true), ("g*t", false), ("gpt-**", false)] {
            assert_eq!(NamePattern::of(pattern).is_sound(), is_sound, "{pattern}");
        }
    }
}
