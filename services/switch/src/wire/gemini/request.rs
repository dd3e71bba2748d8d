//! A chat completion request as `models/{model}:generateContent` takes it. Model and streaming are in the address.

use serde_json::{Value, json};

use super::{contents, thinking};
use crate::wire::Untranslatable;
use crate::wire::json::{Object, copy, get, list, text};

/// Fields of `generationConfig`, with their names in the pivot.
const TUNING: [(&str, &str); 9] = [
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("max_tokens", "maxOutputTokens"),
    ("max_completion_tokens", "maxOutputTokens"),
    ("n", "candidateCount"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
];

/// Fields that change what the answer is, and that are not translated.
const REFUSED: [&str; 5] = ["functions", "function_call", "audio", "web_search_options", "prediction"];

/// Translates a request for `model`.
pub(crate) fn request(pivot: &Value, model: &str) -> Result<Value, Untranslatable> {
    if let Some(field) = REFUSED.into_iter().find(|field| get(pivot, field).is_some()) {
        return Err(Untranslatable::new(field, "Gemini's wire has no counterpart"));
    }
    if get(pivot, "logprobs").and_then(Value::as_bool) == Some(true) {
        return Err(Untranslatable::new("logprobs", "is not translated to Gemini's wire"));
    }
    let mut out = Object::new();
    // A call without the signature of the thought that led to it is refused by every generation since the third.
    let (system, contents) = contents::conversation(pivot, !thinking::is_older(model))?;
    if !system.is_empty() {
        out.insert("systemInstruction".to_owned(), json!({"parts": system}));
    }
    out.insert("contents".to_owned(), contents.into());
    tools(pivot, &mut out)?;
    let config = generation_config(pivot, model)?;
    if !config.is_empty() {
        out.insert("generationConfig".to_owned(), config.into());
    }
    Ok(out.into())
}

fn generation_config(pivot: &Value, model: &str) -> Result<Object, Untranslatable> {
    let mut config = Object::new();
    for (theirs, ours) in TUNING {
        if let Some(value) = get(pivot, theirs) {
            config.insert(ours.to_owned(), value.clone());
        }
    }
    if let Some(stop) = get(pivot, "stop") {
        let sequences = if stop.is_array() { stop.clone() } else { json!([stop]) };
        config.insert("stopSequences".to_owned(), sequences);
    }
    if let Some(thinking) = text(pivot, "reasoning_effort").and_then(|effort| thinking::config(effort, model)) {
        config.insert("thinkingConfig".to_owned(), thinking);
    }
    if let Some(format) = get(pivot, "response_format") {
        response_format(format, &mut config)?;
    }
    Ok(config)
}

fn response_format(format: &Value, config: &mut Object) -> Result<(), Untranslatable> {
    match text(format, "type") {
        Some("text") => return Ok(()),
        Some("json_object") => {}
        Some("json_schema") => {
            let schema = get(format, "json_schema").and_then(|json_schema| get(json_schema, "schema"));
            let required = || Untranslatable::new("response_format.json_schema.schema", "is required");
            config.insert("responseJsonSchema".to_owned(), schema.ok_or_else(required)?.clone());
        }
        _ => return Err(Untranslatable::new("response_format.type", "must be `text`, `json_object` or `json_schema`")),
    }
    config.insert("responseMimeType".to_owned(), "application/json".into());
    Ok(())
}

fn tools(pivot: &Value, out: &mut Object) -> Result<(), Untranslatable> {
    let mut declared = Vec::new();
    for (index, tool) in list(pivot, "tools").iter().enumerate() {
        declared.push(declaration(tool).map_err(|error| error.within(&format!("tools[{index}]")))?);
    }
    if declared.is_empty() {
        return Ok(());
    }
    out.insert("tools".to_owned(), json!([{"functionDeclarations": declared}]));
    if let Some(choice) = get(pivot, "tool_choice") {
        let name = get(choice, "function").and_then(|function| text(function, "name"));
        let calling = match (choice.as_str(), name) {
            (Some("auto"), _) => json!({"mode": "AUTO"}),
            (Some("none"), _) => json!({"mode": "NONE"}),
            (Some("required"), _) => json!({"mode": "ANY"}),
            (None, Some(name)) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
            _ => {
                let problem = "must be `auto`, `none`, `required` or name one function";
                return Err(Untranslatable::new("tool_choice", problem));
            }
        };
        out.insert("toolConfig".to_owned(), json!({"functionCallingConfig": calling}));
    }
    Ok(())
}

fn declaration(tool: &Value) -> Result<Value, Untranslatable> {
    let function = match (text(tool, "type"), get(tool, "function")) {
        (Some("function"), Some(function)) => function,
        (Some("function"), None) => return Err(Untranslatable::new("function", "is required")),
        _ => {
            return Err(Untranslatable::new("type", "Gemini's wire has no counterpart; only `function` is translated"));
        }
    };
    let name = text(function, "name").ok_or_else(|| Untranslatable::new("function.name", "is required"))?;
    let mut out = Object::new();
    copy(function, &mut out, &["description"]);
    out.insert("name".to_owned(), name.into());
    if let Some(schema) = get(function, "parameters") {
        out.insert("parametersJsonSchema".to_owned(), schema.clone());
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(pivot: &Value) -> Result<Value, Untranslatable> {
        request(pivot, "gemini-2.5-pro")
    }

    #[test]
    fn a_whole_request_is_translated() {
        let got = ask(&json!({
            "model": "m", "stream": true, "temperature": 1.5, "top_p": 0.5, "max_tokens": 100, "n": 2, "seed": 7, "stop": "END",
            "presence_penalty": 0.1, "frequency_penalty": 0.2, "reasoning_effort": "low", "user": "u", "unknown": 1,
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        }));
        let expected = json!({
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
            "tools": [{"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
            "generationConfig": {
                "temperature": 1.5, "topP": 0.5, "maxOutputTokens": 100, "candidateCount": 2, "seed": 7, "stopSequences": ["END"],
                "presencePenalty": 0.1, "frequencyPenalty": 0.2, "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": true},
                "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            },
        });
        assert_eq!(got, Ok(expected));
    }

    #[test]
    fn a_bare_request_stays_bare() {
        let got = ask(&json!({"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "text"}}));
        assert_eq!(got, Ok(json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})));
    }

    #[test]
    fn what_would_change_the_answer_is_refused_by_name() {
        for (field, value, named) in [
            ("logprobs", json!(true), "logprobs"),
            ("audio", json!({}), "audio"),
            ("response_format", json!({"type": "grammar"}), "response_format.type"),
            ("response_format", json!({"type": "json_schema"}), "response_format.json_schema.schema"),
            ("tools", json!([{"type": "custom"}]), "tools[0].type"),
        ] {
            assert_eq!(ask(&json!({"messages": [], field: value})).expect_err("refused").field, named);
        }
    }
}
