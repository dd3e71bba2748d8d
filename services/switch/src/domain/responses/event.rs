//! The events of a streamed response, numbered in the order in which they are sent.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::item::{Item, Part};

/// One event, written.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Its name, such as `response.created`.
    pub(crate) name: &'static str,
    /// Its payload.
    pub(crate) data: Box<RawValue>,
}

/// The events that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Events {
    sent: u64,
    waiting: Vec<Event>,
}

impl Events {
    /// Those that follow on `sent` others.
    pub(super) fn after(sent: u64) -> Self {
        Self { sent, waiting: Vec::new() }
    }

    /// Adds an event; its fields are those of `body`.
    pub(super) fn push(&mut self, name: &'static str, body: &impl Serialize) {
        #[derive(Serialize)]
        struct Numbered<'a, T> {
            #[serde(rename = "type")]
            name: &'static str,
            sequence_number: u64,
            #[serde(flatten)]
            body: &'a T,
        }
        // Our own types have string keys and no failing serialisers.
        if let Ok(data) = to_raw_value(&Numbered { name, sequence_number: self.sent, body }) {
            self.sent += 1;
            self.waiting.push(Event { name, data });
        }
    }

    /// Those that wait.
    pub(super) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.waiting)
    }
}

/// An item began or ended.
#[derive(Serialize)]
pub(super) struct ItemEvent<'a> {
    pub(super) output_index: usize,
    pub(super) item: &'a Item,
}

/// Where a part is.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Place<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) content_index: usize,
}

/// A part began or ended.
#[derive(Serialize)]
pub(super) struct PartEvent<'a> {
    #[serde(flatten)]
    pub(super) place: Place<'a>,
    pub(super) part: &'a Part,
}

/// More of a part.
#[derive(Serialize)]
pub(super) struct DeltaEvent<'a> {
    #[serde(flatten)]
    pub(super) place: Place<'a>,
    pub(super) delta: &'a str,
    /// Only a text has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<&'a [Box<RawValue>]>,
}

/// All of a part; its text has another name in a refusal.
#[derive(Serialize)]
pub(super) struct DoneEvent<'a> {
    #[serde(flatten)]
    pub(super) place: Place<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<&'a [Box<RawValue>]>,
}

/// More of what a tool is called with, or all of it.
#[derive(Default, Serialize)]
pub(super) struct CallEvent<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    /// All that a function is called with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    /// All that any other tool of the caller's is called with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<&'a str>,
}
