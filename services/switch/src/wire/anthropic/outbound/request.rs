//! A chat completion request as Anthropic's `POST /v1/messages` takes it.

use serde_json::{Value, json};

use super::{messages, tools};
use crate::wire::json::{Object, copy, count, get, list, said, text};
use crate::wire::{Defaults, Untranslatable};

/// Fields that both wires, or Anthropic's own clients through an OpenAI library, call the same.
const SAME: [&str; 7] =
    ["top_p", "top_k", "stream", "thinking", "output_config", "context_management", "cache_control"];

/// Fields that change what the answer is, and that Anthropic's wire has no word for.
const REFUSED: [&str; 5] = ["functions", "function_call", "audio", "web_search_options", "prediction"];

/// Tokens of reasoning for each effort; Anthropic takes no fewer than the first.
const BUDGETS: [(&str, u64); 4] = [("low", 1024), ("medium", 4096), ("high", 16_384), ("xhigh", 32_768)];

/// Translates a request for a provider that knows the model as `model`.
pub(crate) fn request(pivot: &Value, model: &str, defaults: Defaults) -> Result<Value, Untranslatable> {
    refuse(pivot)?;
    let mut out = Object::new();
    copy(pivot, &mut out, &SAME);
    out.insert("model".to_owned(), model.into());
    let conversation = messages::conversation(pivot)?;
    if !conversation.system.is_empty() {
        out.insert("system".to_owned(), conversation.system.into());
    }
    out.insert("messages".to_owned(), conversation.messages.into());
    tools::add(pivot, &mut out)?;
    if let Some(stop) = get(pivot, "stop") {
        let sequences = if stop.is_array() { stop.clone() } else { json!([stop]) };
        out.insert("stop_sequences".to_owned(), sequences);
    }
    if let Some(temperature) = get(pivot, "temperature").and_then(Value::as_f64) {
        // OpenAI's scale goes on to 2; beyond 1 there is nothing hotter here.
        out.insert("temperature".to_owned(), temperature.min(1.0).into());
    }
    if let Some(user) = said(pivot, "user").or_else(|| said(pivot, "safety_identifier")) {
        out.insert("metadata".to_owned(), json!({"user_id": user}));
    }
    match text(pivot, "service_tier") {
        Some("auto") => _ = out.insert("service_tier".to_owned(), "auto".into()),
        Some("default") => _ = out.insert("service_tier".to_owned(), "standard_only".into()),
        _ => {}
    }
    response_format(pivot, &mut out)?;
    limits(pivot, &mut out, defaults);
    Ok(out.into())
}

fn refuse(pivot: &Value) -> Result<(), Untranslatable> {
    let no_word = |field: &str| Err(Untranslatable::new(field, "Anthropic's wire has no counterpart"));
    if let Some(field) = REFUSED.into_iter().find(|field| get(pivot, field).is_some()) {
        return no_word(field);
    }
    if get(pivot, "n").is_some_and(|n| n.as_u64() != Some(1)) {
        return no_word("n");
    }
    if get(pivot, "logprobs").and_then(Value::as_bool) == Some(true) {
        return no_word("logprobs");
    }
    Ok(())
}

fn response_format(pivot: &Value, out: &mut Object) -> Result<(), Untranslatable> {
    let Some(format) = get(pivot, "response_format") else { return Ok(()) };
    match text(format, "type") {
        Some("text") => Ok(()),
        Some("json_schema") => {
            let schema = get(format, "json_schema").and_then(|json_schema| get(json_schema, "schema"));
            let schema =
                schema.ok_or_else(|| Untranslatable::new("response_format.json_schema.schema", "is required"))?;
            let format = json!({"type": "json_schema", "schema": schema});
            match out.get_mut("output_config").map(Value::as_object_mut) {
                Some(Some(config)) => _ = config.insert("format".to_owned(), format),
                Some(None) => return Err(Untranslatable::new("output_config", "must be an object")),
                None => _ = out.insert("output_config".to_owned(), json!({"format": format})),
            }
            Ok(())
        }
        _ => {
            Err(Untranslatable::new("response_format.type", "Anthropic's wire knows `json_schema` and plain text only"))
        }
    }
}

/// How much may be written, and how much of it thought.
fn limits(pivot: &Value, out: &mut Object, defaults: Defaults) {
    let asked = ["max_completion_tokens", "max_tokens"].into_iter().find_map(|name| get(pivot, name)?.as_u64());
    let budget = budget(pivot, out);
    let mut max_tokens = asked.unwrap_or(defaults.max_tokens);
    if let Some(budget) = budget {
        // The limit counts what is thought, too.
        if asked.is_none() {
            max_tokens = max_tokens.saturating_add(budget);
        }
        let budget = budget.min(max_tokens.saturating_sub(1));
        if budget >= BUDGETS[0].1 {
            out.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": budget}));
        }
    }
    if out.get("thinking").is_some_and(|thinking| count(thinking, "budget_tokens") > 0) {
        // Refused along with thinking.
        out.remove("temperature");
        out.remove("top_k");
    }
    out.insert("max_tokens".to_owned(), max_tokens.into());
}

