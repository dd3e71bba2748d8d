//! `POST /v1/messages` as a chat completion request.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{messages, schema};
use crate::wire::Untranslatable;
use crate::wire::json::{Object, copy, count, get, list, said, text};

/// Fields that both wires call the same.
const SAME: [&str; 5] = ["model", "max_tokens", "temperature", "top_p", "stream"];

/// The longest name of an end user that all servers take: OpenAI's limit. Others end at 128, with clients beyond that.
const LONGEST_USER: usize = 64;

/// Translates a request.
pub(crate) fn request(request: &Value) -> Result<Value, Untranslatable> {
    if get(request, "max_tokens").and_then(Value::as_u64).is_none() {
        return Err(Untranslatable::new("max_tokens", "is required, and must be a whole number"));
    }
    for field in ["mcp_servers", "container"] {
        if get(request, field).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty())) {
            return Err(Untranslatable::new(field, "only providers of Anthropic's own wire have this"));
        }
    }
    let mut out = Object::new();
    copy(request, &mut out, &SAME);
    out.insert("messages".to_owned(), messages::conversation(request)?.into());
    tools(request, &mut out)?;
    if let Some(sequences) = get(request, "stop_sequences") {
        out.insert("stop".to_owned(), sequences.clone());
    }
    if let Some(user) = get(request, "metadata").and_then(|metadata| said(metadata, "user_id")) {
        out.insert("user".to_owned(), short(user).into());
    }
    match text(request, "service_tier") {
        Some("auto") => _ = out.insert("service_tier".to_owned(), "auto".into()),
        Some("standard_only") => _ = out.insert("service_tier".to_owned(), "default".into()),
        _ => {}
    }
    if let Some(schema) = schema_of_answer(request) {
        let named = json!({"name": "answer", "schema": schema, "strict": schema::is_strict(schema)});
        out.insert("response_format".to_owned(), json!({"type": "json_schema", "json_schema": named}));
    }
    if let Some(effort) = effort(request) {
        out.insert("reasoning_effort".to_owned(), effort.into());
    }
    Ok(out.into())
}

