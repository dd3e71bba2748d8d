//! Errors in the place of an answer's events. The head has said 200 by then, so what they mean is in their words alone.

use serde_json::{Value, json};

use super::ProviderError;
use crate::wire::json::{get, text};
use crate::wire::{Wire, translate_error};

/// What an error means whose words say nothing more.
const UNKNOWN: u16 = 500;

/// Reads the payload of an event of the wire `from`, in which a provider reports an error; one that is `named` so says
/// it in its name already. `None`: it is something else.
pub(crate) fn in_stream(data: &[u8], named: bool, from: Wire) -> Option<ProviderError> {
    let Ok(body) = serde_json::from_slice::<Value>(data) else {
        return named.then(|| ProviderError::unreadable(UNKNOWN));
    };
    // A response has its error within it.
    let error = match get(&body, "error").or_else(|| get(get(&body, "response")?, "error")) {
        Some(error) => error,
        None if named => &body,
        None => return None,
    };
    let status = meaning(error);
    Some(match error.as_str().or_else(|| text(error, "message")) {
        // Without what may stand beside it, such as the rest of a chunk.
        Some(_) if error.is_object() => translate_error(status, json!({"error": error}).to_string().as_bytes(), from),
        Some(message) => ProviderError::new(status, message),
        None => ProviderError::unreadable(status),
    })
}

/// The status that the error would have had: its number, else what its words mean.
fn meaning(error: &Value) -> u16 {
    let said = || ["code", "status", "type"].into_iter().filter_map(|name| get(error, name));
    let number = |value: &Value| {
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        u16::try_from(number).ok().filter(|status| (400..=599).contains(status))
    };
    let word = |value: &Value| status(&value.as_str()?.to_ascii_lowercase());
    said().find_map(number).or_else(|| said().find_map(word)).unwrap_or(UNKNOWN)
}

/// Words of OpenAI, Anthropic, Google and the servers that speak like them.
fn status(word: &str) -> Option<u16> {
    Some(match word {
        "invalid_request_error"
        | "invalid_argument"
        | "badrequesterror"
        | "context_length_exceeded"
        | "content_filter"
        | "content_policy_violation"
        | "invalid_prompt"
        | "image_content_policy_violation" => 400,
        "authentication_error" | "unauthenticated" | "invalid_api_key" => 401,
        "billing_error" | "insufficient_balance" => 402,
        "permission_error" | "permission_denied" => 403,
        "not_found_error" | "model_not_found" => 404,
        "request_too_large" => 413,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "resource_exhausted"
        | "insufficient_quota"
        | "too_many_requests"
        | "requests"
        | "tokens" => 429,
        "overloaded_error"
        | "overloaded"
        | "engine_overloaded"
        | "server_overloaded"
        | "server_is_overloaded"
        | "slow_down"
        | "service_unavailable"
        | "service_unavailable_error"
        | "unavailable" => 503,
        "timeout_error" | "deadline_exceeded" => 504,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(body: &str, named: bool, from: Wire) -> Option<u16> {
        in_stream(body.as_bytes(), named, from).map(|error| error.status)
    }

    #[test]
    fn an_error_within_a_stream_means_what_it_would_have_meant_before_it() {
        for (body, status) in [
            (r#"{"error":{"message":"x","type":"server_error","code":"overloaded"}}"#, 503),
            (r#"{"error":{"message":"x","type":"tokens","code":"rate_limit_exceeded"}}"#, 429),
            (r#"{"error":{"message":"x","type":"invalid_request_error","code":null}}"#, 400),
            (r#"{"error":{"message":"x","code":502},"choices":[]}"#, 502),
            (r#"{"error":{"message":"x","code":"429"}}"#, 429),
            (r#"{"error":{"message":"x","code":7}}"#, 500),
            (r#"{"error":{"message":"overloaded"}}"#, 500),
            (r#"{"error":"what now"}"#, 500),
        ] {
            assert_eq!(status_of(body, false, Wire::OpenAi), Some(status), "{body}");
        }
        let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#;
        assert_eq!(status_of(overloaded, true, Wire::Anthropic), Some(503));
        let google = r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#;
        assert_eq!(status_of(google, false, Wire::Gemini), Some(503));
    }

    #[test]
    fn what_is_named_an_error_is_one_whatever_it_says() {
        let said = |data: &str| (status_of(data, true, Wire::OpenAi), status_of(data, false, Wire::OpenAi));
        assert_eq!(said(r#"{"type":"overloaded_error"}"#), (Some(503), None));
        assert_eq!(said(r#"{"choices":[]}"#), (Some(500), None));
        assert_eq!(said("<html>"), (Some(500), None));
    }

    #[test]
    fn only_the_error_is_passed_on() {
        let body = r#"{"id":"c","choices":[{"delta":{}}],"error":{"message":"gone","code":502}}"#;
        let error = in_stream(body.as_bytes(), false, Wire::OpenAi).expect("an error").body.expect("a body");
        let error: Value = serde_json::from_slice(&error).expect("JSON");
        assert_eq!(error, json!({"error": {"message": "gone", "code": 502}}));
    }
}
