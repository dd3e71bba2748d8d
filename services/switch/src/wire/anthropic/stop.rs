//! Why an answer ended, in the words of both wires.

/// Anthropic's reason in OpenAI's word. What is not known counts as an ordinary end.
pub(super) fn to_openai(reason: &str) -> &'static str {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        _ => "stop",
    }
}

/// OpenAI's reason in Anthropic's word. Some servers say `stop` of an answer that calls tools.
pub(super) fn to_anthropic(reason: &str, calls_tools: bool) -> &'static str {
    match reason {
        "length" => "max_tokens",
        "content_filter" => "refusal",
        "tool_calls" | "function_call" => "tool_use",
        _ if calls_tools => "tool_use",
        _ => "end_turn",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_openais_comes_back_as_it_was() {
        for reason in ["stop", "length", "tool_calls", "content_filter"] {
            assert_eq!(to_openai(to_anthropic(reason, reason == "tool_calls")), reason);
        }
        assert_eq!(to_anthropic("stop", true), "tool_use");
        assert_eq!((to_openai("stop_sequence"), to_openai("pause_turn"), to_openai("new")), ("stop", "stop", "stop"));
    }
}
