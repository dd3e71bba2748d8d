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
