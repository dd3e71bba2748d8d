//! How two answers to the same request differ.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use similar::TextDiff;
use vx11_contracts::chat::ChatResponse;
use vx11_contracts::operator::{Difference, Turn};

/// Compares a stored answer with a new one.
pub(crate) fn compare(before: &Turn, after: &ChatResponse) -> Difference {
    let identical = before.response == after.response;
    let unified_diff = if identical {
        String::new()
    } else {
        TextDiff::from_lines(&before.response, &after.response)
            .unified_diff()
            .header("original", "replayed")
            .to_string()
    };
    let words = TextDiff::from_words(&before.response, &after.response);
    Difference {
        identical,
        similarity: f64::from(words.ratio()),
        unified_diff,
        fields: changed_fields(before, after),
        latency_delta_ms: signed(after.latency_ms) - signed(before.latency_ms),
    }
}

fn changed_fields(before: &Turn, after: &ChatResponse) -> BTreeMap<String, [Value; 2]> {
    let pairs = [
        ("provider", json!(before.provider), json!(after.provider)),
        ("model_used", json!(before.model_used), json!(after.model_used)),
        ("status", json!(before.status), json!(after.status)),
        ("degraded", json!(before.degraded), json!(after.degraded)),
        ("fallback_source", json!(before.fallback_source), json!(after.fallback_source)),
        ("usage", json!(before.usage), json!(after.usage)),
    ];
    let changed = pairs.into_iter().filter(|(_, before, after)| before != after);
    changed.map(|(name, before, after)| (name.to_owned(), [before, after])).collect()
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
