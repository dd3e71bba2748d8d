//! What is put right about a span before it leaves the process.

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// Names the service a span belongs to; it becomes the resource's `service.name`.
pub(super) const SERVICE: &str = "service";
/// Fields for log lines, which the span itself says already.
const FOR_LOGS: [&str; 2] = ["trace_id", "span_id"];

const STATUS_CODE: &str = "http.response.status_code";
const ERROR_TYPE: &str = "error.type";

/// Takes out what only this process needs, and says how the span ended. Answers with its service.
pub(super) fn finish(span: &mut SpanData) -> Option<Value> {
    let attributes = &mut span.attributes;
    attributes.retain(|attribute| !FOR_LOGS.contains(&attribute.key.as_str()));
    keep_last(attributes);
    let service = attributes.iter().position(|attribute| attribute.key.as_str() == SERVICE);
    let service = service.map(|at| attributes.swap_remove(at).value);
    conclude(span);
    service
}

/// A field that is recorded anew stands there twice; the later value counts.
fn keep_last(attributes: &mut Vec<KeyValue>) {
    for at in (0..attributes.len()).rev() {
        let (before, after) = attributes.split_at(at + 1);
        if after.iter().any(|later| later.key == before[at].key) {
            attributes.remove(at);
        }
    }
}

/// The rules of the HTTP conventions: a 5xx that was answered and a 4xx or 5xx that was received are errors, of the
/// type of their status; so is whatever names an `error.type`.
fn conclude(span: &mut SpanData) {
    let status = match attribute(span, STATUS_CODE) {
        Some(Value::I64(status)) => *status,
        _ => 0,
    };
    let worst_success = if span.span_kind == SpanKind::Server { 499 } else { 399 };
    let failed = status > worst_success;
    let typed = attribute(span, ERROR_TYPE).is_some();
    if failed && !typed {
        span.attributes.push(KeyValue::new(ERROR_TYPE, status.to_string()));
    }
    if (failed || typed) && span.status == Status::Unset {
        span.status = Status::error("");
    }
}

fn attribute<'s>(span: &'s SpanData, name: &str) -> Option<&'s Value> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == name).map(|attribute| &attribute.value)
}
