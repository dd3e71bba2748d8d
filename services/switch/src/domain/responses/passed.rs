//! A provider's own events on their way to the caller, as far as one must know them to end them in the provider's
//! place, or to let another provider's words follow.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::builder::Builder;
use super::event::{Event, Events};
use super::kept::Kept;
use super::output::Output;
use super::response::ErrorInfo;
use crate::domain::fields::{Fields, put};

/// What the caller has, of events that came in order.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The response as it began.
    response: Fields,
    /// The number of the next event.
    next: u64,
    /// `None` where nobody else goes on.
    kept: Option<Kept>,
}

/// What is looked at of an event.
#[derive(Deserialize)]
pub(super) struct Peek<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    sequence_number: Option<u64>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    pub(super) output_index: Option<usize>,
    // Some servers count from -1.
    content_index: Option<i64>,
    summary_index: Option<i64>,
    #[serde(borrow)]
    pub(super) item_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) part: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
}

impl Passed {
    /// Of events that another provider's words may follow.
    pub(crate) fn keeping() -> Self {
        Self { kept: Some(Kept::default()), ..Self::default() }
    }

    /// Takes note of an event, and tells whether it says that the response has failed, after which nothing comes.
    pub(crate) fn note(&mut self, data: &[u8]) -> bool {
        let Ok(event) = serde_json::from_slice::<Peek<'_>>(data) else {
            // A comment says nothing; whatever else it is, it was missed.
            self.kept.take_if(|_| !data.is_empty());
            return false;
        };
        self.next = event.sequence_number.map_or(self.next, |number| number.saturating_add(1));
        if self.response.is_empty()
            && let Some(response) = event.response
        {
            self.response = serde_json::from_str(response.get()).unwrap_or_default();
        }
        if let Some(kept) = &mut self.kept {
            kept.note(&event);
        }
        event.name.as_deref() == Some("response.failed")
    }

    /// Another provider goes on: the rest of the response, of which new ids will end with `key`. `None`: nothing can
    /// follow on what came.
    pub(crate) fn follow(&mut self, key: String) -> Option<Builder> {
        let mut events = Events::after(self.next);
        let begun = self.kept.take()?.begun(&mut events).filter(|_| !self.response.is_empty())?;
        Some(Builder::following(std::mem::take(&mut self.response), Output::following(key, begun, events)))
    }

    /// The response will not be finished, because of `message`: what is left to tell.
    pub(crate) fn fail(mut self, message: &str) -> Vec<Event> {
        #[derive(Serialize)]
        struct Failed<'a> {
            response: &'a Fields,
        }
        put(&mut self.response, "status", &"failed");
        put(&mut self.response, "error", &ErrorInfo { code: "server_error", message });
        let mut events = Events::after(self.next);
        events.push("response.failed", &Failed { response: &self.response });
        events.take()
    }
}

impl Peek<'_> {
    /// Where a part is, in the summary of a thought or else in the content.
    pub(super) fn part_index(&self, in_summary: bool) -> Option<usize> {
        let index = if in_summary { self.summary_index } else { self.content_index };
        index.unwrap_or_default().try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_response_fails_as_it_began_under_the_next_number() {
        let mut passed = Passed::default();
        for event in [
            r#"{"type":"response.created","sequence_number":1,"response":{"id":"resp_1","status":"in_progress","x":1.50}}"#,
            r#"{"type":"response.output_text.delta","sequence_number":2,"delta":"Hel"}"#,
            "",
        ] {
            assert!(!passed.note(event.as_bytes()), "{event}");
        }
        let events = passed.fail("it broke");
        let [Event { name: "response.failed", data }] = events.as_slice() else { panic!("one event: {events:?}") };
        assert!(data.get().contains(r#""x":1.50"#), "{data}");
        let data: Value = serde_json::from_str(data.get()).expect("JSON");
        let error = json!({"code": "server_error", "message": "it broke"});
        let response = json!({"id": "resp_1", "status": "failed", "x": 1.5, "error": error});
        assert_eq!(data, json!({"type": "response.failed", "sequence_number": 3, "response": response}));
    }

    #[test]
    fn a_response_that_says_that_it_failed_needs_no_other_end() {
        let mut passed = Passed::default();
        assert!(passed.note(br#"{"type":"response.failed","response":{"status":"failed"}}"#));
        assert!(!passed.note(br#"{"type":"error","code":"server_error"}"#));
    }
}
