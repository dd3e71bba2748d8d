//! The tracing layer that writes the lines.

use std::cell::RefCell;
use std::sync::Arc;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use vx11_contracts::time;

use super::fields::SpanFields;
use super::human::{self, HumanFields};
use super::json::{JsonFields, member, quoted};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Json,
    Human,
}

/// Writes a line for every event.
#[derive(Debug)]
pub(crate) struct LogLayer<W> {
    style: Style,
    /// The service of lines that no span claims.
    process: Arc<str>,
    writer: W,
}

impl<W> LogLayer<W> {
    pub(crate) fn new(style: Style, process: &str, writer: W) -> Self {
        Self { style, process: process.into(), writer }
    }
}

thread_local! {
    static BUFFERS: RefCell<(Vec<u8>, JsonFields)> = RefCell::default();
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
        let span = context.event_span(event);
        let around = span.as_ref().and_then(|span| span.extensions().get::<SpanFields>().cloned()).unwrap_or_default();
        match self.style {
            // A value whose `Debug` logs would come back here while the buffers are in use; its line is left out.
            Style::Json => BUFFERS.with(|buffers| {
                if let Ok(mut buffers) = buffers.try_borrow_mut() {
                    let (line, fields) = &mut *buffers;
                    self.write_json(event, &around, line, fields);
                    self.send(line);
                }
            }),
            Style::Human => self.send(&self.human_line(event, &around)),
        }
    }
}

impl<W: for<'writer> MakeWriter<'writer>> LogLayer<W> {
    fn send(&self, line: &[u8]) {
        // A log that cannot be written has nowhere to say so; the queue counts what it drops.
        let _ = std::io::Write::write_all(&mut self.writer.make_writer(), line);
    }

    fn write_json(&self, event: &Event<'_>, around: &SpanFields, line: &mut Vec<u8>, fields: &mut JsonFields) {
        line.clear();
        fields.clear();
        event.record(fields);
        let pick = |own: &Option<Arc<str>>, outer: &Option<Arc<str>>| own.clone().or_else(|| outer.clone());
        let service = pick(&fields.own.service, &around.service).unwrap_or_else(|| self.process.clone());
        line.extend_from_slice(b"{\"timestamp\":\"");
        line.extend_from_slice(time::now().as_bytes());
        line.extend_from_slice(b"\",\"level\":\"");
        line.extend_from_slice(event.metadata().level().as_str().as_bytes());
        line.push(b'"');
        member(line, "service", Some(&service));
        member(line, "component", Some(event.metadata().target()));
        line.extend_from_slice(b",\"message\":");
        quoted(line, &fields.message);
        member(line, "correlation_id", pick(&fields.own.correlation_id, &around.correlation_id).as_deref());
        member(line, "trace_id", pick(&fields.own.trace_id, &around.trace_id).as_deref());
        member(line, "span_id", pick(&fields.own.span_id, &around.span_id).as_deref());
        line.extend_from_slice(&fields.rest);
        line.extend_from_slice(b"}\n");
    }

    fn human_line(&self, event: &Event<'_>, around: &SpanFields) -> Vec<u8> {
        let mut fields = HumanFields::default();
        event.record(&mut fields);
        let service = fields.own.service.as_ref().or(around.service.as_ref()).unwrap_or(&self.process);
        let id = fields.own.correlation_id.as_ref().or(around.correlation_id.as_ref());
        let mut line = Vec::with_capacity(160);
        human::head(&mut line, &time::now(), *event.metadata().level(), service, &fields.message);
        line.extend_from_slice(&fields.rest);
        human::tail(&mut line, id.map(|id| &**id));
        line
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic while captured").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn captured(style: Style, work: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let layer = LogLayer::new(style, "vx11", move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let bytes = captured.0.lock().expect("no panic while captured").clone();
        String::from_utf8(bytes).expect("text")
    }

    fn json_lines(work: impl FnOnce()) -> Vec<Value> {
        captured(Style::Json, work).lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

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
    fn secrets_are_not_shown() {
        let text = captured(Style::Json, || {
            tracing::info!(token = "s3cret", http.request.header.Authorization = "s3cret", api_key = ?"s3cret", body = 7, "x");
        });
        assert!(!text.contains("s3cret") && text.contains("[redacted]"), "{text}");
        assert!(!captured(Style::Human, || tracing::info!(password = "s3cret", "x")).contains("s3cret"));
    }
}
