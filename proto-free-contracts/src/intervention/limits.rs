//! How large the fields of a request may be, and how a field that is not acceptable is named.

use serde_json::{Map, Value};

/// Longest title, in characters.
pub const TITLE_CHARS: usize = 255;
/// Longest description, in characters.
pub const DESCRIPTION_CHARS: usize = 2000;
/// Longest reason of a decision, in characters.
pub const REASON_CHARS: usize = 1000;
/// Longest text of a response, in characters.
pub const RESPONSE_CHARS: usize = 10_000;
/// Longest name of an action, in characters.
pub const ACTION_NAME_CHARS: usize = 255;
/// Largest context, in bytes of JSON.
pub const CONTEXT_BYTES: usize = 64 * 1024;
/// Largest arguments of an action, in bytes of JSON.
pub const ARGS_BYTES: usize = 64 * 1024;
/// Deepest JSON, in levels: what is kept is read again as a part of more, and readers stop at 128.
const JSON_DEPTH: usize = 64;
/// Seconds until a request expires that does not say.
pub const DEFAULT_EXPIRES_IN_SECONDS: i64 = 3600;
/// Ten years: the furthest expiry, either way.
pub const MAX_EXPIRES_IN_SECONDS: i64 = 10 * 366 * 24 * 3600;
/// Most steps of an escalation.
pub const ESCALATION_STEPS: usize = 8;
/// Most pilots of one step.
pub(super) const PILOTS: usize = 32;
/// Longest id, of a request, a unit or a pilot, in characters.
pub(crate) const ID_CHARS: usize = 128;
/// Longest address, in characters.
pub(super) const URL_CHARS: usize = 2048;

/// A field that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct InvalidField {
    /// The field, as a path such as `action.name`.
    pub field: String,
    /// What would be acceptable.
    pub detail: String,
}

impl InvalidField {
    /// Names a field and what would be acceptable.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}

/// At most `most` characters.
pub(crate) fn at_most(field: &str, text: &str, most: usize) -> Result<(), InvalidField> {
    // Bytes are never fewer than characters, and they need no counting.
    if text.len() > most && text.chars().count() > most {
        return Err(InvalidField::new(field, format!("at most {most} characters")));
    }
    // PostgreSQL has no text with it.
    if text.contains('\0') {
        return Err(InvalidField::new(field, "no character with the code 0"));
    }
    Ok(())
}

/// 1 to `most` characters, not only white space.
pub(crate) fn filled(field: &str, text: &str, most: usize) -> Result<(), InvalidField> {
    if text.trim().is_empty() {
        return Err(InvalidField::new(field, format!("1 to {most} characters, not only white space")));
    }
    at_most(field, text, most)
}

/// 1 to 128 of letters, digits, `.`, `_`, `:` and `-`: safe in an address, a log line and a cursor.
pub(crate) fn id(field: &str, text: &str) -> Result<(), InvalidField> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b':' | b'-');
    if (1..=ID_CHARS).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(());
    }
    Err(InvalidField::new(field, format!("1 to {ID_CHARS} of letters, digits, `.`, `_`, `:` and `-`")))
}

/// At most `most` bytes of JSON.
pub(crate) fn json(field: &str, object: &Map<String, Value>, most: usize) -> Result<(), InvalidField> {
    let bytes = if object.is_empty() { 2 } else { serde_json::to_vec(object).map_or(usize::MAX, |json| json.len()) };
    if bytes > most {
        return Err(InvalidField::new(field, format!("at most {most} bytes of JSON")));
    }
    if !object.values().all(|value| is_shallow(value, JSON_DEPTH)) {
        return Err(InvalidField::new(field, format!("at most {JSON_DEPTH} levels of JSON")));
    }
    Ok(())
}

/// Whether `value` has at most `levels` of arrays and objects.
fn is_shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_shallow(item, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|field| is_shallow(field, levels - 1)),
        _ => true,
    }
}
