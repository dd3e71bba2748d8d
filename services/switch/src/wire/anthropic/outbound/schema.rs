//! A JSON schema in the part of the language that Anthropic constrains answers and strict tools to; it refuses the
//! rest.
//!
//! What a schema says beyond that goes into its description, as in Anthropic's own libraries: the model may heed it.
//! What would be lost with that, such as objects with any names or trees, has no such form at all.
//!
//! Source: Anthropic's documentation, "Structured outputs", JSON Schema limitations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::recursion::is_recursive;
use crate::wire::json::Object;

/// What is taken as it stands.
const KEPT: [&str; 6] = ["const", "default", "description", "required", "title", "type"];

/// What says nothing about an answer.
const SILENT: [&str; 4] = ["$comment", "$id", "$schema", "discriminator"];

const FORMATS: [&str; 10] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"];

/// What says how a value is meant, not what it may be.
const MEANT: [&str; 6] = ["default", "deprecated", "description", "examples", "title", "$defs"];

/// One of these says what a value may be.
const SAYS: [&str; 6] = ["$ref", "allOf", "anyOf", "const", "enum", "type"];

/// `schema` as far as it is taken; `None` where that would be another one.
pub(super) fn reduced(schema: &Value) -> Option<Value> {
    if is_recursive(schema) { None } else { part(schema) }
}

/// The fields of a schema.
type Fields<'s> = BTreeMap<&'s str, &'s Value>;

fn part(schema: &Value) -> Option<Value> {
    let given = merged(schema.as_object()?)?;
    let (mut out, mut lost) = (Object::new(), Vec::new());
    let is_reference = given.contains_key("$ref");
    for (&name, &value) in &given {
        match name {
            "$defs" | "definitions" => _ = out.insert(name.to_owned(), each_field(value)?),
            "$ref" => _ = out.insert(name.to_owned(), value.as_str().filter(|at| at.starts_with('#'))?.into()),
            _ if SILENT.contains(&name) => {}
            // Nothing may stand beside a reference, but what others refer to.
            _ if is_reference => MEANT.contains(&name).then_some(())?,
            "properties" => _ = out.insert(name.to_owned(), each_field(value)?),
            "items" => _ = out.insert(name.to_owned(), part(value)?),
            "anyOf" | "oneOf" => _ = out.insert("anyOf".to_owned(), each(value)?),
            "allOf" if value.as_array()?.iter().all(|part| part.get("$ref").is_none()) => {
                out.insert(name.to_owned(), each(value)?);
            }
            "allOf" => return None,
            "enum" if value.as_array()?.iter().any(|value| value.is_object() || value.is_array()) => return None,
            "enum" => _ = out.insert(name.to_owned(), value.clone()),
            "format" if FORMATS.iter().any(|format| value == format) => _ = out.insert(name.to_owned(), value.clone()),
            "minItems" if value.as_u64().is_some_and(|least| least < 2) => {
                out.insert(name.to_owned(), value.clone());
            }
            "additionalProperties" => {}
            _ if KEPT.contains(&name) => _ = out.insert(name.to_owned(), value.clone()),
            _ => lost.push(format!("{name}: {value}")),
        }
    }
    if is_object(&out) {
        close(&mut out, given.get("additionalProperties").copied())?;
    }
    describe(&mut out, &lost);
    SAYS.iter().any(|word| out.contains_key(*word)).then(|| out.into())
}

/// The fields of a schema, and where it is to be one of all and the only one, of that: pydantic's way to say more about a
/// reference. `None`: more than how it is meant is said beside it, so that both hold.
fn merged(schema: &Object) -> Option<Fields<'_>> {
    let (mut fields, mut given) = (Fields::new(), schema);
    while let Some(only) = only_part(given) {
        for (name, value) in given.iter().filter(|(name, _)| *name != "allOf") {
            let is_meant = MEANT.contains(&name.as_str()) || SILENT.contains(&name.as_str());
            is_meant.then(|| fields.entry(name).or_insert(value))?;
        }
        given = only;
    }
    for (name, value) in given {
        fields.entry(name).or_insert(value);
    }
    Some(fields)
}

fn only_part(given: &Object) -> Option<&Object> {
    match given.get("allOf")?.as_array()?.as_slice() {
        [only] => only.as_object(),
        _ => None,
    }
}

fn each(schemas: &Value) -> Option<Value> {
    schemas.as_array()?.iter().map(part).collect::<Option<Vec<_>>>().map(Value::from)
}

