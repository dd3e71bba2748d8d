//! A line for people: time, level, service, message, fields, and the first digits of the correlation id.

use std::fmt::{self, Display};
use std::io::Write;

use tracing::Level;

use super::layer::Line;

const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Appends `line` and its line feed. Writing to memory does not fail.
pub(super) fn render(out: &mut Vec<u8>, line: &Line<'_>) {
    let clock = line.time.get(11..23).unwrap_or(line.time);
    let (service, message) = (OneLine(line.service), OneLine(line.message));
    let _ = write!(out, "{DIM}{clock}{RESET} {} {service:<13} {message}", coloured(line.level));
    out.extend_from_slice(line.rest);
    if let Some(id) = line.correlation_id {
        let short = id.char_indices().nth(8).map_or(id, |(end, _)| &id[..end]);
        let _ = write!(out, " {DIM}{}{RESET}", OneLine(short));
    }
    out.push(b'\n');
}

/// Appends a field.
pub(super) fn field(out: &mut Vec<u8>, name: &str, value: impl Display) {
    let _ = write!(out, " {DIM}{name}={RESET}{}", OneLine(value));
}

fn coloured(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31mERROR\x1b[0m",
        Level::WARN => "\x1b[33m WARN\x1b[0m",
        Level::INFO => "\x1b[32m INFO\x1b[0m",
        Level::DEBUG => "\x1b[34mDEBUG\x1b[0m",
        Level::TRACE => "\x1b[35mTRACE\x1b[0m",
    }
}

/// Keeps a value from breaking out of its line, or from moving the terminal's cursor.
struct OneLine<T>(T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string().replace(char::is_control, " ");
        out.pad(&text)
    }
}
