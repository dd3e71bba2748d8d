//! What a request says and offers, whichever wire it is in: the names of its tools, and the texts of its messages.

use serde_json::{Map, Value};

use super::data::{has_own_names, is_data, is_own_content};
use crate::domain::tools;

/// Fields whose texts are no words of anybody's, but say how others are meant. What is data is known by more than its
/// name.
const NO_TEXT: [&str; 14] = [
    "cache_control",
    "call_id",
    "detail",
    "file_id",
    "format",
    "id",
    "image_url",
    "media_type",
    "role",
    "status",
    "tool_call_id",
    "tool_use_id",
    "type",
    "url",
];
/// What is said now, or has been said, in the order of time.
pub(super) const SAID: [&str; 5] = ["messages", "input", "prompt", "suffix", "prediction"];
/// Fields that say nothing to the model.
const LABELS: [&str; 6] = ["metadata", "model", "prompt_cache_key", "safety_identifier", "service_tier", "user"];

/// What rules look at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// The names of the tools that the model may use; of a tool without a name its type.
    pub(crate) tools: Vec<String>,
    /// Whether something is said in tokens, which nobody here can read.
    pub(crate) has_tokens: bool,
    /// The texts of what came before, a message each, and of all else that the model is given.
    older: Vec<String>,
    /// Those of what is new: all that was said after the model's last words.
    newest: Vec<String>,
}

impl Content {
    /// Reads a request of any wire.
    pub(crate) fn of(request: &Map<String, Value>) -> Self {
        let mut content = Self { tools: tools::names(request), ..Self::default() };
        let beside =
            request.iter().filter(|(name, _)| !SAID.contains(&name.as_str()) && !LABELS.contains(&name.as_str()));
        content.older.extend(beside.map(|(name, value)| text_of(name, value)));
        for name in SAID {
            match request.get(name) {
                Some(Value::Array(items)) => {
                    content.has_tokens |= items.iter().any(is_of_tokens);
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

/// Whether it is a token, or a list that begins with one.
fn is_of_tokens(item: &Value) -> bool {
    item.is_number() || item.as_array().is_some_and(|list| list.first().is_some_and(Value::is_number))
}

/// All words within a message.
fn text(message: &Value) -> String {
    let mut text = String::new();
    add_text(message, false, &mut text);
    text
}

/// All words within the field `name`.
fn text_of(name: &str, value: &Value) -> String {
    let mut text = String::new();
    add_text(value, has_own_names(name, value), &mut text);
    text
}

/// Adds the words of `value`. Where `all_count` its names are the caller's own, and so are the words under each.
fn add_text(value: &Value, all_count: bool, to: &mut String) {
    match value {
        Value::String(words) => {
            if !to.is_empty() {
                to.push('\n');
            }
            to.push_str(words);
        }
        Value::Array(items) => items.iter().for_each(|item| add_text(item, all_count, to)),
        Value::Object(members) => {
            for (name, value) in members {
                if all_count || !(is_no_text(name, value) || is_data(name, members)) {
                    add_text(value, all_count || has_own_names(name, value), to);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether `value`, which stands under `name`, says how others are meant. What is within an object or a list may be
/// words again, as a schema's are, and so may an address that is its own content.
fn is_no_text(name: &str, value: &Value) -> bool {
    NO_TEXT.contains(&name) && value.as_str().is_some_and(|text| !is_own_content(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(request: &Value) -> Content {
        Content::of(request.as_object().expect("an object"))
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

    #[test]
    fn a_document_and_the_arguments_of_a_tool_are_words() {
        let document =
            json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "IBAN"}});
        let call =
            json!({"type": "tool_use", "id": "x", "name": "f", "input": {"id": "one", "url": "two", "data": "three"}});
        let said = content(&json!({"messages": [{"role": "user", "content": [document, call]}]}));
        assert_eq!(said.newest().collect::<Vec<_>>(), ["IBAN\nthree\none\ntwo\nf"]);
    }

    #[test]
    fn all_is_whatever_the_model_is_given() {
        let said = content(&json!({
            "model": "m", "metadata": {"tier": "batch"}, "prompt": "one", "suffix": "two",
            "prediction": {"type": "content", "content": "three"},
            "tools": [{"type": "function", "function": {"name": "pay", "description": "four",
                "parameters": {"type": "object", "properties": {"id": {"description": "five"}}}}}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "description": "six"}},
            "text": {"format": {"type": "json_schema", "schema": {"properties": {"iban": {"description": "seven"}}}}},
            "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:text/plain,eight"}},
                {"type": "input_image", "image_url": "DATA:text/plain,nine"},
                {"type": "image_url", "image_url": {"url": "https://example.com/ten.png"}},
            ]}],
        }));
        assert_eq!(
            said.newest().collect::<Vec<_>>(),
            ["data:text/plain,eight\nDATA:text/plain,nine", "one", "two", "three"]
        );
        let custom = json!({"type": "custom", "custom": {"name": "sql", "format": {"type": "grammar",
            "grammar": {"syntax": "lark", "definition": "start: \"eleven\""}}}});
        let flat = json!({"type": "custom", "name": "sql",
            "format": {"type": "grammar", "syntax": "regex", "definition": "twelve"}});
        let tools = content(&json!({"input": "hi", "tools": [custom, flat]}));
        let all = said.all().chain(tools.all()).collect::<Vec<_>>().join(" ");
        for word in ["four", "five", "six", "seven", "eight", "nine", "eleven", "twelve"] {
            assert!(all.contains(word), "{word}: {all}");
        }
        for none in ["batch", "ten"] {
            assert!(!all.contains(none), "{none}: {all}");
        }
    }

    #[test]
    fn tokens_are_no_words_that_can_be_read() {
        for request in [json!({"prompt": [1, 2]}), json!({"prompt": [[1], [2]]}), json!({"input": [[1, 2]]})] {
            assert!(content(&request).has_tokens, "{request}");
        }
        assert!(!content(&json!({"prompt": ["one", "two"]})).has_tokens);
    }
}
