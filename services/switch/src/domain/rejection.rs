//! What a provider has against a request, as far as that decides who else is asked.
//!
//! Sources: the error codes of OpenAI's, Azure's and OpenRouter's API references; the sentences of Anthropic, Gemini,
//! xAI, vLLM and llama.cpp, which have no code of their own for it.

use serde::Deserialize;
use serde_json::Value;

/// What the request is rejected for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// It is longer than the model reads; a larger one may.
    ContextLength,
    /// It asks for more tokens at once than its account has in a minute; another account may have more.
    Allowance,
    /// It offends the provider's policy. That is the caller's answer, and not a reason to ask around.
    ContentPolicy,
    /// It is forbidden with more than one key: not the keys are at fault, but what is asked, or all that they belong
    /// to.
    Forbidden,
}

/// What a limit of tokens is called. As a request that is too large it is Groq's 413, and OpenAI's 429 in these words.
const ALLOWANCE_CODES: [&str; 2] = ["rate_limit_exceeded", "tokens"];
const ALLOWANCE_SENTENCE: &str = "request too large for ";

const LENGTH_CODES: [&str; 3] = ["context_length_exceeded", "request_too_large", "exceed_context_size_error"];
const LENGTH_SENTENCES: [&str; 8] = [
    "maximum context length",
    "model's context length",
    "context window",
    "prompt is too long",
    "exceed context limit",
    "exceeds the maximum number of tokens",
    "context size",
    "maximum prompt length",
];
const POLICY_CODES: [&str; 7] = [
    "content_filter",
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "moderation_blocked",
    "content_policy",
    "invalid_prompt",
    "image_content_policy_violation",
];

/// What is said of a model, a file or another thing that the request names: OpenAI of models, Google of the others.
const UNREACHABLE_SENTENCES: [&str; 4] =
    ["not have access to model", "not have access to the model", "or it may not exist", "cachedcontent not found"];

/// Whether a provider's sentence, which forbids something, is about a thing that the request names. Then there is no
/// such thing for who asks; the key is a good one.
pub(crate) fn is_about_a_thing(sentence: &str) -> bool {
    let sentence = sentence.to_ascii_lowercase();
    // Google's way to say that an account may not do a thing at all, whatever the request names.
    let is_about_a_right = sentence.starts_with("permission '");
    !is_about_a_right && UNREACHABLE_SENTENCES.iter().any(|part| sentence.contains(part))
}

/// Whether a provider's sentence says that a request is too long for the model.
pub(crate) fn is_about_length(sentence: &str) -> bool {
    let sentence = sentence.to_ascii_lowercase();
    LENGTH_SENTENCES.iter().any(|part| sentence.contains(part))
}

/// Reads what a refusal of this status says; `None` where it is about something else.
pub(crate) fn classify(status: u16, body: &[u8]) -> Option<Rejection> {
    #[derive(Deserialize)]
    struct Body {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        #[serde(default)]
        code: Value,
        #[serde(default, rename = "type")]
        kind: Value,
        #[serde(default)]
        message: Value,
        #[serde(default)]
        innererror: Value,
        /// OpenRouter's, which has no code of its own for what its moderation has flagged.
        #[serde(default)]
        metadata: Value,
    }
    if !matches!(status, 400 | 403 | 413 | 422 | 429 | 451) {
        return None;
    }
    let Body { error } = serde_json::from_slice(body).ok()?;
    let lower = |value: &Value| value.as_str().unwrap_or_default().to_ascii_lowercase();
    let codes = [lower(&error.code), lower(&error.kind), lower(&error.innererror["code"])];
    let has = |known: &[&str]| codes.iter().any(|code| known.contains(&code.as_str()));
    let message = lower(&error.message);
    let is_too_large = status == 413 || (status == 429 && message.starts_with(ALLOWANCE_SENTENCE));
    let is_flagged = status == 403 && ["flagged_input", "reasons"].iter().any(|name| !error.metadata[name].is_null());
    if has(&POLICY_CODES) || is_flagged {
        Some(Rejection::ContentPolicy)
    } else if is_too_large && has(&ALLOWANCE_CODES) {
        Some(Rejection::Allowance)
    } else if !matches!(status, 403 | 429) && (has(&LENGTH_CODES) || is_about_length(&message)) {
        Some(Rejection::ContextLength)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_by_code_or_sentence() {
        use Rejection::{Allowance, ContentPolicy, ContextLength};
        let cases = [
            (400, r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#, Some(ContextLength)),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}}"#,
                Some(ContextLength),
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"The input exceeds the maximum number of tokens allowed"}}"#,
                Some(ContextLength),
            ),
            (413, r#"{"error":{"type":"request_too_large"}}"#, Some(ContextLength)),
            (
                413,
                r#"{"error":{"message":"Request too large for model `llama` on tokens per minute (TPM): Limit 6000, Requested 14368","type":"tokens","code":"rate_limit_exceeded"}}"#,
                Some(Allowance),
            ),
            (
                429,
                r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389.","type":"tokens","code":"rate_limit_exceeded"}}"#,
                Some(Allowance),
            ),
            (
                429,
                r#"{"error":{"message":"Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000.","type":"tokens","code":"rate_limit_exceeded"}}"#,
                None,
            ),
            (429, r#"{"error":{"message":"prompt is too long","code":"context_length_exceeded"}}"#, None),
            (400, r#"{"error":{"code":"content_filter","message":"x"}}"#, Some(ContentPolicy)),
            (
                400,
                r#"{"error":{"code":"x","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                Some(ContentPolicy),
            ),
            (403, r#"{"error":{"code":"content_policy_violation"}}"#, Some(ContentPolicy)),
            (403, r#"{"error":{"code":403,"metadata":{"reasons":["x"],"flagged_input":"y"}}}"#, Some(ContentPolicy)),
            (403, r#"{"error":{"code":403,"metadata":{"provider_name":"x"}}}"#, None),
            (403, r#"{"error":{"code":"context_length_exceeded"}}"#, None),
            (400, r#"{"error":{"code":"invalid_value","message":"temperature"}}"#, None),
            (500, r#"{"error":{"code":"content_filter"}}"#, None),
            (400, "<html>", None),
            (400, r#"{"error":"text"}"#, None),
        ];
        for (status, body, expected) in cases {
            assert_eq!(classify(status, body.as_bytes()), expected, "{status} {body}");
        }
    }
}
