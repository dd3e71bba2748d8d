//! The tracing layer that writes the lines.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use vx11_contracts::time;

use super::event::EventFields;
use super::fields::SpanFields;
use super::{Style, human, json};

/// Writes a line for every event.
#[derive(Debug)]
pub(crate) struct LogLayer<W> {
    style: Style,
    /// The service of lines that no span claims.
    process: Arc<str>,
    writer: W,
}

/// A line, ready to be rendered.
pub(super) struct Line<'a> {
    pub(super) time: &'a str,
    pub(super) level: Level,
    pub(super) service: &'a str,
    pub(super) component: &'a str,
    pub(super) message: &'a str,
    pub(super) correlation_id: Option<&'a str>,
    pub(super) trace_id: Option<&'a str>,
    pub(super) span_id: Option<&'a str>,
    /// The event's other fields, rendered.
    pub(super) rest: &'a [u8],
}

impl<W> LogLayer<W> {
    pub(crate) fn new(style: Style, process: &str, writer: W) -> Self {
        Self { style, process: process.into(), writer }
    }

    fn render(&self, event: &Event<'_>, around: &SpanFields, fields: &EventFields, out: &mut Vec<u8>) {
        let own = &fields.own;
        let line = Line {
            time: &time::now(),
            level: *event.metadata().level(),
            service: own.service.as_ref().or(around.service.as_ref()).unwrap_or(&self.process),
            component: event.metadata().target(),
            message: &fields.message,
            correlation_id: own.correlation_id.as_deref().or(around.correlation_id.as_deref()),
            trace_id: own.trace_id.as_deref().or(around.trace_id.as_deref()),
            span_id: own.span_id.as_deref().or(around.span_id.as_deref()),
            rest: &fields.rest,
        };
        out.clear();
        match self.style {
            Style::Json => json::render(out, &line),
            Style::Human => human::render(out, &line),
        }
    }
}

