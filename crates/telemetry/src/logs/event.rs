//! What a line takes from its own event: the one place that decides what a field may show, in either style.

use std::fmt::{Debug, Display, Write};

use serde::Serialize;
use tracing::field::{Field, Visit};

use super::fields::{REDACTED, SpanFields, is_secret};
use super::{Style, human, json};

/// The fields of one event, written as they are visited.
#[derive(Debug, Default)]
pub(super) struct EventFields {
    style: Style,
    pub(super) message: String,
    /// Common fields that the event itself sets.
    pub(super) own: SpanFields,
    /// Every other field, as it stands in the line.
    pub(super) rest: Vec<u8>,
    scratch: String,
}

impl EventFields {
    /// Forgets the last event, but not the memory it took.
    pub(super) fn begin(&mut self, style: Style) {
        self.style = style;
        self.message.clear();
        self.own = SpanFields::default();
        self.rest.clear();
    }

    fn text(&mut self, name: &str, value: &str) {
        if name == "message" {
            self.message.push_str(value);
        } else if let Some(slot) = self.own.slot(name) {
            *slot = Some(value.into());
        } else {
            let shown = if is_secret(name) { REDACTED } else { value };
            match self.style {
                Style::Json => json::text(&mut self.rest, name, shown),
                Style::Human => human::field(&mut self.rest, name, shown),
            }
        }
    }

    /// A number or a truth value.
    fn literal(&mut self, name: &str, value: impl Display + Serialize) {
        if name == "message" || self.own.slot(name).is_some() || is_secret(name) {
            return self.text(name, &value.to_string());
        }
        match self.style {
            Style::Json => json::literal(&mut self.rest, name, value),
            Style::Human => human::field(&mut self.rest, name, value),
        }
    }
}

impl Visit for EventFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.literal(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.literal(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.literal(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.literal(field.name(), value);
        } else {
            self.text(field.name(), &value.to_string());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        // Writing to memory does not fail; a failing `Debug` leaves what it wrote.
        let _ = write!(scratch, "{value:?}");
        self.text(field.name(), &scratch);
        self.scratch = scratch;
    }
}
