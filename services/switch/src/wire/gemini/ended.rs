//! Why an answer ended.

use crate::wire::Malformed;

/// Gemini's reason in OpenAI's word. Some reasons say that the model failed: what came is no answer then.
pub(super) fn reason(reason: &str, calls_tools: bool) -> Result<&'static str, Malformed> {
    match reason {
        "STOP" if calls_tools => Ok("tool_calls"),
        "STOP" => Ok("stop"),
        "MAX_TOKENS" => Ok("length"),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Ok("content_filter"),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_models_is_no_end() {
        assert_eq!((reason("STOP", false), reason("STOP", true)), (Ok("stop"), Ok("tool_calls")));
        assert_eq!((reason("MAX_TOKENS", false), reason("SAFETY", false)), (Ok("length"), Ok("content_filter")));
        for failed in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", ""] {
            assert_eq!(reason(failed, true), Err(Malformed), "{failed}");
        }
    }
}
