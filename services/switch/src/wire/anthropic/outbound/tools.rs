//! The tools that may be called, and which of them must be.

use serde_json::{Value, json};

use super::generation::Generation;
use super::schema;
use crate::wire::Untranslatable;
use crate::wire::json::{Object, copy, get, list, text};

/// Adds `tools` and `tool_choice` to a request to a model of `generation`.
pub(super) fn add(pivot: &Value, out: &mut Object, generation: Generation) -> Result<(), Untranslatable> {
    let mut tools = Vec::new();
    for (index, one) in list(pivot, "tools").iter().enumerate() {
        tools.push(tool(one, generation).map_err(|error| error.within(&format!("tools[{index}]")))?);
    }
    if tools.is_empty() {
        return Ok(());
    }
    out.insert("tools".to_owned(), tools.into());
    let one_at_a_time = get(pivot, "parallel_tool_calls").and_then(Value::as_bool) == Some(false);
    let choice = match get(pivot, "tool_choice") {
        Some(asked) => choice(asked)?,
        None if one_at_a_time => json!({"type": "auto"}),
        None => return Ok(()),
    };
    let mut choice = choice;
    // Who says that a tool must be called has no use for an answer without a call: another model may heed it.
    if generation.refuses_forced_tools() && matches!(text(&choice, "type"), Some("any" | "tool")) {
        return Err(Untranslatable::new("tool_choice", "this model takes `auto` and `none` only"));
    }
    if one_at_a_time && choice["type"] != "none" {
        choice["disable_parallel_tool_use"] = true.into();
    }
    out.insert("tool_choice".to_owned(), choice);
    Ok(())
}

fn tool(tool: &Value, generation: Generation) -> Result<Value, Untranslatable> {
    let function = match (text(tool, "type"), get(tool, "function")) {
        (Some("function"), Some(function)) => function,
        (Some("function"), None) => return Err(Untranslatable::new("function", "is required")),
        _ => {
            return Err(Untranslatable::new(
                "type",
                "Anthropic's wire has no counterpart; only `function` is translated",
            ));
        }
    };
    let name = text(function, "name").ok_or_else(|| Untranslatable::new("function.name", "is required"))?;
    let schema = get(function, "parameters").cloned().unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    let mut out = Object::new();
    copy(function, &mut out, &["description", "cache_control"]);
    copy(tool, &mut out, &["cache_control"]);
    out.insert("name".to_owned(), name.into());
    // A schema that the model cannot be held to is heeded all the same.
    let is_strict = get(function, "strict").and_then(Value::as_bool) == Some(true) && generation.keeps_to_schemas();
    match is_strict.then(|| schema::reduced(&schema)).flatten() {
        Some(schema) => {
            out.insert("strict".to_owned(), true.into());
            out.insert("input_schema".to_owned(), schema);
        }
        None => _ = out.insert("input_schema".to_owned(), schema),
    }
    Ok(out.into())
}

fn choice(choice: &Value) -> Result<Value, Untranslatable> {
    let name = get(choice, "function").and_then(|function| text(function, "name"));
    match (choice.as_str(), name) {
        (Some("auto"), _) => Ok(json!({"type": "auto"})),
        (Some("none"), _) => Ok(json!({"type": "none"})),
        (Some("required"), _) => Ok(json!({"type": "any"})),
        (None, Some(name)) => Ok(json!({"type": "tool", "name": name})),
        _ => Err(Untranslatable::new("tool_choice", "must be `auto`, `none`, `required` or name one function")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(pivot: Value) -> Result<Value, Untranslatable> {
        let mut out = Object::new();
        add(&pivot, &mut out, Generation::of("claude")).map(|()| out.into())
    }

    #[test]
    fn tools_and_the_choice_among_them_are_translated() {
        let tools = json!([
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
            {"type": "function", "function": {"name": "g"}},
        ]);
        let got = translate(json!({"tools": tools, "parallel_tool_calls": false})).expect("translatable");
        let expected = json!({
            "tools": [
                {"name": "f", "description": "d", "input_schema": {"type": "object"}},
                {"name": "g", "input_schema": {"type": "object", "properties": {}}},
            ],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        });
        assert_eq!(got, expected);
        for (choice, expected) in [
            (json!("auto"), json!({"type": "auto"})),
            (json!("none"), json!({"type": "none"})),
            (json!("required"), json!({"type": "any"})),
            (json!({"type": "function", "function": {"name": "f"}}), json!({"type": "tool", "name": "f"})),
        ] {
            let got = translate(json!({"tools": tools, "tool_choice": choice})).expect("translatable");
            assert_eq!(got["tool_choice"], expected);
        }
        assert_eq!(translate(json!({"tool_choice": "none"})), Ok(json!({})), "no tools, no choice");
    }

    #[test]
    fn a_strict_tool_has_a_schema_that_the_model_can_be_held_to_or_is_not_strict() {
        let field = json!({"type": "integer", "minimum": 1});
        let schema = json!({"type": "object", "properties": {"a": field}, "required": ["a"]});
        let free = json!({"type": "object"});
        let of = |model: &str, schema: &Value, strict: bool| {
            let function = json!({"name": "f", "parameters": schema, "strict": strict});
            let tool = tool(&json!({"type": "function", "function": function}), Generation::of(model)).expect("a tool");
            (tool["input_schema"].clone(), tool.get("strict").cloned())
        };
        let reduced = json!({
            "type": "object", "properties": {"a": {"type": "integer", "description": "{minimum: 1}"}}, "required": ["a"],
            "additionalProperties": false,
        });
        assert_eq!(of("claude-sonnet-4-5", &schema, true), (reduced, Some(json!(true))));
        assert_eq!(of("claude-sonnet-4-5", &schema, false), (schema.clone(), None));
        assert_eq!(of("claude-sonnet-4-5", &free, true), (free.clone(), None));
        assert_eq!(of("claude-sonnet-4-0", &schema, true), (schema, None));
    }

    #[test]
    fn a_model_that_cannot_be_made_to_call_a_tool_is_not_asked_to() {
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let add = |model: &str, choice: Value| {
            let pivot = json!({"tools": tools, "tool_choice": choice});
            super::add(&pivot, &mut Object::new(), Generation::of(model)).map_err(|error| error.field)
        };
        for choice in [json!("required"), json!({"type": "function", "function": {"name": "f"}})] {
            assert_eq!(add("claude-opus-5-5", choice.clone()), Err("tool_choice".to_owned()));
            assert_eq!(add("claude-opus-5", choice), Ok(()));
        }
        assert_eq!([add("claude-sonnet-5-5", json!("auto")), add("claude-fable-5-1", json!("none"))], [Ok(()), Ok(())]);
    }

    #[test]
    fn a_tool_of_another_kind_is_named() {
        let refused = |pivot: Value| translate(pivot).expect_err("refused").field;
        assert_eq!(refused(json!({"tools": [{"type": "custom"}]})), "tools[0].type");
        assert_eq!(refused(json!({"tools": [{"type": "function", "function": {}}]})), "tools[0].function.name");
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        assert_eq!(refused(json!({"tools": tools, "tool_choice": {"type": "allowed_tools"}})), "tool_choice");
    }
}
