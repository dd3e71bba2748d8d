//! Which tools the model calls, and with what.

use serde_json::{Map, Value, json};

use super::request::{ChatRequest, Function};

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON text that fits the tool's schema.
    pub(crate) arguments: String,
}

/// The calls that the request asks for: the tool that `tool_choice` names, the first one where it says `required`, or
/// every tool that the last user message names as in "call get_weather".
pub(crate) fn wanted(request: &ChatRequest, asked: &str, hash: u64) -> Vec<ToolCall> {
    let functions = request.tools.iter().map(|tool| &tool.function);
    let choice = request.tool_choice.as_ref();
    let named = choice.and_then(|choice| choice["function"]["name"].as_str());
    let chosen: Vec<&Function> = match (named, choice.and_then(Value::as_str)) {
        (Some(name), _) => functions.filter(|function| function.name == name).collect(),
        (None, Some("none")) => Vec::new(),
        (None, Some("required")) => functions.take(1).collect(),
        // An answer to a call's result ends the round.
        _ if request.messages.last().is_some_and(|message| message.role == "tool") => Vec::new(),
        _ => functions.filter(|function| asked.contains(&format!("call {}", function.name))).collect(),
    };
    let call = |(index, function): (usize, &Function)| ToolCall {
        id: format!("call_{:016x}{index:02}", hash.rotate_left(17)),
        name: function.name.clone(),
        arguments: example(&function.parameters, hash).to_string(),
    };
    chosen.into_iter().enumerate().map(call).collect()
}

/// A value that fits a JSON schema, as far as types, enums and required fields go.
pub(crate) fn example(schema: &Value, hash: u64) -> Value {
    if let Some(options) = schema["enum"].as_array().filter(|options| !options.is_empty()) {
        return options[(hash % options.len() as u64) as usize].clone();
    }
    match schema["type"].as_str() {
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
    use super::*;

    fn request(message: &str, choice: Value) -> ChatRequest {
        let weather = json!({ "type": "object", "properties": {
            "city": { "type": "string" }, "unit": { "enum": ["c", "f"] }, "days": { "type": "integer" } } });
        serde_json::from_value(json!({
            "model": "mock",
            "messages": [{ "role": "user", "content": message }],
            "tools": [
                { "type": "function", "function": { "name": "get_weather", "parameters": weather } },
                { "type": "function", "function": { "name": "get_time" } },
            ],
            "tool_choice": choice,
        }))
        .expect("a request")
    }

    fn names(message: &str, choice: Value) -> Vec<String> {
        wanted(&request(message, choice), message, 42).into_iter().map(|call| call.name).collect()
    }

    #[test]
    fn tools_are_called_when_asked_for() {
        assert_eq!(names("Hello", Value::Null), [""; 0]);
        assert_eq!(names("call get_weather and call get_time", json!("auto")), ["get_weather", "get_time"]);
        assert_eq!(names("call get_weather", json!("none")), [""; 0]);
        assert_eq!(names("Hello", json!("required")), ["get_weather"]);
        assert_eq!(names("Hello", json!({ "type": "function", "function": { "name": "get_time" } })), ["get_time"]);
    }

    #[test]
    fn arguments_fit_the_schema() {
        let calls = wanted(&request("call get_weather", Value::Null), "call get_weather", 42);
        let arguments: Value = serde_json::from_str(&calls[0].arguments).expect("JSON");
        assert!(arguments["city"].is_string() && arguments["days"].is_u64());
        assert!(["c", "f"].contains(&arguments["unit"].as_str().expect("one of the two")));
    }
}