/// What may be spent on reasoning. A forced tool leaves no room for it, nor does a call whose thoughts did not come back,
/// and the caller's own `thinking` comes first.
fn budget(pivot: &Value, out: &Object) -> Option<u64> {
    let forced = out.get("tool_choice").is_some_and(|choice| matches!(text(choice, "type"), Some("any" | "tool")));
    if forced || out.contains_key("thinking") || calls_without_thought(out) {
        return None;
    }
    let effort = text(pivot, "reasoning_effort")?;
    BUDGETS.into_iter().find_map(|(name, tokens)| (name == effort).then_some(tokens))
}

/// Whether the assistant's last turn calls tools and has no signed thought: with thinking on, Anthropic refuses that.
fn calls_without_thought(out: &Object) -> bool {
    let turns = out.get("messages").and_then(Value::as_array);
    let last = turns.and_then(|turns| turns.iter().rfind(|turn| text(turn, "role") == Some("assistant")));
    let Some(blocks) = last.map(|turn| list(turn, "content")) else { return false };
    let is_signed = |block: &Value| said(block, "signature").or_else(|| said(block, "data")).is_some();
    let thinks =
        |block: &Value| matches!(text(block, "type"), Some("thinking" | "redacted_thinking")) && is_signed(block);
    blocks.iter().any(|block| text(block, "type") == Some("tool_use")) && !blocks.iter().any(thinks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Defaults = Defaults { max_tokens: 4096, stream_usage: true };

    fn translate(pivot: Value) -> Value {
        request(&pivot, "claude", DEFAULTS).expect("translatable")
    }

    fn refused(pivot: Value) -> String {
        request(&pivot, "claude", DEFAULTS).expect_err("refused").field
    }

    #[test]
    fn a_whole_request_is_translated() {
        let got = translate(json!({
            "model": "m", "stream": true, "temperature": 1.5, "top_p": 0.5, "stop": "END", "user": "u1", "seed": 7,
            "max_completion_tokens": 100, "top_k": 3, "service_tier": "default", "unknown": 1, "presence_penalty": 1,
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        }));
        let expected = json!({
            "model": "claude", "stream": true, "temperature": 1.0, "top_p": 0.5, "stop_sequences": ["END"], "top_k": 3,
            "metadata": {"user_id": "u1"}, "max_tokens": 100, "service_tier": "standard_only",
            "system": [{"type": "text", "text": "be brief"}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        });
        assert_eq!(got, expected);
    }

    #[test]
    fn reasoning_effort_is_a_budget_within_the_limit() {
        let got = translate(json!({"messages": [], "reasoning_effort": "medium", "temperature": 0.2}));
        assert_eq!(got["thinking"], json!({"type": "enabled", "budget_tokens": 4096}));
        assert_eq!((&got["max_tokens"], got.get("temperature")), (&json!(8192), None));
        let got = translate(json!({"messages": [], "reasoning_effort": "high", "max_tokens": 2000}));
        assert_eq!((&got["thinking"]["budget_tokens"], &got["max_tokens"]), (&json!(1999), &json!(2000)));
        let tight = translate(json!({"messages": [], "reasoning_effort": "low", "max_tokens": 500}));
        assert_eq!((tight.get("thinking"), &tight["max_tokens"]), (None, &json!(500)));
        let own = json!({"messages": [], "reasoning_effort": "low", "thinking": {"type": "disabled"}});
        assert_eq!(translate(own)["thinking"], json!({"type": "disabled"}));
    }

    #[test]
    fn a_call_whose_thoughts_did_not_come_back_is_followed_without_thinking() {
        let calls = json!([{"id": "a", "function": {"name": "f", "arguments": "{}"}}]);
        let thinking = |assistant: Value| {
            let mut turn = json!({"role": "assistant", "tool_calls": calls});
            turn.as_object_mut().expect("an object").extend(assistant.as_object().expect("an object").clone());
            let messages =
                json!([{"role": "user", "content": "go"}, turn, {"role": "tool", "tool_call_id": "a", "content": "1"}]);
            translate(json!({"messages": messages, "reasoning_effort": "low", "temperature": 0.5}))["thinking"].clone()
        };
        assert_eq!(thinking(json!({"reasoning_content": "hm"})), json!(null));
        let unsigned = json!({"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": ""}]});
        assert_eq!(thinking(unsigned), json!(null));
        let signed = json!({"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]});
        assert_eq!(thinking(signed)["type"], "enabled");
        assert_eq!(
            thinking(json!({"thinking_blocks": [{"type": "redacted_thinking", "data": "x"}]}))["type"],
            "enabled"
        );
        assert_eq!(thinking(json!({"tool_calls": [], "content": "done"}))["type"], "enabled");
    }

    #[test]
    fn what_would_change_the_answer_is_refused_by_name() {
        for (field, value) in [
            ("n", json!(2)),
            ("logprobs", json!(true)),
            ("audio", json!({"voice": "x"})),
            ("functions", json!([])),
            ("web_search_options", json!({})),
        ] {
            assert_eq!(refused(json!({"messages": [], field: value})), field);
        }
        assert_eq!(
            refused(json!({"messages": [], "response_format": {"type": "json_object"}})),
            "response_format.type"
        );
        translate(json!({"messages": [], "n": 1, "logprobs": false, "audio": null}));
    }
}