fn each_field(schemas: &Value) -> Option<Value> {
    let field = |(name, schema): (&String, &Value)| Some((name.clone(), part(schema)?));
    schemas.as_object()?.iter().map(field).collect::<Option<Object>>().map(Value::from)
}

fn is_object(schema: &Object) -> bool {
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
        None => schema.contains_key("properties"),
    }
}

/// An object has the fields that it names, and no `others`. `None`: those are what it is for.
fn close(object: &mut Object, others: Option<&Value>) -> Option<()> {
    let has_fields = object.get("properties").and_then(Value::as_object).is_some_and(|fields| !fields.is_empty());
    let is_closed = others == Some(&Value::Bool(false));
    if others.is_some_and(Value::is_object) || !(has_fields || is_closed) {
        return None;
    }
    object.insert("additionalProperties".to_owned(), false.into());
    Some(())
}

fn describe(out: &mut Object, lost: &[String]) {
    if lost.is_empty() {
        return;
    }
    let said = out.get("description").and_then(Value::as_str).map(|said| format!("{said}\n\n")).unwrap_or_default();
    out.insert("description".to_owned(), format!("{said}{{{}}}", lost.join(", ")).into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_schema_of_pydantics_says_beyond_is_in_its_descriptions() {
        let got = reduced(&json!({
            "$defs": {"Kind": {"enum": ["a", "b"], "title": "Kind", "type": "string"}},
            "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Thing", "type": "object",
            "properties": {
                "age": {"type": "integer", "minimum": 0, "maximum": 150, "description": "In years.", "default": 3},
                "name": {"type": "string", "minLength": 1, "pattern": "^a", "format": "password"},
                "born": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
                "kind": {"allOf": [{"$ref": "#/$defs/Kind"}], "description": "Of what kind."},
                "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 1, "maxItems": 5},
                "shape": {"oneOf": [{"const": 1}, {"type": ["object", "null"], "properties": {"x": {"type": "number"}}}]},
            },
            "required": ["name"],
        }));
        let expected = json!({
            "$defs": {"Kind": {"enum": ["a", "b"], "title": "Kind", "type": "string"}},
            "title": "Thing", "type": "object", "additionalProperties": false,
            "properties": {
                "age": {"type": "integer", "description": "In years.\n\n{maximum: 150, minimum: 0}", "default": 3},
                "name": {"type": "string", "description": "{format: \"password\", minLength: 1, pattern: \"^a\"}"},
                "born": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
                "kind": {"$ref": "#/$defs/Kind"},
                "tags": {
                    "type": "array", "items": {"type": "string", "description": "{maxLength: 9}"}, "minItems": 1,
                    "description": "{maxItems: 5}",
                },
                "shape": {"anyOf": [
                    {"const": 1},
                    {"type": ["object", "null"], "properties": {"x": {"type": "number"}}, "additionalProperties": false},
                ]},
            },
            "required": ["name"],
        });
        assert_eq!(got, Some(expected));
    }

    #[test]
    fn what_is_taken_stays_as_it_is() {
        let schema = json!({
            "type": "object", "properties": {"a": {"type": "string", "description": "d"}}, "required": ["a"],
            "additionalProperties": false,
        });
        assert_eq!(reduced(&schema), Some(schema));
    }

    #[test]
    fn what_would_be_another_schema_has_no_such_form() {
        for schema in [
            json!(true),
            json!({}),
            json!({"title": "Anything"}),
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            json!({"$ref": "https://example.org/schema"}),
            json!({"enum": [{"a": 1}]}),
            json!({"allOf": [{"$ref": "#/$defs/A"}, {"type": "object", "properties": {"a": {"type": "string"}}}]}),
            json!({"type": "array", "items": [{"type": "string"}]}),
            json!({"type": "array", "items": {"$ref": "#"}}),
            json!({"allOf": [{"$ref": "#/$defs/A"}], "type": "object", "properties": {"b": {"type": "string"}}}),
            json!({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}], "required": ["b"]}),
            json!({"$ref": "#/$defs/A", "required": ["b"]}),
        ] {
            assert_eq!(reduced(&schema), None, "{schema}");
            let within = json!({"type": "object", "properties": {"x": schema}});
            assert_eq!(reduced(&within), None, "{within}");
        }
        let closed = json!({"type": "object", "additionalProperties": false});
        assert_eq!(reduced(&closed), Some(closed));
    }
}
