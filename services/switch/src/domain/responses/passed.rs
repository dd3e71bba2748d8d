//! A provider's own events on their way to the caller, as far as one must know them to end them in the provider's
//! place.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::event::{Event, Events};
use super::response::ErrorInfo;
use crate::domain::fields::{Fields, put};

/// What the caller has, of events that came in order.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The response as it began.
    response: Fields,
    /// The number of the next event.
    next: u64,
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(rename = "type", borrow)]
    name: Option<Cow<'a, str>>,
    sequence_number: Option<u64>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

impl Passed {
    /// Takes note of an event, and tells whether it says that the response has failed, after which nothing comes.
    pub(crate) fn note(&mut self, data: &[u8]) -> bool {
        let Ok(event) = serde_json::from_slice::<Peek<'_>>(data) else { return false };
        self.next = event.sequence_number.map_or(self.next, |number| number.saturating_add(1));
        if self.response.is_empty()
            && let Some(response) = event.response
        {
            self.response = serde_json::from_str(response.get()).unwrap_or_default();
        }
        event.name.as_deref() == Some("response.failed")
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
