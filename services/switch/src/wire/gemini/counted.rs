//! What was spent: Gemini counts thoughts beside the answer, and what tools put into the prompt beside the prompt.

use serde_json::Value;

use crate::accounts::Tier;
use crate::wire::json::{count, get};
use crate::wire::openai::Usage;

/// Reads `usageMetadata`; `None` where it says nothing.
pub(super) fn read(metadata: &Value) -> Option<Usage> {
    let says = |name: &str| get(metadata, name).is_some();
    (says("promptTokenCount") || says("candidatesTokenCount")).then(|| counts(metadata))
}

fn counts(metadata: &Value) -> Usage {
    let reasoning = count(metadata, "thoughtsTokenCount");
    Usage {
        prompt: count(metadata, "promptTokenCount").saturating_add(count(metadata, "toolUsePromptTokenCount")),
        cached: count(metadata, "cachedContentTokenCount"),
        cache_written: 0,
        cache_written_1h: 0,
        completion: count(metadata, "candidatesTokenCount").saturating_add(reasoning),
        reasoning,
        tier: Tier::Standard,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn thoughts_are_part_of_what_was_written() {
        let usage = read(&json!({
            "promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 7, "cachedContentTokenCount": 4,
            "toolUsePromptTokenCount": 1, "totalTokenCount": 21,
        }))
        .expect("it is said");
        let expected = json!({
            "prompt_tokens": 11, "completion_tokens": 10, "total_tokens": 21,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 7},
        });
        assert_eq!(usage.write(), expected);
        assert_eq!(read(&json!({"promptTokensDetails": []})), None);
    }
}
