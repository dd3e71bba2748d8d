//! Providers' error answers, on their way into OpenAI's shape.

mod in_stream;

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Value, json};

use super::json::{get, text};
use crate::domain::rejection::{self, Rejection};

/// OpenAI's code for a prompt that does not fit.
const TOO_LONG: &str = "context_length_exceeded";
/// How OpenAI's own sentence of it begins; LiteLLM, for one, looks for this.
const OPENAIS_WORDS: &str = "This model's maximum context length is";

pub(crate) use in_stream::in_stream;

/// An error answer in the pivot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProviderError {
    /// Its status, as OpenAI would have chosen it.
    pub(crate) status: u16,
    /// Its body; `None` where what came was no error of the provider's wire.
    pub(crate) body: Option<Bytes>,
    /// Whole seconds to wait, where the body says so.
    pub(crate) retry_after: Option<u64>,
}

impl ProviderError {
    /// An error with a sentence of the provider's, which is looked at for what OpenAI has a code for.
    pub(super) fn new(status: u16, message: &str) -> Self {
        let status = if status == 403 && rejection::is_about_a_thing(message) { 404 } else { status };
        // Who has no code for it says it in these words.
        let is_too_long = matches!(status, 400 | 413 | 422) && rejection::is_about_length(message);
        Self::written(status, message, is_too_long)
    }

    fn written(status: u16, message: &str, is_too_long: bool) -> Self {
        let code = is_too_long.then_some(TOO_LONG);
        let param = code.map(|_| "messages");
        let message = if is_too_long { in_openais_words(message) } else { message.into() };
        let error = json!({"message": message, "type": kind(status), "param": param, "code": code});
        Self { status, body: Some(json!({"error": error}).to_string().into()), retry_after: None }
    }

    /// What came is no error in the provider's wire.
    pub(super) fn unreadable(status: u16) -> Self {
        Self { status, body: None, retry_after: None }
    }
}

/// An error of a server that speaks OpenAI's wire: as it came where it has OpenAI's shape and code. Compatible servers
/// have other shapes beside, and say in a sentence or in a type of their own that a prompt is too long.
pub(super) fn of_openais_wire(status: u16, body: &[u8]) -> ProviderError {
    let Ok(said) = serde_json::from_slice::<Value>(body) else { return ProviderError::unreadable(status) };
    match get(&said, "error") {
        Some(error @ Value::Object(_)) => {
            let is_too_long = rejection::classify(status, body) == Some(Rejection::ContextLength);
            if is_too_long && text(error, "code") != Some(TOO_LONG) {
                return ProviderError::written(status, text(error, "message").unwrap_or_default(), true);
            }
            let status = if status == 403 && is_about_a_thing(error) { 404 } else { status };
            ProviderError { body: Some(Bytes::copy_from_slice(body)), ..ProviderError::unreadable(status) }
        }
        Some(Value::String(message)) => ProviderError::new(status, message),
        Some(_) => ProviderError::unreadable(status),
        None => match text(&said, "message") {
            Some(message) => ProviderError::new(status, message),
            None => ProviderError::unreadable(status),
        },
    }
}

/// The sentence of a prompt that is too long, with the words by which clients know it that do not read the code.
fn in_openais_words(message: &str) -> Cow<'_, str> {
    if message.to_ascii_lowercase().contains(&OPENAIS_WORDS.to_ascii_lowercase()) {
        return message.into();
    }
    format!("{OPENAIS_WORDS} exceeded: {message}").into()
}

