//! A line for programs: one JSON object.

use std::fmt::{Debug, Write};

use tracing::field::{Field, Visit};

use super::fields::{REDACTED, SpanFields, is_secret};

/// The fields of one event, written as they are visited.
#[derive(Debug, Default)]
pub(super) struct JsonFields {
    /// `,"name":value` for every field but the message and the common ones.
    pub(super) rest: Vec<u8>,
    pub(super) message: String,
    /// Common fields that the event itself sets.
    pub(super) own: SpanFields,
    scratch: String,
}

impl JsonFields {
    pub(super) fn clear(&mut self) {
        self.rest.clear();
        self.message.clear();
        self.own = SpanFields::default();
    }

    fn name(&mut self, name: &str) {
        self.rest.push(b',');
        quoted(&mut self.rest, name);
        self.rest.push(b':');
    }

    fn text(&mut self, field: &Field, value: &str) {
        let name = field.name();
        if name == "message" {
            self.message.push_str(value);
        } else if let Some(slot) = self.own.slot(name) {
            *slot = Some(value.into());
        } else {
            self.name(name);
            quoted(&mut self.rest, if is_secret(name) { REDACTED } else { value });
        }
    }

    fn number(&mut self, field: &Field, value: impl std::fmt::Display) {
        self.name(field.name());
        if is_secret(field.name()) {
            quoted(&mut self.rest, REDACTED);
        } else {
            // Writing to memory does not fail.
            let _ = std::io::Write::write_fmt(&mut self.rest, format_args!("{value}"));
        }
    }
}

impl Visit for JsonFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.number(field, value);
        } else {
            self.text(field, &value.to_string());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        // Writing to memory does not fail; a failing `Debug` leaves what it wrote.
        let _ = write!(scratch, "{value:?}");
        self.text(field, &scratch);
        self.scratch = scratch;
    }
}

/// Appends `text` as a JSON string.
pub(super) fn quoted(out: &mut Vec<u8>, text: &str) {
    // Strings always serialise, and writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// Appends `,"name":"value"` where there is a value.
pub(super) fn member(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    quoted(out, value);
}
