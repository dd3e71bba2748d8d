//! How much of a conversation is sent along with a new message.

/// Bytes of text that are sent along. In JSON a byte becomes six at worst, which together with the request itself (at
/// most 256 KiB) stays below the 1 MiB that `/switch/chat` takes.
pub(crate) const MAX_BYTES: usize = 96 * 1024;

/// The newest exchanges that fit into `max_bytes` together, oldest first. None is cut, and none is left out of the
/// middle.
pub(crate) fn newest_that_fit(newest_first: Vec<(String, String)>, max_bytes: usize) -> Vec<(String, String)> {
    let mut left = max_bytes;
    let fits = |(asked, answered): &(String, String)| match left.checked_sub(asked.len() + answered.len()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let mut fitting: Vec<_> = newest_first.into_iter().take_while(fits).collect();
    fitting.reverse();
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(asked: &str, answered: &str) -> (String, String) {
        (asked.to_owned(), answered.to_owned())
    }

    #[test]
    fn the_oldest_are_dropped_first_and_nothing_older_than_what_does_not_fit_is_kept() {
        let newest_first = || vec![exchange("c", "33"), exchange("b", &"2".repeat(50)), exchange("a", "1")];
        assert_eq!(newest_that_fit(newest_first(), 56).len(), 3);
        let oldest_first = newest_that_fit(newest_first(), 55);
        assert_eq!((oldest_first[0].0.as_str(), oldest_first[1].0.as_str()), ("b", "c"));
        assert_eq!(newest_that_fit(newest_first(), 53), [exchange("c", "33")]);
        assert_eq!(newest_that_fit(newest_first(), 2), []);
    }
}
