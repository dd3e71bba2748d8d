//! Which texts of a request are encoded data, such as images: no words that a rule could look at or a pilot read.

use serde_json::{Map, Value};

/// Fields that hold nothing else.
const DATA: [&str; 4] = ["b64_json", "encrypted_content", "file_data", "signature"];
/// Objects in which every name is the caller's own: arguments of tools, and schemas of them.
const OWN_NAMES: [&str; 6] = ["arguments", "input", "input_schema", "json_schema", "parameters", "schema"];

/// Whether the field `name` of `within` holds encoded data. It has to look like it, too: words are none wherever they
/// stand.
pub(super) fn is_data(name: &str, within: &Map<String, Value>) -> bool {
    let Some(Value::String(text)) = within.get(name) else { return false };
    match name {
        // Of Anthropic's documents some are plain text.
        "data" => within.get("type").is_none_or(|kind| kind != "text") && is_encoded(text),
        "image_url" | "url" => is_own_content(text) && is_encoded(text),
        name => DATA.contains(&name) && is_encoded(text),
    }
}

/// Whether the fields of `value`, which stands under `name`, are the caller's own, whatever they are called.
pub(super) fn has_own_names(name: &str, value: &Value) -> bool {
    value.is_object() && OWN_NAMES.contains(&name)
}

/// Whether `text` is an address that is its own content (RFC 2397); without base64 that may be words.
pub(super) fn is_own_content(text: &str) -> bool {
    text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// Whether it may be base64, or an address that is its own content.
fn is_encoded(text: &str) -> bool {
    let text = text.split_once(";base64,").filter(|(head, _)| head.starts_with("data:")).map_or(text, |(_, data)| data);
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'='))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_is_known_by_its_field_and_its_look() {
        let is = |name: &str, within: Value| is_data(name, within.as_object().expect("an object"));
        assert!(is("data", json!({"type": "base64", "data": "iVBORw0KGgo="})));
        assert!(is("data", json!({"format": "wav", "data": "iVBORw0KGgo="})));
        assert!(is("url", json!({"url": "data:image/png;base64,iVBO"})));
        assert!(is("file_data", json!({"file_data": "data:application/pdf;base64,iVBO"})));
        assert!(!is("data", json!({"type": "text", "data": "iVBORw0KGgo="})), "a document of plain text");
        assert!(!is("file_data", json!({"file_data": "pay them"})));
        assert!(!is("url", json!({"url": "https://x"})));
        assert!(!is("url", json!({"url": "data:text/plain,pay"})), "words in an address");
        assert!(!is("text", json!({"text": "iVBORw0KGgo="})), "a word is a word, as long as it may be");
    }
}
