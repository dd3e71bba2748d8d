//! How arguments were edited.

use serde_json::{Map, Value};

/// The way from one set of arguments to another, as a JSON Patch (RFC 6902).
pub(super) fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Value> {
    let patch = json_patch::diff(&Value::Object(before.clone()), &Value::Object(after.clone()));
    patch.0.into_iter().filter_map(|operation| serde_json::to_value(operation).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn between(before: &Value, after: &Value) -> Value {
        let object = |value: &Value| value.as_object().expect("an object").clone();
        Value::Array(changes(&object(before), &object(after)))
    }

    #[test]
    fn an_edit_says_what_was_changed_and_nothing_else() {
        let before = json!({"env": "prod", "hosts": ["a", "b"], "force": true});
        let after = json!({"env": "test", "hosts": ["a"], "dry_run": true});
        let changes = between(&before, &after);
        let mut patched = before.clone();
        let patch: json_patch::Patch = serde_json::from_value(changes.clone()).expect("a patch");
        json_patch::patch(&mut patched, &patch).expect("fits");
        assert_eq!(patched, after);
        assert_eq!(between(&before, &before), json!([]));
        assert_eq!(
            between(&json!({"env": "prod", "n": 1}), &json!({"env": "test", "n": 1})),
            json!([{"op": "replace", "path": "/env", "value": "test"}])
        );
    }
}
