//! Whether a JSON schema is one that OpenAI's servers follow to the letter. They refuse `strict` for any other.
//!
//! Source: OpenAI's documentation, "Structured outputs", supported schemas.

use std::collections::HashSet;

use serde_json::Value;

/// What a strict schema may say.
const WORDS: [&str; 22] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
];

const FORMATS: [&str; 9] = ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"];

/// Whether `schema` may be strict: it is of an object, no field of an object is optional, and there are none but those
/// named.
pub(super) fn is_strict(schema: &Value) -> bool {
    schema["type"] == "object" && is_strict_within(schema)
}

fn is_strict_within(schema: &Value) -> bool {
    let Some(said) = schema.as_object() else { return false };
    said.iter().all(|(name, value)| match name.as_str() {
        "properties" => {
            let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
            let required: HashSet<&str> = required.iter().filter_map(Value::as_str).collect();
            let is_required = |name: &String| required.contains(name.as_str());
            value
                .as_object()
                .is_some_and(|fields| fields.keys().all(is_required) && fields.values().all(is_strict_within))
        }
        "$defs" | "definitions" => value.as_object().is_some_and(|defined| defined.values().all(is_strict_within)),
        "anyOf" => value.as_array().is_some_and(|schemas| schemas.iter().all(is_strict_within)),
        "items" => is_strict_within(value),
        "type" => !may_be_object(value) || schema["additionalProperties"] == false,
        "format" => FORMATS.iter().any(|format| value == format),
        other => WORDS.contains(&other),
    })
}

fn may_be_object(kind: &Value) -> bool {
    kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(field: Value) -> Value {
        json!({"type": "object", "properties": {"a": field}, "required": ["a"], "additionalProperties": false})
    }

    #[test]
    fn a_closed_object_whose_fields_are_all_required_is_strict() {
        for field in [
            json!({"type": "string", "description": "d", "format": "date"}),
            json!({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/A"}]}),
            json!({"type": "array", "items": object(json!({"enum": [1, 2]})), "minItems": 1}),
        ] {
            assert!(is_strict(&object(field.clone())), "{field}");
        }
    }

    #[test]
    fn any_other_is_not() {
        let optional = json!({
            "type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"],
            "additionalProperties": false,
        });
        let open = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        for schema in [
            optional.clone(),
            open,
            object(optional),
            json!({"type": "object"}),
            json!({"type": "string"}),
            json!(true),
        ] {
            assert!(!is_strict(&schema), "{schema}");
        }
        for field in [
            json!({"type": "string", "default": "x"}),
            json!({"type": "string", "format": "uri"}),
            json!({"allOf": [{"type": "string"}]}),
            json!({"type": "object"}),
        ] {
            assert!(!is_strict(&object(field.clone())), "{field}");
        }
    }
}
