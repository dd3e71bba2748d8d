//! Changes of a JSON text that leave every other byte as it was written.

use std::ops::Range;

use bytes::Bytes;

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// What is replaced; empty where something is put in.
    pub(super) span: Range<usize>,
    /// What takes its place.
    pub(super) text: String,
}

/// Where `part`, a slice of `whole`, begins and ends in it.
pub(super) fn span_of(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

/// `body` with these edits, which do not overlap; where there are none, it is not even copied.
pub(super) fn edited<const MOST: usize>(body: &Bytes, mut edits: [Option<&Edit>; MOST]) -> Bytes {
    if edits.iter().all(Option::is_none) {
        return body.clone();
    }
    edits.sort_by_key(|edit| edit.map(|edit| edit.span.start));
    let edits = edits.into_iter().flatten();
    let added: usize = edits.clone().map(|edit| edit.text.len()).sum();
    let mut changed = Vec::with_capacity(body.len() + added);
    let mut copied = 0;
    for Edit { span, text } in edits {
        changed.extend_from_slice(&body[copied..span.start]);
        changed.extend_from_slice(text.as_bytes());
        copied = span.end;
    }
    changed.extend_from_slice(&body[copied..]);
    changed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(span: Range<usize>, text: &str) -> Edit {
        Edit { span, text: text.to_owned() }
    }

    #[test]
    fn edits_are_made_in_the_order_of_the_text() {
        let body = Bytes::from_static(b"abcdef");
        let (late, early, between) = (edit(4..6, "XYZ"), edit(0..1, ""), edit(3..3, "-"));
        assert_eq!(edited(&body, [Some(&late), None, Some(&early), Some(&between)]), "bc-dXYZ");
    }

    #[test]
    fn without_edits_it_is_the_very_text() {
        let body = Bytes::from_static(b"abcdef");
        assert_eq!(edited(&body, [None, None]).as_ptr(), body.as_ptr());
    }

    #[test]
    fn a_slice_is_found_where_it_stands() {
        let whole = "abcabc";
        assert_eq!(span_of(whole, &whole[3..5]), 3..5);
    }
}
