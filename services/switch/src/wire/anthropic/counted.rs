//! What was spent, in the counting of both wires: Anthropic counts cached tokens beside the prompt, OpenAI within it.

use serde_json::{Value, json};

use crate::accounts::Tier;
use crate::wire::json::{get, text};
use crate::wire::openai::Usage;

/// Takes Anthropic's numbers into `usage`; a stream reports them bit by bit, each time the whole so far. What an event
/// does not say stands: for how long the cache keeps what was written, only the first one says.
pub(super) fn take(usage: &mut Usage, reported: &Value) {
    let said = |of: &Value, name: &str| get(of, name).and_then(Value::as_u64);
    let beside = |usage: &Usage| usage.cached.saturating_add(usage.cache_written);
    let read = said(reported, "input_tokens").unwrap_or_else(|| usage.prompt.saturating_sub(beside(usage)));
    let kept = get(reported, "cache_creation").and_then(|kept| said(kept, "ephemeral_1h_input_tokens"));
    usage.cached = said(reported, "cache_read_input_tokens").unwrap_or(usage.cached);
    usage.cache_written = said(reported, "cache_creation_input_tokens").unwrap_or(usage.cache_written);
    usage.cache_written_1h = kept.unwrap_or(usage.cache_written_1h);
    usage.prompt = read.saturating_add(beside(usage));
    usage.completion = said(reported, "output_tokens").unwrap_or(usage.completion);
    // Its `service_tier` says what is used up of what was bought before, and costs nothing by itself.
    if text(reported, "speed") == Some("fast") {
        usage.tier = Tier::Priority;
    }
}

/// Whether it is said what was written: the last word on a message.
pub(super) fn says_written(reported: &Value) -> bool {
    get(reported, "output_tokens").is_some()
}

/// OpenAI's numbers as Anthropic has them.
pub(super) fn write(usage: Usage) -> Value {
    let beside = usage.cached.saturating_add(usage.cache_written);
    let mut written = json!({
        "input_tokens": usage.prompt.saturating_sub(beside),
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.completion,
    });
    if usage.cache_written_1h > 0 {
        written["cache_creation"] = json!({
            "ephemeral_5m_input_tokens": usage.cache_written.saturating_sub(usage.cache_written_1h),
            "ephemeral_1h_input_tokens": usage.cache_written_1h,
        });
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_are_counted_once() {
        let reported = json!({"input_tokens": 5, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 7, "output_tokens": 3});
        let mut usage = Usage::default();
        take(&mut usage, &reported);
        assert_eq!((usage.prompt, usage.cached, usage.cache_written, usage.completion), (102, 90, 7, 3));
        assert_eq!(write(usage), reported);
        assert_eq!(Usage::read(&usage.write()), Some(usage));
    }

    #[test]
    fn what_is_cached_for_an_hour_is_told_apart() {
        let kept = json!({"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4});
        let reported = json!({"input_tokens": 5, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 7, "output_tokens": 3, "cache_creation": kept});
        let mut usage = Usage::default();
        take(&mut usage, &reported);
        assert_eq!((usage.prompt, usage.cache_written, usage.cache_written_1h), (12, 7, 4));
        assert_eq!(write(usage), reported);
        assert_eq!(Usage::read(&usage.write()), Some(usage));
    }

    #[test]
    fn a_stream_reports_what_it_has_spent_bit_by_bit() {
        let mut usage = Usage::default();
        take(&mut usage, &json!({"input_tokens": 5, "output_tokens": 1}));
        take(&mut usage, &json!({"output_tokens": 42}));
        assert_eq!((usage.prompt, usage.completion), (5, 42));
    }

    #[test]
    fn what_was_served_fast_is_told_so_as_far_as_the_bill() {
        let mut usage = Usage::default();
        take(&mut usage, &json!({"input_tokens": 5, "output_tokens": 1, "speed": "fast", "service_tier": "priority"}));
        take(&mut usage, &json!({"output_tokens": 42}));
        assert_eq!((usage.tier, Usage::read(&usage.write())), (Tier::Priority, Some(usage)));
        let mut standard = Usage::default();
        take(&mut standard, &json!({"input_tokens": 5, "speed": "standard", "service_tier": "priority"}));
        assert_eq!(standard.tier, Tier::Standard);
    }

    #[test]
    fn the_end_of_a_stream_does_not_take_back_what_only_its_beginning_said() {
        let mut usage = Usage::default();
        let kept = json!({"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 7});
        take(
            &mut usage,
            &json!({"input_tokens": 5, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 7, "output_tokens": 1, "cache_creation": kept}),
        );
        let begun = usage;
        take(
            &mut usage,
            &json!({"input_tokens": 5, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 7, "output_tokens": 42}),
        );
        assert_eq!(usage, Usage { completion: 42, ..begun });
        take(&mut usage, &json!({"input_tokens": 6, "output_tokens": 43}));
        assert_eq!(usage, Usage { prompt: 103, completion: 43, ..begun });
        assert_eq!((usage.cached, usage.cache_written, usage.cache_written_1h), (90, 7, 7));
    }
}
