//! Which tools the model calls, and with what.

use serde_json::{Map, Value, json};

use super::conversation::{Conversation, Function, ToolChoice};
use super::tokens;

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolCall {
    /// Letters and digits; each wire puts its own prefix before them.
    pub(crate) id: String,
    pub(crate) name: String,
    /// An object that fits the tool's schema.
    pub(crate) arguments: Value,
}

impl ToolCall {
    /// What the call costs.
    pub(crate) fn tokens(&self) -> u64 {
        tokens::count(&self.name) + tokens::count(&self.arguments.to_string())
    }
}

/// The calls that are asked for: the tool that the choice names, the first one where there must be one, or every tool
/// that the last user message names as in "call get_weather".
pub(crate) fn wanted(conversation: &Conversation, hash: u64) -> Vec<ToolCall> {
    let functions = conversation.tools.iter();
    let asked = conversation.asked();
    let chosen: Vec<&Function> = match &conversation.tool_choice {
        ToolChoice::Named(name) => functions.filter(|function| function.name == *name).collect(),
        ToolChoice::None => Vec::new(),
        ToolChoice::Required => functions.take(1).collect(),
        // An answer to a call's result ends the round.
        ToolChoice::Auto if conversation.messages.last().is_some_and(|message| message.role == "tool") => Vec::new(),
        ToolChoice::Auto => functions.filter(|function| asked.contains(&format!("call {}", function.name))).collect(),
    };
    let call = |(index, function): (usize, &Function)| ToolCall {
        id: format!("{:016x}{index:02}", hash.rotate_left(17)),
        name: function.name.clone(),
        arguments: example(&function.parameters, hash),
    };
    chosen.into_iter().enumerate().map(call).collect()
}

/// A value that fits a JSON schema, as far as types, enums and required fields go.
pub(crate) fn example(schema: &Value, hash: u64) -> Value {
    if let Some(options) = schema["enum"].as_array().filter(|options| !options.is_empty()) {
        return options[(hash % options.len() as u64) as usize].clone();
    }
    // Gemini writes types in capitals.
    let kind = schema["type"].as_str().map(str::to_ascii_lowercase);
    match kind.as_deref() {
        Some("string") => json!(format!("text-{:04x}", hash as u16)),
        Some("integer") => json!(hash % 100),
        Some("number") => json!((hash % 1000) as f64 / 10.0),
        Some("boolean") => json!(hash.is_multiple_of(2)),
        Some("null") => Value::Null,
        Some("array") => json!([example(&schema["items"], hash.rotate_left(7))]),
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let fields = properties.map(|(name, schema)| (name.clone(), example(schema, hash.rotate_left(11))));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::conversation::Message;
    use super::*;

    fn names(message: &str, tool_choice: ToolChoice) -> Vec<String> {
        let tool = |name: &str| Function { name: name.to_owned(), parameters: Value::Null };
        let conversation = Conversation {
            messages: vec![Message::new("user", message)],
            tools: vec![tool("get_weather"), tool("get_time")],
            tool_choice,
            ..Conversation::default()
        };
        wanted(&conversation, 42).into_iter().map(|call| call.name).collect()
    }

    #[test]
    fn tools_are_called_when_asked_for() {
        assert_eq!(names("Hello", ToolChoice::Auto), [""; 0]);
        assert_eq!(names("call get_weather and call get_time", ToolChoice::Auto), ["get_weather", "get_time"]);
        assert_eq!(names("call get_weather", ToolChoice::None), [""; 0]);
        assert_eq!(names("Hello", ToolChoice::Required), ["get_weather"]);
        assert_eq!(names("Hello", ToolChoice::Named("get_time".to_owned())), ["get_time"]);
    }

    #[test]
    fn arguments_fit_the_schema() {
        for [object, string, integer] in [["object", "string", "integer"], ["OBJECT", "STRING", "INTEGER"]] {
            let schema = json!({ "type": object, "properties": {
                "city": { "type": string }, "unit": { "enum": ["c", "f"] }, "days": { "type": integer } } });
            let arguments = example(&schema, 42);
            assert!(arguments["city"].is_string() && arguments["days"].is_u64(), "{arguments}");
            assert!(["c", "f"].contains(&arguments["unit"].as_str().expect("one of the two")));
        }
    }
}
