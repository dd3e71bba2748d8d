//! Why a response ended, in the words of a chat.

use serde_json::Value;

use crate::wire::json::{get, text};

/// The `finish_reason` of `response`, in which the caller's tools were called or not. One that failed was given up.
pub(super) fn reason(response: &Value, has_calls: bool) -> &'static str {
    match text(response, "status") {
        Some("failed" | "cancelled") => "error",
        Some("incomplete") => match get(response, "incomplete_details").and_then(|why| text(why, "reason")) {
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
        let incomplete = |why: &str| json!({"status": "incomplete", "incomplete_details": {"reason": why}});
        for (response, has_calls, expected) in [
            (json!({"status": "completed"}), false, "stop"),
            (json!({"status": "completed"}), true, "tool_calls"),
            (incomplete("max_output_tokens"), true, "length"),
            (incomplete("content_filter"), false, "content_filter"),
            (json!({"status": "incomplete"}), false, "length"),
        ] {
            assert_eq!(reason(&response, has_calls), expected, "{response}");
        }
        for status in ["failed", "cancelled"] {
            assert!(is_given_up(reason(&json!({"status": status}), false)), "{status}");
        }
    }
}
