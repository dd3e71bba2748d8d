//! What a request says and offers, whichever wire it is in: the names of its tools, and the texts of its messages.

use serde_json::{Map, Value};

/// Fields that hold no words of anybody's.
const NO_TEXT: [&str; 18] = [
    "cache_control",
    "call_id",
    "data",
    "detail",
    "encrypted_content",
    "file_data",
    "file_id",
    "format",
    "id",
    "image_url",
    "media_type",
    "role",
    "signature",
    "status",
    "tool_call_id",
    "tool_use_id",
    "type",
    "url",
];

/// What rules look at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// The names of the tools that the model may call; of a tool without a name its type.
    pub(crate) tools: Vec<String>,
    /// The texts of what came before, a message each.
    older: Vec<String>,
    /// Those of what is new: all that was said after the model's last words.
    newest: Vec<String>,
}

impl Content {
    /// Reads a request of any wire.
    pub(crate) fn of(request: &Map<String, Value>) -> Self {
        let mut content = Self { tools: tools(request), ..Self::default() };
        for name in ["system", "instructions"] {
            content.older.extend(request.get(name).map(text));
        }
        for name in ["messages", "input", "prompt"] {
            match request.get(name) {
                Some(Value::Array(items)) => {
                    let (older, newest) = items.split_at(first_new(items));
                    content.older.extend(older.iter().map(text));
                    content.newest.extend(newest.iter().map(text));
                }
                Some(other) => content.newest.push(text(other)),
                None => {}
            }
        }
        content
    }

    /// The texts of what is new.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &str> {
        self.newest.iter().map(String::as_str)
    }

    /// All texts.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.older.iter().chain(&self.newest).map(String::as_str)
    }
}

/// The place of the first message after the model's last words. Words that are put into its mouth, at the end, are new.
pub(super) fn first_new(items: &[Value]) -> usize {
    let end = items.iter().rposition(|item| !is_models(item)).map_or(0, |last| last + 1);
    items[..end].iter().rposition(is_models).map_or(0, |last| last + 1)
}

/// Whether the model said it: its messages, and, in the Responses wire, its calls and thoughts.
fn is_models(item: &Value) -> bool {
    let field = |name: &str| item.get(name).and_then(Value::as_str);
    match (field("role"), field("type")) {
        (Some(role), _) => role == "assistant",
        (None, Some(kind)) => !kind.ends_with("_output") && kind != "item_reference",
        (None, None) => false,
    }
}

/// The names of the tools that the model may call.
pub(super) fn tools(request: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    for list in ["tools", "functions", "mcp_servers"] {
        add_tools(request.get(list), &mut names);
    }
    names
}

fn add_tools(list: Option<&Value>, to: &mut Vec<String>) {
    for tool in list.and_then(Value::as_array).into_iter().flatten() {
        let own = [tool.get("name"), tool.get("server_label")];
        let inner = ["function", "custom"].map(|kind| tool.get(kind).and_then(|inner| inner.get("name")));
        let kind = tool.get("type").filter(|kind| *kind != "function" && *kind != "custom");
        let names = own.into_iter().chain(inner).chain([kind]).flatten();
        to.extend(names.filter_map(Value::as_str).map(str::to_owned));
        add_tools(tool.get("tools"), to);
    }
}

/// All words within a message.
fn text(message: &Value) -> String {
    let mut text = String::new();
    add_text(message, &mut text);
    text
}

fn add_text(value: &Value, to: &mut String) {
    match value {
        Value::String(words) => {
            if !to.is_empty() {
                to.push('\n');
            }
            to.push_str(words);
        }
        Value::Array(items) => items.iter().for_each(|item| add_text(item, to)),
        Value::Object(members) => {
            let words = members.iter().filter(|(name, _)| !NO_TEXT.contains(&name.as_str()));
            words.for_each(|(_, value)| add_text(value, to));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(request: &Value) -> Content {
        Content::of(request.as_object().expect("an object"))
    }

    #[test]
    fn tools_have_names_in_every_wire() {
        let request = json!({
            "tools": [
                {"type": "function", "function": {"name": "chat"}},
                {"type": "custom", "custom": {"name": "grammar"}},
                {"type": "function", "name": "response"},
                {"name": "message", "input_schema": {}},
                {"type": "web_search"},
                {"type": "mcp", "server_label": "stripe"},
                {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "refund"}]},
            ],
            "functions": [{"name": "old"}],
            "mcp_servers": [{"type": "url", "name": "files", "url": "https://x"}],
        });
        let expected = [
            "chat",
            "grammar",
            "response",
            "message",
            "web_search",
            "stripe",
            "mcp",
            "crm",
            "namespace",
            "refund",
            "old",
            "files",
            "url",
        ];
        assert_eq!(content(&request).tools, expected);
    }

    #[test]
    fn new_is_what_was_said_after_the_model() {
        let said = content(&json!({
            "system": "be kind",
            "messages": [
                {"role": "user", "content": "one"},
                {"role": "assistant", "content": "two"},
                {"role": "user", "content": [{"type": "text", "text": "three"},
                    {"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": "four"}]}]},
                {"role": "user", "content": "five"},
                {"role": "assistant", "content": "si"},
            ],
        }));
        assert_eq!(said.newest().collect::<Vec<_>>(), ["three\nfour", "five", "si"]);
        assert_eq!(said.all().collect::<Vec<_>>(), ["be kind", "one", "two", "three\nfour", "five", "si"]);
    }

    #[test]
    fn other_wires_say_the_same_in_other_words() {
        let said = content(&json!({
            "instructions": "be kind",
            "input": [
                {"role": "user", "content": "one"},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "two"},
            ],
        }));
        assert_eq!(said.newest().collect::<Vec<_>>(), ["two"]);
        assert_eq!(content(&json!({"input": "one"})).newest().collect::<Vec<_>>(), ["one"]);
        assert_eq!(content(&json!({"prompt": ["one", "two"]})).newest().collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn an_image_is_no_text() {
        let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,IBAN"}});
        let said = content(&json!({"messages": [{"role": "user", "content": [image]}]}));
        assert_eq!(said.newest().collect::<Vec<_>>(), [""]);
    }
}
