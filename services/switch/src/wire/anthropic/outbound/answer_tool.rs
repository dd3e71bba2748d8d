//! A tool that nobody runs: what a model would call it with is its answer. So one answers in JSON that cannot be
//! constrained to a schema, or not to this one; the schema is then heeded as that of any tool is.
//!
//! A call of it is text to the caller, who knows nothing of the tool.

use serde_json::{Value, json};

use super::generation::Generation;
use crate::wire::Untranslatable;
use crate::wire::json::{Object, text};

/// Its name, which no caller's own tool has.
const NAME: &str = "vx11_answer";

/// Has a model of `generation` answer by it, with what fits `schema`; `field` is what asks for that.
pub(super) fn ask(out: &mut Object, schema: Value, field: &str, generation: Generation) -> Result<(), Untranslatable> {
    let no_way = |problem: &str| Err(Untranslatable::new(field, problem));
    let is_of_an_object =
        schema["type"] == "object" && ["allOf", "anyOf", "oneOf"].iter().all(|of| schema.get(of).is_none());
    if !is_of_an_object {
        return no_way("this model answers in JSON of such a schema only where that is an object's, at its root");
    }
    if out.contains_key("tools") {
        return no_way("this model answers in such JSON only where there are no tools to call");
    }
    if generation.refuses_forced_tools() {
        return no_way("this model answers only in JSON of closed objects (`json_schema`)");
    }
    if out.get("thinking").is_some_and(|thinking| text(thinking, "type") != Some("disabled")) {
        return no_way("this model does not think before it answers in such JSON");
    }
    let description = "Gives the answer, which is JSON.";
    out.insert("tools".to_owned(), json!([{"name": NAME, "description": description, "input_schema": schema}]));
    out.insert("tool_choice".to_owned(), json!({"type": "tool", "name": NAME}));
    Ok(())
}

/// Whether a block is the answer that it gives.
pub(super) fn is_answer(block: &Value) -> bool {
    text(block, "type") == Some("tool_use") && text(block, "name") == Some(NAME)
}

/// Why an answer ended that was given by it: as one in words would have.
pub(super) fn reason(reason: &str) -> &str {
    if reason == "tool_use" { "end_turn" } else { reason }
}
