//! Tools of a Responses request as tools of a chat: what is called is one level deeper there.

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
    #[serde(borrow)]
    format: Option<&'a RawValue>,
}

/// What the caller runs: a function, or a tool that takes any text.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Outer<F, C> {
    Function { function: F },
    Custom { custom: C },
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

#[derive(Serialize)]
struct Custom<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

/// What a text must be like; a chat has the grammar one level deeper.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    Text,
    Grammar { grammar: Grammar<'a> },
}

#[derive(Deserialize, Serialize)]
struct Grammar<'a> {
    #[serde(borrow)]
    syntax: &'a RawValue,
    #[serde(borrow)]
    definition: &'a RawValue,
}

#[derive(Deserialize, Serialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Allowed {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    mode: Option<String>,
    tools: Option<Vec<Allowed>>,
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
    tools: Vec<Outer<Name, Name>>,
}

/// The fields that a chat says the same with.
pub(super) fn for_chat(fields: &Fields<'_>) -> Result<Vec<(&'static str, Box<RawValue>)>, Unacceptable> {
    let tools: Vec<Tool<'_>> = read(fields, "tools")?.unwrap_or_default();
    if tools.is_empty() {
        return Ok(Vec::new());
    }
    let tools: Vec<_> = tools.into_iter().enumerate().map(callers).collect::<Result<_, _>>()?;
    let mut chat = vec![("tools", raw("tools", &tools)?)];
    if let Some(choice) = fields.get("tool_choice") {
        chat.push(("tool_choice", tool_choice(choice)?));
    }
    if let Some(parallel) = fields.get("parallel_tool_calls") {
        chat.push(("parallel_tool_calls", (*parallel).to_owned()));
    }
    Ok(chat)
}

/// A tool that the caller runs.
fn callers((index, tool): (usize, Tool<'_>)) -> Result<Outer<Function<'_>, Custom<'_>>, Unacceptable> {
    let Tool { kind, name, description, parameters, strict, format } = tool;
    if !["function", "custom"].contains(&kind.as_str()) {
        let problem = format!("`{kind}` is run by OpenAI itself; only `function` and `custom` tools are possible here");
        return Err(Unacceptable::new(format!("tools[{index}].type"), problem));
    }
    let name = name.ok_or_else(|| Unacceptable::new(format!("tools[{index}].name"), "is required"))?;
    if kind == "function" {
        return Ok(Outer::Function { function: Function { name, description, parameters, strict } });
    }
    let format = format.map(|format| text_format(format, &format!("tools[{index}].format"))).transpose()?;
    Ok(Outer::Custom { custom: Custom { name, description, format } })
}

fn text_format<'a>(format: &'a RawValue, place: &str) -> Result<Format<'a>, Unacceptable> {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    let unreadable = |error: serde_json::Error| Unacceptable::new(place, format!("cannot be read: {error}"));
    let Kind { kind } = serde_json::from_str(format.get()).map_err(unreadable)?;
    match kind.as_str() {
        "text" => Ok(Format::Text),
        "grammar" => Ok(Format::Grammar { grammar: serde_json::from_str(format.get()).map_err(unreadable)? }),
        _ => Err(Unacceptable::new(format!("{place}.type"), "must be `text` or `grammar`")),
    }
}

fn tool_choice(choice: &RawValue) -> Result<Box<RawValue>, Unacceptable> {
    if choice.get().starts_with('"') {
        return Ok(choice.to_owned());
    }
    let choice: Choice = serde_json::from_str(choice.get())
        .map_err(|error| Unacceptable::new("tool_choice", format!("cannot be read: {error}")))?;
    match choice {
        Choice { kind, mode: Some(mode), tools: Some(tools), .. } if kind == "allowed_tools" => {
            let tools = tools.into_iter().map(|Allowed { kind, name }| named(&kind, name)).collect::<Result<_, _>>()?;
            let choice = AllowedChoice { kind: "allowed_tools", allowed_tools: AllowedTools { mode, tools } };
            raw("tool_choice", &choice)
        }
        Choice { kind, name, .. } => raw("tool_choice", &named(&kind, name)?),
    }
}

/// One tool, by its name.
fn named(kind: &str, name: Option<String>) -> Result<Outer<Name, Name>, Unacceptable> {
    match (kind, name.map(|name| Name { name })) {
        ("function", Some(function)) => Ok(Outer::Function { function }),
        ("custom", Some(custom)) => Ok(Outer::Custom { custom }),
        _ => Err(Unacceptable::new("tool_choice", "must be a word, one tool of the caller's, or `allowed_tools`")),
    }
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
    fn what_takes_any_text_goes_one_level_deeper_too() {
        let grammar = json!({ "syntax": "lark", "definition": "start: /a/" });
        let flat = json!({ "type": "grammar", "syntax": "lark", "definition": "start: /a/" });
        let deeper = json!({ "type": "grammar", "grammar": grammar });
        for (format, expected) in [(flat, deeper), (json!({ "type": "text" }), json!({ "type": "text" }))] {
            let tools = json!([{ "type": "custom", "name": "patch", "description": "d", "format": format }]);
            let got = chat(json!({ "tools": tools, "tool_choice": { "type": "custom", "name": "patch" } }));
            let custom = json!({ "name": "patch", "description": "d", "format": expected });
            let choice = json!({ "type": "custom", "custom": { "name": "patch" } });
            assert_eq!(got, Ok(json!({ "tools": [{ "type": "custom", "custom": custom }], "tool_choice": choice })));
        }
        let unknown = json!([{ "type": "custom", "name": "p", "format": { "type": "jpeg" } }]);
        let refused = chat(json!({ "tools": unknown })).expect_err("refused").param;
        assert_eq!(refused.as_deref(), Some("tools[0].format.type"));
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
