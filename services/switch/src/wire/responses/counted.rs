//! What was spent, as a response reports it.

use serde_json::Value;

use crate::wire::json::{count, get};
use crate::wire::openai::Usage;

/// What `response` says was spent; `None` where it does not.
pub(super) fn usage(response: &Value) -> Option<Usage> {
    let usage = get(response, "usage")?;
    get(usage, "input_tokens").or_else(|| get(usage, "output_tokens"))?;
    let detail = |of: &str, name: &str| get(usage, of).map_or(0, |details| count(details, name));
    Some(Usage {
        prompt: count(usage, "input_tokens"),
        cached: detail("input_tokens_details", "cached_tokens"),
        cache_written: detail("input_tokens_details", "cache_write_tokens"),
        completion: count(usage, "output_tokens"),
        reasoning: detail("output_tokens_details", "reasoning_tokens"),
        ..Usage::default()
    })
}

/// `said`, a completion or a chunk, with how urgently `response` was served: that has its price.
pub(super) fn served(response: &Value, mut said: Value) -> Value {
    if let Some(tier) = get(response, "service_tier") {
        said["service_tier"] = tier.clone();
    }
    said
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn details_are_counted_within_the_whole() {
        let reported = json!({"usage": {
            "input_tokens": 90, "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 5},
            "output_tokens": 40, "output_tokens_details": {"reasoning_tokens": 30}, "total_tokens": 130,
        }});
        let expected =
            Usage { prompt: 90, cached: 60, cache_written: 5, completion: 40, reasoning: 30, ..Usage::default() };
        assert_eq!(usage(&reported), Some(expected));
        assert_eq!([json!({}), json!({"usage": null}), json!({"usage": {}})].map(|none| usage(&none)), [None; 3]);
    }
}
