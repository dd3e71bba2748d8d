//! A line for programs: one JSON object.

use serde::Serialize;

use super::layer::Line;

/// Members that the line itself has; a field of such a name is told apart, because a name may stand only once.
const RESERVED: [&str; 3] = ["timestamp", "level", "component"];

/// Appends `line` and its line feed.
pub(super) fn render(out: &mut Vec<u8>, line: &Line<'_>) {
    out.extend_from_slice(b"{\"timestamp\":");
    quoted(out, line.time);
    member(out, "level", line.level.as_str());
    member(out, "service", line.service);
    member(out, "component", line.component);
    member(out, "message", line.message);
    for (name, value) in
        [("correlation_id", line.correlation_id), ("trace_id", line.trace_id), ("span_id", line.span_id)]
    {
        if let Some(value) = value {
            member(out, name, value);
        }
    }
    out.extend_from_slice(line.rest);
    out.extend_from_slice(b"}\n");
}

/// Appends a field whose value is text.
pub(super) fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    quoted(out, value);
}

/// Appends a field whose value is a number or a truth value.
pub(super) fn literal(out: &mut Vec<u8>, name: &str, value: impl Serialize) {
    key(out, name);
    // Numbers always serialise, and writing to memory does not fail.
    let _ = serde_json::to_writer(out, &value);
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    if RESERVED.contains(&name) {
        quoted(out, &format!("event.{name}"));
    } else {
        quoted(out, name);
    }
    out.push(b':');
}

fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    quoted(out, value);
}

/// Appends `text` as a JSON string.
fn quoted(out: &mut Vec<u8>, text: &str) {
    // Nearly every text stands as it is. Looked at without stopping early, which takes many bytes at a time.
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        // Strings always serialise, and writing to memory does not fail.
        let _ = serde_json::to_writer(out, text);
        return;
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}
