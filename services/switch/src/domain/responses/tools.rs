//! Tools of a Responses request as tools of a chat: the function is one level deeper there.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Unacceptable;
use super::request::{Fields, raw, read};

/// The fields that are only for requests with tools: a chat with `tool_choice` and nothing to choose from is refused.
pub(super) const FIELDS: [&str; 3] = ["tools", "tool_choice", "parallel_tool_calls"];

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    #[serde(borrow)]
    description: Option<&'a RawValue>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
}

#[derive(Serialize)]
struct Outer<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: T,
}

#[derive(Serialize)]
struct Function<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Deserialize, Serialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    mode: Option<String>,
    tools: Option<Vec<Name>>,
}

#[derive(Serialize)]
struct AllowedChoice {
    #[serde(rename = "type")]
    kind: &'static str,
    allowed_tools: AllowedTools,
}

#[derive(Serialize)]
struct AllowedTools {
    mode: String,
    tools: Vec<Outer<Name>>,
}

/// The fields that a chat says the same with.
pub(super) fn for_chat(fields: &Fields<'_>) -> Result<Vec<(&'static str, Box<RawValue>)>, Unacceptable> {
    let tools: Vec<Tool<'_>> = read(fields, "tools")?.unwrap_or_default();
    if tools.is_empty() {
        return Ok(Vec::new());
    }
    let tools: Vec<_> = tools.into_iter().enumerate().map(function).collect::<Result<_, _>>()?;
    let mut chat = vec![("tools", raw("tools", &tools)?)];
    if let Some(choice) = fields.get("tool_choice") {
        chat.push(("tool_choice", tool_choice(choice)?));
    }
    if let Some(parallel) = fields.get("parallel_tool_calls") {
        chat.push(("parallel_tool_calls", (*parallel).to_owned()));
    }
    Ok(chat)
}

fn function((index, tool): (usize, Tool<'_>)) -> Result<Outer<Function<'_>>, Unacceptable> {
    if tool.kind != "function" {
        let problem = format!("`{}` is run by OpenAI itself; only `function` tools are possible here", tool.kind);
        return Err(Unacceptable::new(format!("tools[{index}].type"), problem));
    }
    let name = tool.name.ok_or_else(|| Unacceptable::new(format!("tools[{index}].name"), "is required"))?;
    let Tool { description, parameters, strict, .. } = tool;
    Ok(outer(Function { name, description, parameters, strict }))
}

fn tool_choice(choice: &RawValue) -> Result<Box<RawValue>, Unacceptable> {
    if choice.get().starts_with('"') {
        return Ok(choice.to_owned());
    }
    let choice: Choice = serde_json::from_str(choice.get())
        .map_err(|error| Unacceptable::new("tool_choice", format!("cannot be read: {error}")))?;
    match choice {
        Choice { kind, name: Some(name), .. } if kind == "function" => raw("tool_choice", &outer(Name { name })),
        Choice { kind, mode: Some(mode), tools: Some(tools), .. } if kind == "allowed_tools" => {
            let tools = tools.into_iter().map(outer).collect();
            let choice = AllowedChoice { kind: "allowed_tools", allowed_tools: AllowedTools { mode, tools } };
            raw("tool_choice", &choice)
        }
        _ => Err(Unacceptable::new("tool_choice", "must be a word, one function, or `allowed_tools`")),
    }
}

fn outer<T>(function: T) -> Outer<T> {
    Outer { kind: "function", function }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn chat(fields: Value) -> Result<Value, Unacceptable> {
        let text = fields.to_string();
        let fields: Fields<'_> = serde_json::from_str(&text).expect("an object");
        let chat = for_chat(&fields)?;
        Ok(serde_json::to_value(chat.into_iter().collect::<std::collections::BTreeMap<_, _>>()).expect("JSON"))
    }

    #[test]
    fn functions_and_choices_go_one_level_deeper() {
        let tools = json!([{ "type": "function", "name": "f", "description": "d", "parameters": { "type": "object" }, "strict": true }]);
        let deeper = json!([{ "type": "function",
            "function": { "name": "f", "description": "d", "parameters": { "type": "object" }, "strict": true } }]);
        let one = json!({ "type": "function", "function": { "name": "f" } });
        let allowed = json!({ "type": "allowed_tools", "allowed_tools": { "mode": "required", "tools": [one] } });
        for (choice, expected) in [
            (json!("required"), json!("required")),
            (json!({ "type": "function", "name": "f" }), one.clone()),
            (
                json!({ "type": "allowed_tools", "mode": "required", "tools": [{ "type": "function", "name": "f" }] }),
                allowed,
            ),
        ] {
            let got = chat(json!({ "tools": tools, "tool_choice": choice, "parallel_tool_calls": false }));
            let expected = json!({ "tools": deeper, "tool_choice": expected, "parallel_tool_calls": false });
            assert_eq!(got, Ok(expected));
        }
        assert_eq!(chat(json!({ "tool_choice": "auto", "parallel_tool_calls": true })), Ok(json!({})));
    }

    #[test]
    fn tools_that_openai_runs_are_refused() {
        let refused = |fields| chat(fields).expect_err("refused").param;
        assert_eq!(refused(json!({ "tools": [{ "type": "web_search" }] })).as_deref(), Some("tools[0].type"));
        assert_eq!(refused(json!({ "tools": [{ "type": "function" }] })).as_deref(), Some("tools[0].name"));
        let tools = json!([{ "type": "function", "name": "f" }]);
        let choice = json!({ "type": "mcp", "server_label": "x" });
        assert_eq!(refused(json!({ "tools": tools, "tool_choice": choice })).as_deref(), Some("tool_choice"));
    }
}
