//! A line for people: time, level, service, message, fields, and the first digits of the correlation id.

use std::fmt::Debug;
use std::io::Write;

use tracing::Level;
use tracing::field::{Field, Visit};

use super::fields::{REDACTED, SpanFields, is_secret};

const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// The fields of one event, written as they are visited.
#[derive(Debug, Default)]
pub(super) struct HumanFields {
    pub(super) rest: Vec<u8>,
    pub(super) message: String,
    pub(super) own: SpanFields,
}

impl Visit for HumanFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let name = field.name();
        if name == "message" {
            self.message = one_line(&format!("{value:?}"));
        } else if let Some(slot) = self.own.slot(name) {
            *slot = Some(one_line(&format!("{value:?}")).into());
        } else {
            let shown = if is_secret(name) { REDACTED.to_owned() } else { one_line(&format!("{value:?}")) };
            // Writing to memory does not fail.
            let _ = write!(self.rest, " {DIM}{name}={RESET}{shown}");
        }
    }
}

/// Keeps a value from breaking out of its line, or from moving the terminal's cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The level in its colour.
pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31mERROR\x1b[0m",
        Level::WARN => "\x1b[33m WARN\x1b[0m",
        Level::INFO => "\x1b[32m INFO\x1b[0m",
        Level::DEBUG => "\x1b[34mDEBUG\x1b[0m",
        Level::TRACE => "\x1b[35mTRACE\x1b[0m",
    }
}

/// The line but for its fields.
pub(super) fn head(out: &mut Vec<u8>, time: &str, level_of: Level, service: &str, message: &str) {
    let clock = time.get(11..23).unwrap_or(time);
    // Writing to memory does not fail.
    let _ = write!(out, "{DIM}{clock}{RESET} {} {service:<13} {message}", level(level_of));
}

/// The end of the line.
pub(super) fn tail(out: &mut Vec<u8>, correlation_id: Option<&str>) {
    if let Some(id) = correlation_id {
        let short: String = id.chars().take(8).collect();
        let _ = write!(out, " {DIM}{short}{RESET}");
    }
    out.push(b'\n');
}
