//! `stream_options.include_usage`: whether the caller wants to see what a stream spent, and how the provider is asked
//! for it where the caller does not.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::domain::edit::Edit;

/// What is written for options that ask for nothing but the usage.
const ONLY_USAGE: &str = r#"{"include_usage":true}"#;

/// What a request says about its stream's usage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UsageWish {
    /// Whether the caller asked for it.
    pub(super) asked: bool,
    /// How to ask for it where the caller did not.
    pub(super) edit: Option<Edit>,
}

impl UsageWish {
    /// Reads the `options` of a stream, which stand at `span`; without any, they can be put in at `insert_at`, behind
    /// another field. `None`: they are no object, or `include_usage` is no truth value.
    pub(super) fn read(options: Option<(&RawValue, Range<usize>)>, insert_at: usize) -> Option<Self> {
        let Some((raw, span)) = options else {
            let text = format!(r#","stream_options":{ONLY_USAGE}"#);
            return Some(Self { asked: false, edit: Some(Edit { span: insert_at..insert_at, text }) });
        };
        let fields: Option<BTreeMap<String, &RawValue>> = serde_json::from_str(raw.get()).ok()?;
        let mut fields = fields.unwrap_or_default();
        let asked: Option<bool> = match fields.remove("include_usage") {
            Some(value) => serde_json::from_str(value.get()).ok()?,
            None => None,
        };
        if asked == Some(true) {
            return Some(Self { asked: true, edit: None });
        }
        let mut text = ONLY_USAGE.to_owned();
        if !fields.is_empty() {
            let others = serde_json::to_string(&fields).ok()?;
            text.truncate(text.len() - 1);
            text.push(',');
            text.push_str(&others[1..]);
        }
        Some(Self { asked: false, edit: Some(Edit { span, text }) })
    }
}

/// A field as it stands, `null` included, which `Option` would take for an absent one.
pub(super) fn even_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str) -> Option<UsageWish> {
        let raw: &RawValue = serde_json::from_str(options).expect("JSON");
        UsageWish::read(Some((raw, 0..options.len())), 0)
    }

    #[test]
    fn usage_is_asked_for_without_losing_other_options() {
        assert_eq!(read(r#"{"include_usage": true, "x": 1}"#), Some(UsageWish { asked: true, edit: None }));
        for (options, expected) in [
            ("null", r#"{"include_usage":true}"#),
            ("{}", r#"{"include_usage":true}"#),
            (r#"{"include_usage":null}"#, r#"{"include_usage":true}"#),
            (r#"{"x": 1.50, "include_usage": false}"#, r#"{"include_usage":true,"x":1.50}"#),
        ] {
            let wish = read(options).expect("readable");
            let edit = Edit { span: 0..options.len(), text: expected.to_owned() };
            assert_eq!((wish.asked, wish.edit), (false, Some(edit)), "{options}");
        }
        for wrong in ["[]", "true", r#"{"include_usage":"yes"}"#] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn options_that_are_absent_are_put_in_behind_another_field() {
        let edit = UsageWish::read(None, 9).expect("readable").edit.expect("an edit");
        assert_eq!((edit.span, edit.text.as_str()), (9..9, r#","stream_options":{"include_usage":true}"#));
    }
}