/// Whether what is forbidden is a thing that the request names, such as a model.
fn is_about_a_thing(error: &Value) -> bool {
    text(error, "code") == Some("model_not_found") || text(error, "message").is_some_and(rejection::is_about_a_thing)
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_prompt_that_does_not_fit_gets_openais_code() {
        let error = ProviderError::new(400, "prompt is too long: 210000 tokens > 200000 maximum");
        let body: Value = serde_json::from_slice(&error.body.expect("a body")).expect("JSON");
        assert_eq!(body["error"]["code"], "context_length_exceeded");
        let sentence =
            "This model's maximum context length is exceeded: prompt is too long: 210000 tokens > 200000 maximum";
        assert_eq!(body["error"]["message"], sentence);
        let other = ProviderError::new(400, "max_tokens: must be positive");
        let body: Value = serde_json::from_slice(&other.body.expect("a body")).expect("JSON");
        assert_eq!((&body["error"]["code"], &body["error"]["type"]), (&json!(null), &json!("invalid_request_error")));
    }

    #[test]
    fn what_is_forbidden_of_a_thing_that_the_request_names_does_not_exist() {
        let model = r#"{"error":{"message":"Project `p` does not have access to model `m`","code":"model_not_found"}}"#;
        let error = of_openais_wire(403, model.as_bytes());
        assert_eq!((error.status, error.body.as_deref()), (404, Some(model.as_bytes())));
        let file = ProviderError::new(403, "You do not have permission to access the File x or it may not exist.");
        assert_eq!(file.status, 404);
        for about_the_key in [
            "Your API key was reported as leaked.",
            "The caller does not have permission",
            "Permission 'aiplatform.endpoints.predict' denied on resource '//x' (or it may not exist).",
        ] {
            assert_eq!(ProviderError::new(403, about_the_key).status, 403, "{about_the_key}");
        }
    }

    #[test]
    fn what_is_no_error_is_not_passed_on() {
        for body in ["<html>", "", "[]", "{\"detail\": 1}", "{\"error\": 1}", "{\"error\": null}"] {
            assert_eq!(of_openais_wire(500, body.as_bytes()), ProviderError::unreadable(500), "{body}");
        }
    }

    #[test]
    fn an_error_of_openais_shape_passes_as_it_came() {
        for body in [
            r#"{ "error": {"message": "no", "type": "t", "param": null, "code": null, "x": 1.0}}"#,
            r#"{"error":{"message":"This model's maximum context length is 8 tokens","code":"context_length_exceeded"}}"#,
            r#"{"error":{"message":"temperature","code":400}}"#,
        ] {
            assert_eq!(of_openais_wire(400, body.as_bytes()).body.as_deref(), Some(body.as_bytes()));
        }
    }

    #[test]
    fn other_shapes_of_compatible_servers_become_openais() {
        let llama_cpp = r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_ctx":8}}"#;
        let its_type = r#"{"error":{"code":400,"message":"no","type":"exceed_context_size_error"}}"#;
        let vllm = r#"{"error":{"message":"You passed 9 input tokens and requested 9 output tokens. However, the model's context length is only 8 tokens, resulting in a maximum input length of 0 tokens.","type":"BadRequestError","param":null,"code":400}}"#;
        let older_vllm = r#"{"object":"error","message":"This model's maximum context length is 8 tokens.","type":"BadRequestError","param":null,"code":400}"#;
        let xai = r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 136973 tokens."}"#;
        for body in [llama_cpp, its_type, vllm, older_vllm, xai, r#"{"error":"prompt is too long"}"#] {
            let got = of_openais_wire(400, body.as_bytes()).body.expect("a body");
            assert_eq!(rejection::classify(400, &got), Some(Rejection::ContextLength), "{body}");
            let got: Value = serde_json::from_slice(&got).expect("JSON");
            let of = |name: &str| got["error"][name].as_str();
            let expected = [Some("invalid_request_error"), Some("messages"), Some(TOO_LONG)];
            assert_eq!(["type", "param", "code"].map(of), expected, "{body}");
            let sentence = of("message").expect("a sentence");
            assert!(sentence.starts_with(OPENAIS_WORDS), "{sentence}");
            let own = sentence.strip_prefix("This model's maximum context length is exceeded: ").unwrap_or(sentence);
            assert!(body.contains(own), "{body}");
        }
        for body in [r#"{"error":"no such thing"}"#, r#"{"object":"error","message":"no such thing","code":400}"#] {
            let got: Value =
                serde_json::from_slice(&of_openais_wire(404, body.as_bytes()).body.expect("a body")).expect("JSON");
            let expected =
                json!({"message": "no such thing", "type": "invalid_request_error", "param": null, "code": null});
            assert_eq!(got["error"], expected);
        }
    }
}
