//! A chat completion request as Anthropic's `POST /v1/messages` takes it.

use serde_json::{Value, json};

use super::generation::Generation;
use super::{answer_tool, messages, schema, thinking, tools};
use crate::wire::json::{Object, copy, get, said, text};
use crate::wire::{Defaults, Untranslatable};

/// Fields that both wires, or Anthropic's own clients through an OpenAI library, call the same.
const SAME: [&str; 7] =
    ["top_p", "top_k", "stream", "thinking", "output_config", "context_management", "cache_control"];

/// Fields that change what the answer is, and that Anthropic's wire has no word for.
const REFUSED: [&str; 5] = ["functions", "function_call", "audio", "web_search_options", "prediction"];

/// Translates a request for a provider that knows the model as `model`.
pub(crate) fn request(pivot: &Value, model: &str, defaults: Defaults) -> Result<Value, Untranslatable> {
    refuse(pivot)?;
    let mut out = Object::new();
    copy(pivot, &mut out, &SAME);
    out.insert("model".to_owned(), model.into());
    let (system, messages) = messages::conversation(pivot)?;
    if !system.is_empty() {
        out.insert("system".to_owned(), system.into());
    }
    out.insert("messages".to_owned(), messages.into());
    let generation = Generation::of(model);
    tools::add(pivot, &mut out, generation)?;
    stop(pivot, &mut out);
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
    response_format(pivot, &mut out, generation)?;
    thinking::limits(pivot, &mut out, defaults, generation);
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

/// Where to stop. Blanks alone are refused here, and with them the whole request.
fn stop(pivot: &Value, out: &mut Object) {
    let Some(stop) = get(pivot, "stop") else { return };
    let sequences = stop.as_array().map_or(std::slice::from_ref(stop), Vec::as_slice);
    let is_blank = |sequence: &&Value| sequence.as_str().is_some_and(|text| text.trim().is_empty());
    let taken: Vec<Value> = sequences.iter().filter(|sequence| !is_blank(sequence)).cloned().collect();
    if !taken.is_empty() {
        out.insert("stop_sequences".to_owned(), taken.into());
    }
}

fn response_format(pivot: &Value, out: &mut Object, generation: Generation) -> Result<(), Untranslatable> {
    const SCHEMA: &str = "response_format.json_schema.schema";
    let Some(format) = get(pivot, "response_format") else { return Ok(()) };
    match text(format, "type") {
        Some("text") => Ok(()),
        // The wire has no JSON without a schema.
        Some("json_object") => answer_tool::ask(out, json!({"type": "object"}), "response_format.type", generation),
        Some("json_schema") => {
            let asked = get(format, "json_schema").and_then(|json_schema| get(json_schema, "schema"));
            let asked = asked.ok_or_else(|| Untranslatable::new(SCHEMA, "is required"))?;
            match generation.keeps_to_schemas().then(|| schema::reduced(asked)).flatten() {
                Some(schema) => constrain(out, schema),
                None => answer_tool::ask(out, asked.clone(), SCHEMA, generation),
            }
        }
        _ => Err(Untranslatable::new("response_format.type", "must be `text`, `json_object` or `json_schema`")),
    }
}

fn constrain(out: &mut Object, schema: Value) -> Result<(), Untranslatable> {
    let config = out.entry("output_config").or_insert_with(|| json!({}));
    let config = config.as_object_mut().ok_or_else(|| Untranslatable::new("output_config", "must be an object"))?;
    config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
    Ok(())
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
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "string", "maxLength": 9}}},
        }));
        let expected = json!({
            "model": "claude", "stream": true, "temperature": 1.0, "stop_sequences": ["END"], "top_k": 3,
            "metadata": {"user_id": "u1"}, "max_tokens": 100, "service_tier": "standard_only",
            "system": [{"type": "text", "text": "be brief"}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "string", "description": "{maxLength: 9}"}}},
        });
        assert_eq!(got, expected);
    }

    #[test]
    fn json_that_a_model_cannot_be_held_to_is_asked_for_as_the_input_of_a_tool() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}});
        let dict = json!({"type": "object", "additionalProperties": {"type": "integer"}});
        let of = |schema: &Value| json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        let ask = |model: &str, format: &Value, more: Value| {
            let mut pivot = json!({"messages": [], "response_format": format});
            pivot.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            request(&pivot, model, DEFAULTS)
        };
        for (model, format, input) in [
            ("claude-sonnet-4-5", json!({"type": "json_object"}), json!({"type": "object"})),
            ("claude-sonnet-4-5", of(&dict), dict.clone()),
            ("claude-3-7-sonnet-latest", of(&schema), schema.clone()),
        ] {
            let got = ask(model, &format, json!({"reasoning_effort": "high"})).expect("translatable");
            assert_eq!((&got["tools"][0]["input_schema"], got["tools"].as_array().map(Vec::len)), (&input, Some(1)));
            assert_eq!(got["tool_choice"], json!({"type": "tool", "name": got["tools"][0]["name"]}));
            assert_eq!((got.get("output_config"), got.get("thinking")), (None, None), "{model}");
        }
        let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
        let thinks = json!({"thinking": {"type": "enabled", "budget_tokens": 2000}});
        for (model, more) in
            [("claude-sonnet-4-5", tools), ("claude-sonnet-4-5", thinks), ("claude-opus-5-5", json!({}))]
        {
            let field = |format: Value| ask(model, &format, more.clone()).expect_err("refused").field;
            assert_eq!(field(json!({"type": "json_object"})), "response_format.type", "{model}");
            assert_eq!(field(of(&dict)), "response_format.json_schema.schema", "{model}");
            assert!(ask(model, &of(&schema), more.clone()).is_ok(), "{model}");
        }
    }

    #[test]
    fn a_stop_of_blanks_is_left_out() {
        let stops = |stop: Value| translate(json!({"messages": [], "stop": stop})).get("stop_sequences").cloned();
        assert_eq!(stops(json!(["\n\n", "END", "", " "])), Some(json!(["END"])));
        assert_eq!(stops(json!("a b")), Some(json!(["a b"])));
        assert_eq!([stops(json!("\n")), stops(json!([]))], [None, None]);
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
        assert_eq!(refused(json!({"messages": [], "response_format": {"type": "grammar"}})), "response_format.type");
        translate(json!({"messages": [], "n": 1, "logprobs": false, "audio": null}));
    }
}
