//! Why a response ended, in the words of a chat.

use serde_json::Value;

use crate::wire::json::{get, text};

/// The `finish_reason` of `response`, which has this status and in which the caller's tools were called or not. One
/// that failed was given up.
pub(super) fn reason(status: &str, response: &Value, has_calls: bool) -> &'static str {
    match status {
        "failed" | "cancelled" => "error",
        "incomplete" => match get(response, "incomplete_details").and_then(|why| text(why, "reason")) {
            Some("content_filter") => "content_filter",
            _ => "length",
        },
        _ if has_calls => "tool_calls",
        _ => "stop",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ending::is_given_up;

    #[test]
    fn every_end_has_its_word() {
        let incomplete = |why: &str| json!({"incomplete_details": {"reason": why}});
        for (status, response, has_calls, expected) in [
            ("completed", json!({}), false, "stop"),
            ("completed", json!({}), true, "tool_calls"),
            ("incomplete", incomplete("max_output_tokens"), true, "length"),
            ("incomplete", incomplete("content_filter"), false, "content_filter"),
            ("incomplete", json!({}), false, "length"),
        ] {
            assert_eq!(reason(status, &response, has_calls), expected, "{status} {response}");
        }
        for status in ["failed", "cancelled"] {
            assert!(is_given_up(reason(status, &json!({}), false)), "{status}");
        }
    }
}
