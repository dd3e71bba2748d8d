//! What a request says about being answered from what is kept (RFC 9111, section 5.2.1).

use std::time::Duration;

use vx11_resilience::Priority;

/// What the cache may do for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    /// Whether it may be answered with what others asked for.
    pub(crate) reads: bool,
    /// Whether its answer may be kept.
    pub(crate) writes: bool,
    /// How old an answer may be.
    pub(crate) max_age: Option<Duration>,
    /// How urgent the request is: it does not wait for the call of one that is less so.
    pub(crate) priority: Priority,
}

impl Control {
    /// Reads the values of `Cache-Control`. What is not known, or cannot be read, is no wish.
    pub(crate) fn read<'v>(values: impl Iterator<Item = &'v str>) -> Self {
        let mut control = Self { reads: true, writes: true, max_age: None, priority: Priority::default() };
        for directive in values.flat_map(|value| value.split(',')) {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => return Self { reads: false, writes: false, max_age: None, ..control },
                "no-cache" => control.reads = false,
                "max-age" => control.max_age = argument.trim().trim_matches('"').parse().ok().map(Duration::from_secs),
                _ => {}
            }
        }
        // What is kept has some age.
        control.reads &= control.max_age != Some(Duration::ZERO);
        control
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_whatever_stands_around_them() {
        let read = |value: &str| {
            let Control { reads, writes, max_age, .. } = Control::read([value].into_iter());
            (reads, writes, max_age.map(|age| age.as_secs()))
        };
        assert_eq!(read(""), (true, true, None));
        assert_eq!(read("max-age=60, No-Cache"), (false, true, Some(60)));
        assert_eq!(read("no-cache,no-store"), (false, false, None));
        assert_eq!(read("max-age=\"5\""), (true, true, Some(5)));
        assert_eq!(read("max-age=0"), (false, true, Some(0)));
        assert_eq!(read("max-age=soon, private"), (true, true, None));
    }
}