/// The name of an end user, or a digest of it where it is too long: the same one each time, and exactly as long as may
/// be.
fn short(user: &str) -> String {
    if user.len() <= LONGEST_USER {
        return user.to_owned();
    }
    digest(&SHA256, user.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tools(request: &Value, out: &mut Object) -> Result<(), Untranslatable> {
    let mut tools = Vec::new();
    for (index, one) in list(request, "tools").iter().enumerate() {
        tools.push(tool(one).map_err(|error| error.within(&format!("tools[{index}]")))?);
    }
    if tools.is_empty() {
        return Ok(());
    }
    out.insert("tools".to_owned(), tools.into());
    let Some(asked) = get(request, "tool_choice") else { return Ok(()) };
    let choice = match (text(asked, "type"), text(asked, "name")) {
        (Some("auto"), _) => json!("auto"),
        (Some("any"), _) => json!("required"),
        (Some("none"), _) => json!("none"),
        (Some("tool"), Some(name)) => json!({"type": "function", "function": {"name": name}}),
        _ => {
            return Err(Untranslatable::new(
                "tool_choice",
                "must be of type `auto`, `any`, `none`, or `tool` with a name",
            ));
        }
    };
    out.insert("tool_choice".to_owned(), choice);
    if get(asked, "disable_parallel_tool_use").and_then(Value::as_bool) == Some(true) {
        out.insert("parallel_tool_calls".to_owned(), false.into());
    }
    Ok(())
}

fn tool(tool: &Value) -> Result<Value, Untranslatable> {
    if let Some(kind) = text(tool, "type").filter(|kind| *kind != "custom") {
        let problem = format!("only providers of Anthropic's own wire have the tool `{kind}`");
        return Err(Untranslatable::new("type", problem));
    }
    let name = text(tool, "name").ok_or_else(|| Untranslatable::new("name", "is required"))?;
    let mut function = Object::new();
    copy(tool, &mut function, &["description", "strict"]);
    function.insert("name".to_owned(), name.into());
    let schema = get(tool, "input_schema");
    if !schema.is_some_and(schema::is_strict) {
        function.remove("strict");
    }
    if let Some(schema) = schema {
        function.insert("parameters".to_owned(), schema.clone());
    }
    Ok(json!({"type": "function", "function": function}))
}

/// The schema that the answer is to follow, in the field of today or that of the beta before it.
fn schema_of_answer(request: &Value) -> Option<&Value> {
    let format = get(request, "output_config").and_then(|config| get(config, "format"));
    let format = format.or_else(|| get(request, "output_format"))?;
    get(format, "schema")
}

/// How hard to think, where the caller asks for it at all.
fn effort(request: &Value) -> Option<&'static str> {
    let thinking = get(request, "thinking")?;
    let asked = get(request, "output_config").and_then(|config| text(config, "effort"));
    match (text(thinking, "type")?, asked) {
        ("enabled" | "adaptive", Some("low")) => Some("low"),
        ("enabled" | "adaptive", Some("medium")) => Some("medium"),
        ("enabled" | "adaptive", Some(_)) => Some("high"),
        ("enabled", None) => Some(match count(thinking, "budget_tokens") {
            ..=2048 => "low",
            2049..=8192 => "medium",
            _ => "high",
        }),
        ("adaptive", None) => Some("medium"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_request_is_translated() {
        let got = request(&json!({
            "model": "m", "max_tokens": 9000, "stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 3,
            "stop_sequences": ["END"], "metadata": {"user_id": "u1"}, "system": "be brief", "service_tier": "standard_only",
            "messages": [{"role": "user", "content": "hello"}], "thinking": {"type": "enabled", "budget_tokens": 4000},
            "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}],
            "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        }));
        let expected = json!({
            "model": "m", "max_tokens": 9000, "stream": true,
            "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "user": "u1", "service_tier": "default",
            "reasoning_effort": "medium",
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false,
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": false}},
        });
        assert_eq!(got, Ok(expected));
    }

    #[test]
    fn what_other_servers_would_not_hold_to_is_not_strict_there() {
        let strict = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
        let optional =
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
        for (schema, is_strict) in [(strict, true), (optional, false)] {
            let got = request(&json!({
                "max_tokens": 1, "messages": [], "output_config": {"format": {"type": "json_schema", "schema": schema}},
                "tools": [{"name": "f", "input_schema": schema, "strict": true}],
            }))
            .expect("translatable");
            assert_eq!(got["response_format"]["json_schema"]["strict"], is_strict, "{schema}");
            assert_eq!(got["tools"][0]["function"].get("strict").is_some(), is_strict, "{schema}");
        }
    }

    #[test]
    fn what_only_anthropics_own_wire_has_is_named() {
        for (field, value, named) in [
            ("tools", json!([{"type": "web_search_20250305", "name": "web_search"}]), "tools[0].type"),
            ("tools", json!([{"input_schema": {}}]), "tools[0].name"),
            ("mcp_servers", json!([{"url": "https://h"}]), "mcp_servers"),
            ("max_tokens", json!("many"), "max_tokens"),
        ] {
            let mut body = json!({"model": "m", "max_tokens": 1, "messages": []});
            body[field] = value;
            assert_eq!(request(&body).expect_err("refused").field, named);
        }
        assert_eq!(request(&json!({"messages": []})).expect_err("refused").field, "max_tokens");
    }

    #[test]
    fn an_end_user_with_a_long_name_has_a_short_one_of_its_own() {
        let user = |id: &str| {
            let body = json!({"max_tokens": 1, "messages": [], "metadata": {"user_id": id}});
            request(&body).expect("translatable")["user"].as_str().expect("a text").to_owned()
        };
        let longest = "u".repeat(64);
        assert_eq!(user(&longest), longest);
        let long = |account: &str| user(&format!("user_{longest}_account_{account}_session_1"));
        assert_eq!((long("a").len(), long("a")), (64, long("a")));
        assert_ne!(long("a"), long("b"));
    }

    #[test]
    fn how_hard_to_think_follows_the_budget_or_the_effort() {
        let effort = |thinking: Value, config: Value| {
            request(&json!({"max_tokens": 1, "messages": [], "thinking": thinking, "output_config": config}))
                .expect("translatable")["reasoning_effort"]
                .clone()
        };
        assert_eq!(effort(json!({"type": "enabled", "budget_tokens": 1024}), json!(null)), "low");
        assert_eq!(effort(json!({"type": "enabled", "budget_tokens": 32000}), json!(null)), "high");
        assert_eq!(effort(json!({"type": "adaptive"}), json!({"effort": "max"})), "high");
        assert_eq!(effort(json!({"type": "disabled"}), json!(null)), json!(null));
    }
}
