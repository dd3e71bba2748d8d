//! The parts of a chunk, taken apart and put together without a look at what is not concerned.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::json_text;

/// One JSON object, its values as they stand.
pub(crate) type Fields = BTreeMap<String, Box<RawValue>>;

/// Takes the text out of a delta; what is not text stays.
pub(super) fn content(delta: &mut Fields) -> Vec<u16> {
    match delta.remove("content") {
        Some(raw) => match text(&raw) {
            Some(units) => units,
            None if says(Some(&raw)) => {
                delta.insert("content".to_owned(), raw);
                Vec::new()
            }
            None => Vec::new(),
        },
        None => Vec::new(),
    }
}

/// The code units of a JSON string. `None`: it is something else.
pub(super) fn text(raw: &RawValue) -> Option<Vec<u16>> {
    raw.get().strip_prefix('"')?.strip_suffix('"').map(json_text::units)
}

/// One value.
pub(crate) fn field<'f>(fields: &'f Fields, name: &str) -> Option<&'f RawValue> {
    fields.get(name).map(|raw| &**raw)
}

/// Whether a field holds anything.
pub(super) fn says(field: Option<&RawValue>) -> bool {
    field.is_some_and(|raw| !matches!(raw.get(), "null" | r#""""# | "[]" | "{}"))
}

/// A value as a `T`, where it is one.
pub(crate) fn read<'f, T: serde::Deserialize<'f>>(field: Option<&'f RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

/// Sets a value.
pub(crate) fn put(fields: &mut Fields, name: &str, value: &impl Serialize) {
    // Numbers, texts and maps with text keys: nothing that can fail.
    if let Ok(raw) = to_raw_value(value) {
        fields.insert(name.to_owned(), raw);
    }
}
