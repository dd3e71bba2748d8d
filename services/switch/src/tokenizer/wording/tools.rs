//! How many tokens the tools of a request are.

use serde_json::Value;

use super::Count;
use crate::tokenizer::Vocabulary;

/// Bytes of tools that are read; longer ones count as they stand.
const MOST_TOOLS: usize = 256 * 1024;

impl Count {
    /// Counts a list of tools, as it stands in JSON.
    pub(super) fn tools(&mut self, tools: &str) {
        if tools.len() > MOST_TOOLS {
            return self.text(tools);
        }
        let listed: Option<Vec<Value>> = serde_json::from_str(tools).unwrap_or_default();
        let Some(listed) = listed.filter(|listed| !listed.is_empty()) else { return };
        let each = match self.vocabulary {
            Vocabulary::O200k => 7,
            Vocabulary::Cl100k => 10,
        };
        for tool in &listed {
            let tool = ["function", "custom"].iter().find_map(|key| tool.get(key)).unwrap_or(tool);
            let before = self.tokens;
            self.tokens += each;
            self.text(&format!("{}:{}", said(tool, "name"), said(tool, "description")));
            ["parameters", "input_schema"].iter().for_each(|key| self.properties(&tool[key]));
            if !is_plain_tool(tool) {
                let counted = std::mem::replace(&mut self.tokens, before);
                self.text(&tool.to_string());
                self.tokens = self.tokens.max(counted);
            }
        }
        self.tokens += 12;
    }

    /// The properties of a JSON schema, and those of what they hold.
    fn properties(&mut self, schema: &Value) {
        let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
            return;
        };
        self.tokens += 3;
        for (key, property) in properties {
            self.tokens += 3;
            for value in property["enum"].as_array().into_iter().flatten() {
                self.tokens += 3;
                self.text(value.as_str().unwrap_or_default());
            }
            self.tokens -= if property["enum"].is_array() { 3 } else { 0 };
            self.text(&format!("{key}:{}:{}", said(property, "type"), said(property, "description")));
            self.text(said(property, "title"));
            self.properties(property);
            self.properties(&property["items"]);
        }
    }
}

/// Whether [`Count::tools`] sees all that `tool` says.
fn is_plain_tool(tool: &Value) -> bool {
    tool.as_object().is_some_and(|keys| {
        keys.iter().all(|(key, value)| match key.as_str() {
            "name" | "description" | "type" => value.is_string(),
            "cache_control" | "strict" => true,
            "parameters" | "input_schema" => is_plain(value, false),
            _ => is_scalar(value),
        })
    })
}

/// Whether [`Count::properties`] sees all that a schema says, which may be that of a property.
fn is_plain(schema: &Value, of_property: bool) -> bool {
    let Some(keys) = schema.as_object() else { return is_scalar(schema) };
    keys.iter().all(|(key, value)| match key.as_str() {
        "properties" => value.as_object().is_some_and(|all| all.values().all(|property| is_plain(property, true))),
        "items" => of_property && is_plain(value, false),
        "description" | "title" => of_property && value.is_string(),
        "enum" => {
            of_property && value.as_array().is_some_and(|all| all.iter().all(|one| one.is_string() || is_scalar(one)))
        }
        "type" | "required" | "$schema" => true,
        _ => is_scalar(value),
    })
}

/// Whether there is no text in it.
fn is_scalar(value: &Value) -> bool {
    value.is_null() || value.is_boolean() || value.is_number()
}

/// A text in `object`, without the dot at its end.
fn said<'a>(object: &'a Value, key: &str) -> &'a str {
    let text = object[key].as_str().unwrap_or_default();
    text.strip_suffix('.').unwrap_or(text)
}
