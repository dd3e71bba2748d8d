//! The trace that a request belongs to (W3C Trace Context, level 1), as it travels between processes.

use std::sync::Arc;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Longest `tracestate` that is passed on; the specification asks for at least 512 characters.
const MAX_TRACESTATE: usize = 512;

/// A trace and the span in it that is the parent of what follows. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
    tracestate: Option<Arc<str>>,
    /// The service whose span it is, where that is known.
    service: Option<&'static str>,
}

impl TraceContext {
    /// Reads a caller's headers. What is malformed counts as absent: the request then begins a trace of its own.
    pub fn parse(traceparent: Option<&str>, tracestate: Option<&str>) -> Option<Self> {
        let parent = traceparent?.trim();
        let (version, rest) = parent.split_once('-')?;
        let mut parts = rest.split('-');
        let (trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?);
        let well_formed = lower_hex(version, 2)
            && version != "ff"
            && (version != "00" || parts.next().is_none())
            && lower_hex(trace_id, 32)
            && lower_hex(span_id, 16)
            && lower_hex(flags, 2);
        if !well_formed {
            return None;
        }
        let trace_id = TraceId::from_hex(trace_id).ok().filter(|id| *id != TraceId::INVALID)?;
        let span_id = SpanId::from_hex(span_id).ok().filter(|id| *id != SpanId::INVALID)?;
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
        let tracestate = tracestate.map(str::trim).filter(|state| (1..=MAX_TRACESTATE).contains(&state.len()));
        Some(Self { trace_id, span_id, flags, tracestate: tracestate.map(Arc::from), service: None })
    }

    /// A new trace. Its flags say that no one records it, which holds until an exported span takes its place.
    pub fn new() -> Self {
        let trace_id = TraceId::from(rand::random_range(1..=u128::MAX));
        Self { trace_id, span_id: new_span_id(), flags: TraceFlags::default(), tracestate: None, service: None }
    }

    /// The same trace with a new span of `service`, for a process that exports no spans.
    pub(crate) fn hop(&self, service: &'static str) -> Self {
        Self { span_id: new_span_id(), service: Some(service), ..self.clone() }
    }

    /// The trace of an exported span of `service`.
    pub(crate) fn of_span(span: &SpanContext, service: Option<&'static str>) -> Self {
        let state = span.trace_state().header();
        Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            flags: span.trace_flags(),
            tracestate: (!state.is_empty()).then(|| state.into()),
            service,
        }
    }

    /// As the parent of an exported span: a remote one where a caller sent it, a local one where a span of ours made
    /// it.
    pub(crate) fn to_parent(&self) -> SpanContext {
        let state = self.tracestate.as_deref().and_then(|text| text.parse::<TraceState>().ok()).unwrap_or_default();
        SpanContext::new(self.trace_id, self.span_id, self.flags, self.service.is_none(), state)
    }

    pub(crate) fn service(&self) -> Option<&'static str> {
        self.service
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        let mut text = String::with_capacity(32);
        push_hex(&mut text, &self.trace_id.to_bytes());
        text
    }

    /// 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        let mut text = String::with_capacity(16);
        push_hex(&mut text, &self.span_id.to_bytes());
        text
    }

    /// The header `traceparent` of an outgoing request.
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity("00-".len() + 32 + 1 + 16 + 1 + 2);
        text.push_str("00-");
        push_hex(&mut text, &self.trace_id.to_bytes());
        text.push('-');
        push_hex(&mut text, &self.span_id.to_bytes());
        text.push('-');
        push_hex(&mut text, &[self.flags.to_u8()]);
        text
    }

    /// The header `tracestate` of an outgoing request.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }
}

impl Default for TraceContext {
    fn default() -> Self {
        Self::new()
    }
}

fn new_span_id() -> SpanId {
    SpanId::from(rand::random_range(1..=u64::MAX))
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn lower_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_parent_goes_out_as_it_came() {
        let context = TraceContext::parse(Some(VALID), Some("vendor=a1,other=b")).expect("valid");
        assert_eq!(context.traceparent(), VALID);
        assert_eq!(context.tracestate(), Some("vendor=a1,other=b"));
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn a_later_version_may_have_more_fields() {
        let later = VALID.replacen("00-", "cc-", 1) + "-what-comes";
        assert!(TraceContext::parse(Some(&later), None).is_some());
    }

    #[test]
    fn what_is_malformed_counts_as_absent() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        ] {
            assert_eq!(TraceContext::parse(Some(bad), None), None, "{bad}");
        }
    }

    #[test]
    fn a_hop_keeps_the_trace_and_changes_the_span() {
        let caller = TraceContext::parse(Some(VALID), Some("v=1")).expect("valid");
        let here = caller.hop("switch");
        assert_eq!(here.trace_id(), caller.trace_id());
        assert_ne!(here.span_id(), caller.span_id());
        assert_eq!(here.tracestate(), Some("v=1"));
        assert_ne!(TraceContext::new().trace_id(), TraceContext::new().trace_id());
    }
}
