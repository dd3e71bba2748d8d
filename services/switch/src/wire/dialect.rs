//! What servers of OpenAI's wire read differently, in a request that the gateway has worded itself.
//!
//! Models that OpenAI made to reason refuse `max_tokens`; older compatible servers take no notice of
//! `max_completion_tokens`. A field that is foreign to it OpenAI refuses, and other servers want it back as they gave it.
//! The rule goes by the model's name, because one address may serve models of all kinds. The words of callers who speak
//! this wire themselves are never changed.
//!
//! Sources: OpenAI's API reference, "Chat"; Azure OpenAI's REST API reference; Google's "OpenAI compatibility".

use bytes::Bytes;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::signed_id;
use crate::domain::fields::{Fields, field, put, read};

/// Reasoning of earlier turns, by the names that servers have for it. OpenAI's models take neither.
const REASONING: [&str; 2] = ["reasoning_content", "reasoning"];

/// What one model at one server is to be told in other words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The limit of an answer counts its reasoning, and is called so.
    names_completion_limit: bool,
    /// OpenAI's own fields and no others; ids of at most 40 letters.
    is_openais: bool,
    /// The signature of a thought stands beside the call, as Google's endpoint has it.
    is_geminis: bool,
}

impl Dialect {
    /// For `model`; `at_azure` it is the name of a deployment, which may be anything.
    pub(crate) fn of(model: &str, at_azure: bool) -> Self {
        let name = model.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let generation = |stem: &str| name.strip_prefix(stem)?.bytes().next().filter(u8::is_ascii_digit);
        let (o, gpt) = (generation("o"), generation("gpt-"));
        let reasons = o.is_some() || gpt.is_some_and(|generation| generation >= b'5');
        Self {
            // Deployments of older models that say so take the older name under every version of the API.
            names_completion_limit: reasons || (at_azure && gpt.is_none()),
            is_openais: at_azure || o.is_some() || gpt.is_some() || name.starts_with("chatgpt-"),
            is_geminis: name.starts_with("gemini"),
        }
    }

    /// `body`, a chat completion request with `max_tokens`, in this dialect.
    pub(crate) fn write(self, body: Bytes) -> Bytes {
        match self == Self::default() {
            true => body,
            false => self.rewrite(&body).unwrap_or(body),
        }
    }

    /// `None`: it is no such request, which the provider may say better.
    fn rewrite(self, body: &[u8]) -> Option<Bytes> {
        let mut request: Fields = serde_json::from_slice(body).ok()?;
        if self.names_completion_limit
            && let Some(limit) = request.remove("max_tokens")
        {
            request.entry("max_completion_tokens".to_owned()).or_insert(limit);
        }
        let mut messages: Vec<Fields> = read(field(&request, "messages"))?;
        messages.iter_mut().for_each(|message| self.rewrite_message(message));
        put(&mut request, "messages", &messages);
        serde_json::to_vec(&request).ok().map(Bytes::from)
    }

    fn rewrite_message(self, message: &mut Fields) {
        if self.is_openais {
            REASONING.iter().for_each(|name| _ = message.remove(*name));
        }
        if let Some((id, _)) = message.get("tool_call_id").and_then(|id| split(id)) {
            put(message, "tool_call_id", &id);
        }
        let Some(mut calls) = read::<Vec<Fields>>(field(message, "tool_calls")) else { return };
        for call in &mut calls {
            let Some((id, signature)) = call.get("id").and_then(|id| split(id)) else { continue };
            put(call, "id", &id);
            if self.is_geminis {
                put(call, "extra_content", &json!({"google": {"thought_signature": signature}}));
            }
        }
        put(message, "tool_calls", &calls);
    }
}

/// An id and the signature in it; `None` where there is none.
fn split(id: &RawValue) -> Option<(Box<RawValue>, String)> {
    let id: String = serde_json::from_str(id.get()).ok()?;
    let (proper, signature) = signed_id::split(&id);
    Some((to_raw_value(proper).ok()?, signature?))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn write(model: &str, at_azure: bool, body: &Value) -> Value {
        let written = Dialect::of(model, at_azure).write(body.to_string().into());
        serde_json::from_slice(&written).expect("JSON")
    }

    #[test]
    fn the_limit_has_the_name_that_the_model_knows() {
        let limited = json!({"max_tokens": 9, "messages": []});
        for (model, at_azure, name) in [
            ("o1", false, "max_completion_tokens"),
            ("o3-mini", false, "max_completion_tokens"),
            ("o4-mini-2025-04-16", false, "max_completion_tokens"),
            ("gpt-5.2-pro", false, "max_completion_tokens"),
            ("openai/GPT-6", false, "max_completion_tokens"),
            ("production", true, "max_completion_tokens"),
            ("o3", true, "max_completion_tokens"),
            ("gpt-4o", true, "max_tokens"),
            ("gpt-35-turbo", true, "max_tokens"),
            ("gpt-4o", false, "max_tokens"),
            ("gpt-oss:20b", false, "max_tokens"),
            ("olmo-3", false, "max_tokens"),
            ("deepseek-reasoner", false, "max_tokens"),
            ("llama3.2", false, "max_tokens"),
        ] {
            assert_eq!(write(model, at_azure, &limited), json!({name: 9, "messages": []}), "{model}, {at_azure}");
        }
    }

    #[test]
    fn reasoning_goes_to_those_who_take_it() {
        let body =
            json!({"messages": [{"role": "assistant", "content": "so", "reasoning_content": "hm", "reasoning": "hm"}]});
        assert_eq!(write("deepseek-chat", false, &body), body);
        for (model, at_azure) in [("gpt-4o", false), ("o3", false), ("production", true)] {
            let bare = json!({"messages": [{"role": "assistant", "content": "so"}]});
            assert_eq!(write(model, at_azure, &body), bare, "{model}");
        }
    }

    #[test]
    fn a_signature_in_an_id_goes_back_to_its_place_or_is_left_out() {
        let with = |id: &str, more: Value| {
            let mut call = json!({"id": id, "function": {"name": "f"}});
            call.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            json!({"messages": [{"tool_calls": [call, {"id": "b"}]}, {"tool_call_id": id}]})
        };
        let signed = with(&signed_id::join("a", "s+/="), json!({}));
        let beside = json!({"extra_content": {"google": {"thought_signature": "s+/="}}});
        assert_eq!(write("models/gemini-3-pro", false, &signed), with("a", beside));
        assert_eq!(write("gpt-4o", false, &signed), with("a", json!({})));
        assert_eq!(write("llama", false, &signed), signed, "it is an id like any other");
    }

    #[test]
    fn a_schema_keeps_its_order_and_what_is_no_request_stays() {
        let body = r#"{"messages":[],"tools":[{"z":1.50,"a":2}]}"#;
        assert_eq!(Dialect::of("o3", false).write(Bytes::from_static(body.as_bytes())), body);
        assert_eq!(Dialect::of("o3", false).write(Bytes::from_static(b"[1]")), "[1]");
    }
}
