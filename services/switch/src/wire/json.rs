//! Reading JSON of which only parts are known. A null counts as absent: all three wires mean it so.

use serde_json::{Map, Value};

/// A JSON object under construction.
pub(super) type Object = Map<String, Value>;

/// A field of an object.
pub(super) fn get<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| !value.is_null())
}

/// A field that is text.
pub(super) fn text<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    get(object, name)?.as_str()
}

/// A field that is text, and says something.
pub(super) fn said<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    text(object, name).filter(|text| !text.is_empty())
}

/// A field that counts something; 0 where it is absent.
pub(super) fn count(object: &Value, name: &str) -> u64 {
    get(object, name).and_then(Value::as_u64).unwrap_or_default()
}

/// A field that is a list; empty where it is absent.
pub(super) fn list<'v>(object: &'v Value, name: &str) -> &'v [Value] {
    get(object, name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Copies the fields that have the same name and meaning on both sides.
pub(super) fn copy(from: &Value, to: &mut Object, names: &[&str]) {
    for name in names {
        if let Some(value) = get(from, name) {
            to.insert((*name).to_owned(), value.clone());
        }
    }
}

/// A tool call's arguments as an object; no text at all is an empty one. `None`: they are something else.
pub(super) fn arguments(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::Object(Object::new()));
    }
    serde_json::from_str(text).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_an_object_or_nothing() {
        assert_eq!(arguments(" "), Some(json!({})));
        assert_eq!(arguments("{\"a\":[1]}"), Some(json!({"a": [1]})));
        assert_eq!((arguments("[1]"), arguments("{")), (None, None));
    }
}
