//! A kept answer, and which answers may be one.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;

use super::flight::Form;
use super::replay::chunks;
use crate::domain::ending::is_given_up;
use crate::domain::operation::Operation;

/// What an answer takes beside its bytes, about.
const OVERHEAD: usize = 256;

/// In which form an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As one body of the pivot, which can be told in chunks too.
    Pivot,
    /// As one body of the wire that its caller and its provider share.
    Native,
    /// As events of that wire.
    NativeEvents,
}

/// A whole answer, as it is kept and as it is handed to all who wait for it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) body: Bytes,
    pub(crate) kind: Kind,
    /// Who gave it.
    pub(crate) provider: Box<str>,
    /// The model as the provider knows it.
    pub(crate) model: Arc<str>,
    since: Instant,
    /// Whether it can be told in chunks, once that was asked.
    in_chunks: OnceLock<bool>,
}

impl Entry {
    /// An answer that came just now.
    pub(crate) fn new(kind: Kind, body: &[u8], provider: &str, model: Arc<str>) -> Self {
        // A copy, because the bytes may be a part of a larger buffer.
        let body = Bytes::copy_from_slice(body);
        Self { body, kind, provider: provider.into(), model, since: Instant::now(), in_chunks: OnceLock::new() }
    }

    /// How old it is.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Whether it can be handed out in this form: some answers have parts that no chunk has.
    pub(super) fn has(&self, form: Form) -> bool {
        match (form, self.kind) {
            (Form::Stream, Kind::Pivot) => *self.in_chunks.get_or_init(|| chunks(&self.body).is_some()),
            (Form::Stream, kind) => kind == Kind::NativeEvents,
            (Form::Whole, kind) => kind != Kind::NativeEvents,
        }
    }

    /// What it takes of the cache's bytes.
    pub(super) fn weight(&self) -> u32 {
        let bytes = self.body.len() + self.provider.len() + self.model.len() + OVERHEAD;
        bytes.try_into().unwrap_or(u32::MAX)
    }

    /// Whether it says all that it was to say: one that a filter or an error cut off may come out whole the next time.
    pub(crate) fn is_whole(&self, operation: Operation) -> bool {
        #[derive(Deserialize)]
        struct Answer {
            choices: Vec<Choice>,
        }
        #[derive(Deserialize)]
        struct Choice {
            finish_reason: Option<String>,
        }
        if operation == Operation::Embeddings {
            return true;
        }
        if self.kind != Kind::Pivot {
            return !self.is_cut_off();
        }
        let ended = |choice: &Choice| {
            let reason = choice.finish_reason.as_deref().unwrap_or_default();
            !["", "content_filter"].contains(&reason) && !is_given_up(reason)
        };
        serde_json::from_slice::<Answer>(&self.body).is_ok_and(|answer| answer.choices.iter().all(ended))
    }

    /// Whether Anthropic's wire says that the message is not what it was to be.
    fn is_cut_off(&self) -> bool {
        #[derive(Default, Deserialize)]
        struct Message {
            stop_reason: Option<String>,
            delta: Option<Stop>,
        }
        #[derive(Deserialize)]
        struct Stop {
            stop_reason: Option<String>,
        }
        let is_cut_off = |data: &[u8]| {
            let Message { stop_reason, delta } = serde_json::from_slice(data).unwrap_or_default();
            let reason = stop_reason.or_else(|| delta?.stop_reason);
            reason.is_some_and(|reason| ["refusal", "pause_turn"].contains(&reason.as_str()))
        };
        match self.kind {
            Kind::NativeEvents => {
                self.body.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:")).any(is_cut_off)
            }
            Kind::Pivot | Kind::Native => is_cut_off(&self.body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_is_not_whole() {
        let of = |reason: &str| {
            let body = format!(r#"{{"choices":[{{"finish_reason":"stop"}},{{"finish_reason":{reason}}}]}}"#);
            Entry::new(Kind::Pivot, body.as_bytes(), "p", "m".into()).is_whole(Operation::Chat)
        };
        assert!(of("\"stop\"") && of("\"length\"") && of("\"tool_calls\""));
        assert!(!of("\"content_filter\"") && !of("null") && !of("\"error\"") && !of("7"));
        assert!(!of("\"insufficient_system_resource\""));
        assert!(Entry::new(Kind::Pivot, b"{}", "p", "m".into()).is_whole(Operation::Embeddings));
    }

    #[test]
    fn anthropics_wire_says_it_in_its_own_way() {
        let whole = |kind, body: &str| Entry::new(kind, body.as_bytes(), "p", "m".into()).is_whole(Operation::Chat);
        let events = |reason: &str| {
            format!(
                "event: message_delta\ndata: {{\"delta\": {{\"stop_reason\": \"{reason}\"}}}}\n\nevent: message_stop\n\n"
            )
        };
        assert!(whole(Kind::Native, r#"{"stop_reason": "end_turn"}"#));
        assert!(!whole(Kind::Native, r#"{"stop_reason": "refusal"}"#));
        assert!(whole(Kind::NativeEvents, &events("tool_use")));
        assert!(!whole(Kind::NativeEvents, &events("pause_turn")));
    }
}
