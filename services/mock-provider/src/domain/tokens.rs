//! The token rule: a token is a word or a single other character, with the white space before it.
//!
//! It is simple enough to count by hand, and splitting loses nothing: the tokens of a text add up to the text.

/// Tokens that every message costs besides its text.
pub(crate) const PER_MESSAGE: u64 = 4;

/// Splits `text` into its tokens.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (token, after) = rest.split_at(end_of_first(rest));
        rest = after;
        Some(token)
    })
}

/// How many tokens `text` has.
pub(crate) fn count(text: &str) -> u64 {
    split(text).count() as u64
}

fn end_of_first(text: &str) -> usize {
    let start = text.find(|c: char| !c.is_whitespace()).unwrap_or(text.len());
    let word = text[start..].find(|c: char| !c.is_alphanumeric()).map_or(text.len(), |length| start + length);
    match text[start..].chars().next() {
        Some(first) if word == start => start + first.len_utf8(),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_and_other_characters_are_tokens() {
        let tokens: Vec<&str> = split("Hello, wörld!  ok ").collect();
        assert_eq!(tokens, ["Hello", ",", " wörld", "!", "  ok", " "]);
        assert_eq!(count(""), 0);
    }

    proptest! {
        #[test]
        fn tokens_add_up_to_the_text(text in "\\PC{0,80}") {
            prop_assert_eq!(split(&text).collect::<String>(), text.clone());
            prop_assert!(split(&text).all(|token| !token.is_empty()));
        }
    }
}