thread_local! {
    static BUFFERS: RefCell<(EventFields, Vec<u8>)> = RefCell::default();
}

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let inherited = span.parent().and_then(|parent| parent.extensions().get::<SpanFields>().cloned());
        let mut fields = inherited.unwrap_or_default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        BUFFERS.with(|buffers| {
            // A value whose `Debug` logs would come back here while the buffers are in use; its line is left out.
            let Ok(mut buffers) = buffers.try_borrow_mut() else { return };
            let (fields, line) = &mut *buffers;
            fields.begin(self.style);
            event.record(fields);
            // Looked at when all values are written: one whose `Debug` records something in its span would wait for itself.
            let span = context.event_span(event);
            let extensions = span.as_ref().map(|span| span.extensions());
            let around = extensions.as_ref().and_then(|extensions| extensions.get::<SpanFields>());
            self.render(event, around.unwrap_or(&SpanFields::NONE), fields, line);
            // A log that cannot be written has nowhere to say so; the queue counts what it drops.
            let _ = self.writer.make_writer().write_all(line);
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::capture::{captured, json_lines};
    use super::*;

    #[test]
    fn a_line_is_one_json_object_with_the_common_fields_first() {
        let lines =
            json_lines(|| tracing::info!(attempt = 2, ratio = 0.5, ok = true, who = "mock", "provider answered"));
        let mut line = lines[0].clone();
        line["timestamp"] = "…".into();
        assert_eq!(
            line,
            serde_json::json!({
                "timestamp": "…", "level": "INFO", "service": "vx11", "component": "vx11_telemetry::logs::layer::tests",
                "message": "provider answered", "attempt": 2, "ratio": 0.5, "ok": true, "who": "mock",
            })
        );
    }

    #[test]
    fn nothing_can_break_out_of_its_line() {
        let evil = "a\"b\\c\n{\"level\":\"FATAL\"}\u{0}\u{2028}\r";
        let lines = json_lines(|| tracing::warn!(evil, debug = ?evil, nan = f64::NAN, "{}", evil));
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["evil"], &lines[0]["message"]), (&evil.into(), &evil.into()));
        assert_eq!(captured(Style::Human, || tracing::warn!(evil, "{}", evil)).lines().count(), 1);
    }

    #[test]
    fn lines_take_ids_from_the_spans_around_them_and_their_own_fields_win() {
        let lines = json_lines(|| {
            let outer = tracing::info_span!(
                "request",
                service = "operator",
                correlation_id = "c1",
                trace_id = tracing::field::Empty
            );
            outer.record("trace_id", "t1");
            let _outer = outer.enter();
            let _inner = tracing::info_span!("call", peer = "switch").entered();
            tracing::info!("inherited");
            tracing::info!(correlation_id = "c2", "own");
        });
        let ids = |line: &Value| (line["service"].clone(), line["correlation_id"].clone(), line["trace_id"].clone());
        assert_eq!(ids(&lines[0]), ("operator".into(), "c1".into(), "t1".into()));
        assert_eq!(ids(&lines[1]), ("operator".into(), "c2".into(), "t1".into()));
        assert_eq!(lines[1].as_object().expect("object").keys().filter(|key| *key == "correlation_id").count(), 1);
    }

    #[test]
    fn a_value_recorded_late_reaches_lines_and_spans_that_come_after_it() {
        let lines = json_lines(|| {
            let outer = tracing::info_span!("request", correlation_id = "first");
            let _outer = outer.enter();
            tracing::info!("before");
            outer.record("correlation_id", "second");
            tracing::info!("after");
            tracing::info_span!("call").in_scope(|| tracing::info!("below"));
        });
        let ids: Vec<_> = lines.iter().filter_map(|line| line["correlation_id"].as_str()).collect();
        assert_eq!(ids, ["first", "second", "second"]);
    }

    #[test]
    fn a_name_stands_only_once_in_a_line() {
        let text = captured(Style::Json, || {
            let _span = tracing::info_span!("request", service = "depot", span_id = 1).entered();
            tracing::info!(level = 5, timestamp = "never", component = "c", service = 7, span_id = true, "x");
        });
        for name in ["timestamp", "level", "service", "component", "message", "span_id"] {
            assert_eq!(text.matches(&format!("\"{name}\":")).count(), 1, "{name}: {text}");
        }
        let line: Value = serde_json::from_str(&text).expect("a line is JSON");
        assert_eq!(
            (&line["event.level"], &line["service"], &line["span_id"]),
            (&5.into(), &"7".into(), &"true".into())
        );
    }

    #[test]
    fn a_line_for_people_is_short_and_keeps_to_itself() {
        let text = captured(Style::Human, || {
            let _span =
                tracing::info_span!("request", service = "depot", correlation_id = "0123456789", trace_id = "t")
                    .entered();
            tracing::warn!(attempt = 2, who = "a\u{1b}[2J\nb", "slow\nanswer");
        });
        let plain = ["\u{1b}[2m", "\u{1b}[33m", "\u{1b}[0m"].iter().fold(text, |text, colour| text.replace(colour, ""));
        let clock = "04:05:06.789".len();
        assert_eq!(plain[clock..], *"  WARN depot         slow answer attempt=2 who=a [2J b 01234567\n");
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = captured(Style::Json, || {
            tracing::info!(token = "s3cret", http.request.header.Authorization = "s3cret", api_key = ?"s3cret", body = 7, "x");
        });
        assert!(!text.contains("s3cret") && text.contains("[redacted]"), "{text}");
        assert!(text.contains(r#""message":"x""#) && text.contains(r#""body":"[redacted]""#), "{text}");
        let text =
            captured(Style::Json, || tracing::info!(x.messages = "s3cret", "X-VX11-Token" = "s3cret", tokens = 7));
        assert!(!text.contains("s3cret") && text.contains(r#""tokens":7"#), "counts are no secrets: {text}");
        assert!(!captured(Style::Human, || tracing::info!(password = "s3cret", "x")).contains("s3cret"));
    }
}
