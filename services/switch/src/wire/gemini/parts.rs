//! The parts of an answer.

use serde_json::{Value, json};

use crate::wire::data_url;
use crate::wire::json::{get, said, text};

/// What one part says.
#[derive(Debug, PartialEq)]
pub(super) enum Said<'a> {
    /// Text of the answer.
    Text(&'a str),
    /// Reasoning.
    Thought(&'a str),
    /// A tool call, whole, as OpenAI has it.
    Call(Value),
    /// An image, as compatible servers have it among the `images` of a message.
    Image(Value),
}

/// Reads a part. `number` is its place among the tool calls of the answer `id`, for a call that has no id of its own.
pub(super) fn read<'a>(part: &'a Value, id: &str, number: u64) -> Option<Said<'a>> {
    if let Some(call) = get(part, "functionCall") {
        return Some(Said::Call(tool_call(part, call, id, number)));
    }
    // A draft that is only thought of is no part of the answer, be it words or an image.
    if get(part, "thought").and_then(Value::as_bool) == Some(true) {
        return said(part, "text").map(Said::Thought);
    }
    if let Some(image) = get(part, "inlineData").and_then(image) {
        return Some(Said::Image(image));
    }
    said(part, "text").map(Said::Text)
}

fn image(data: &Value) -> Option<Value> {
    let media_type = said(data, "mimeType").filter(|media_type| media_type.starts_with("image/"))?;
    Some(json!({"type": "image_url", "image_url": {"url": data_url::join(media_type, said(data, "data")?)}}))
}

fn tool_call(part: &Value, call: &Value, id: &str, number: u64) -> Value {
    let id = said(call, "id").map_or_else(|| format!("call_{id}_{number}"), str::to_owned);
    let arguments = get(call, "args").map_or_else(|| "{}".to_owned(), Value::to_string);
    let mut out = crate::wire::openai::tool_call(&id, text(call, "name").unwrap_or_default(), &arguments);
    // Newer models want it back with the call; Google's own OpenAI endpoint has it in this place.
    if let Some(signature) = said(part, "thoughtSignature") {
        out["extra_content"] = json!({"google": {"thought_signature": signature}});
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::openai::thought_signature;

    #[test]
    fn text_thoughts_and_calls_are_told_apart() {
        assert_eq!(read(&json!({"text": "a"}), "r", 0), Some(Said::Text("a")));
        assert_eq!(read(&json!({"text": "a", "thought": true}), "r", 0), Some(Said::Thought("a")));
        assert_eq!(read(&json!({"text": ""}), "r", 0), None);
        assert_eq!(read(&json!({"executableCode": {}}), "r", 0), None);
        let inline = |media_type: &str| json!({"inlineData": {"mimeType": media_type, "data": "aGk="}});
        let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}});
        assert_eq!(read(&inline("image/png"), "r", 0), Some(Said::Image(image)));
        assert_eq!(read(&inline("audio/pcm"), "r", 0), None);
        let mut draft = inline("image/png");
        draft["thought"] = true.into();
        assert_eq!(read(&draft, "r", 0), None, "it is thought of, not drawn");
        let part = json!({"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "s"});
        let Some(Said::Call(call)) = read(&part, "r", 2) else { panic!("a call") };
        assert_eq!((&call["id"], thought_signature(&call)), (&json!("call_r_2"), Some("s")));
        assert_eq!(call["function"], json!({"name": "f", "arguments": "{\"x\":1}"}));
    }
}
