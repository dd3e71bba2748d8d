//! Whether a JSON schema refers to itself, as that of a tree does. Anthropic constrains nothing to such a one.

use std::collections::HashSet;

use serde_json::Value;

/// Parts within parts that are followed, references included. No schema for an answer goes deeper, and one that does is
/// taken for one without an end: the way through it is a call within a call.
const DEEPEST: usize = 256;

/// Whether a part of `schema` refers to what it is part of.
pub(super) fn is_recursive(schema: &Value) -> bool {
    let mut walk = Walk { whole: schema, depth: 0, within: vec![""], done: HashSet::new() };
    walk.comes_back_from(schema)
}

/// A way through a schema along its references, which are told by where they point.
struct Walk<'s> {
    whole: &'s Value,
    depth: usize,
    /// What is looked at now, and what led there.
    within: Vec<&'s str>,
    /// What leads nowhere that it has been.
    done: HashSet<&'s str>,
}

impl<'s> Walk<'s> {
    fn comes_back_from(&mut self, part: &'s Value) -> bool {
        if self.depth == DEEPEST {
            return true;
        }
        self.depth += 1;
        let comes_back = self.comes_back_within(part);
        self.depth -= 1;
        comes_back
    }

    fn comes_back_within(&mut self, part: &'s Value) -> bool {
        match part {
            Value::Object(fields) => fields.iter().any(|(name, value)| match value.as_str() {
                Some(at) if name == "$ref" => self.comes_back_by(at),
                _ => self.comes_back_from(value),
            }),
            Value::Array(parts) => parts.iter().any(|part| self.comes_back_from(part)),
            _ => false,
        }
    }

    fn comes_back_by(&mut self, reference: &'s str) -> bool {
        let Some(at) = reference.strip_prefix('#') else { return false };
        if self.within.contains(&at) {
            return true;
        }
        let Some(part) = self.whole.pointer(at).filter(|_| !self.done.contains(at)) else { return false };
        self.within.push(at);
        let comes_back = self.comes_back_from(part);
        self.within.pop();
        self.done.insert(at);
        comes_back
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_leads_back_to_itself_is_found() {
        let to = |at: &str| json!({"type": "array", "items": {"$ref": at}});
        for schema in [
            json!({"type": "object", "properties": {"children": to("#")}}),
            json!({"$ref": "#/$defs/Tree", "$defs": {"Tree": {"properties": {"children": to("#/$defs/Tree")}}}}),
            json!({"$defs": {"A": to("#/$defs/B"), "B": to("#/$defs/A")}, "properties": {"a": {"$ref": "#/$defs/A"}}}),
            json!({"properties": {"a": to("#/properties/a")}}),
        ] {
            assert!(is_recursive(&schema), "{schema}");
        }
    }

    #[test]
    fn one_that_leads_on_and_on_is_not_followed_to_its_end() {
        let link = |to: usize| json!({"$ref": format!("#/$defs/a{to}")});
        let chain = |links: usize| {
            let mut defs: serde_json::Map<_, _> = (0..links).map(|at| (format!("a{at}"), link(at + 1))).collect();
            defs.insert(format!("a{links}"), json!({"type": "string"}));
            json!({"$defs": defs, "$ref": "#/$defs/a0"})
        };
        assert!(!is_recursive(&chain(50)));
        assert!(is_recursive(&chain(100_000)), "whoever follows it runs out of stack");
    }

    #[test]
    fn one_that_is_used_twice_is_none() {
        let leaf = json!({"$ref": "#/$defs/Leaf"});
        let schema = json!({
            "$defs": {"Leaf": {"type": "string"}, "Pair": {"properties": {"a": leaf, "b": leaf}}},
            "properties": {"one": {"$ref": "#/$defs/Pair"}, "two": {"$ref": "#/$defs/Pair"}, "three": leaf},
        });
        assert!(!is_recursive(&schema));
        assert!(!is_recursive(&json!({"$ref": "#/nowhere", "properties": {"x": {"$ref": "https://example.org"}}})));
    }
}
