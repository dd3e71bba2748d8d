//! A chat completion request as Anthropic's `POST /v1/messages` takes it.

use serde_json::{Value, json};

use super::generation::Generation;
use super::{messages, thinking, tools};
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
    response_format(pivot, &mut out)?;
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
            "model": "claude", "stream": true, "temperature": 1.0, "stop_sequences": ["END"], "top_k": 3,
            "metadata": {"user_id": "u1"}, "max_tokens": 100, "service_tier": "standard_only",
            "system": [{"type": "text", "text": "be brief"}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        });
        assert_eq!(got, expected);
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
        assert_eq!(
            refused(json!({"messages": [], "response_format": {"type": "json_object"}})),
            "response_format.type"
        );
        translate(json!({"messages": [], "n": 1, "logprobs": false, "audio": null}));
    }
}
