//! What is said in a response: its items and their parts, and the events that tell of them.
//!
//! Text, refusals and reasoning end when something else begins. Calls stay open until the answer ends, because a chat
//! may go on with any of them at any time. A half call of an answer that broke is never said to be done: who reads that
//! it is may make the call.

use serde_json::value::RawValue;

use super::chunk::ToolDelta;
use super::event::{CallEvent, DeltaEvent, DoneEvent, Events, ItemEvent, PartEvent, Place};
use super::item::{Item, Part, PartKind, Status};
use super::kept::Begun;
use crate::domain::chunk::BadChunk;
use crate::wire::signed_id;

/// Most bytes that are said in one response. It is kept whole, because its last event repeats it.
pub(super) const MAX_SAID: usize = 8 * 1024 * 1024;

/// The output of a response that grows.
#[derive(Debug)]
pub(super) struct Output {
    /// What all ids of the response end with.
    key: String,
    /// What is told of it, and of the response as a whole.
    pub(super) events: Events,
    items: Vec<Item>,
    /// The open item that is no call.
    open: Option<usize>,
    /// Calls in the order of their beginning.
    calls: Vec<Call>,
    said: usize,
}

/// A call that was begun.
#[derive(Debug)]
struct Call {
    /// The index that the chat gives it. Some servers count all of them as the first.
    number: usize,
    /// The id that the chat gives it.
    id: String,
    /// Where it is among the items.
    item: usize,
}

impl Output {
    /// Nothing was said yet; all ids will end with `key`.
    pub(super) fn new(key: String) -> Self {
        Self { key, events: Events::default(), items: Vec::new(), open: None, calls: Vec::new(), said: 0 }
    }

    /// Another provider has told what is `begun`, and `events` come first; all new ids will end with `key`.
    pub(super) fn following(key: String, Begun { items, open }: Begun, events: Events) -> Self {
        Self { events, items, open, ..Self::new(key) }
    }

    /// All items so far.
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// The answer broke: what is open stays unfinished, and nothing more is told of it.
    pub(super) fn give_up(&mut self) {
        for item in self.items.iter_mut().filter(|item| item.status() == Status::InProgress) {
            item.set_status(Status::Incomplete);
        }
    }

    /// Ends everything that is open, in this status.
    pub(super) fn conclude(&mut self, status: Status) {
        if self.items.iter().all(Item::is_reasoning) {
            // An empty answer is an answer.
            self.part_for(PartKind::Text);
        }
        self.close_open(status);
        for Call { item: index, .. } in std::mem::take(&mut self.calls) {
            if status == Status::Completed {
                self.end_call(index);
            }
            self.end_item(index, status);
        }
    }

    /// More of what is said.
    pub(super) fn say(&mut self, kind: PartKind, text: &str, logprobs: &[Box<RawValue>]) -> Result<(), BadChunk> {
        self.count(text.len())?;
        let (index, content_index) = self.part_for(kind);
        let Some(part) = self.items[index].parts_mut().and_then(|parts| parts.last_mut()) else { return Ok(()) };
        part.append(text, logprobs);
        let name = match kind {
            PartKind::Text => "response.output_text.delta",
            PartKind::Refusal => "response.refusal.delta",
            PartKind::Reasoning(_) => "response.reasoning_text.delta",
        };
        let place = place(&self.items[index], index, content_index);
        let logprobs = (kind == PartKind::Text).then_some(logprobs);
        self.events.push(name, &DeltaEvent { place, delta: text, logprobs });
        Ok(())
    }

    /// Where the open part of this kind is; it is begun where there is none.
    fn part_for(&mut self, kind: PartKind) -> (usize, usize) {
        let open = self.open.filter(|index| is_home_of(&self.items[*index], kind));
        let index = match open {
            Some(index) => index,
            None => {
                self.close_open(Status::Completed);
                let number = self.items.len();
                self.open = Some(number);
                self.begin_item(match kind {
                    PartKind::Reasoning(name) => Item::reasoning(format!("rs_{}{number:02x}", self.key), name),
                    PartKind::Text | PartKind::Refusal => Item::message(format!("msg_{}{number:02x}", self.key)),
                })
            }
        };
        let parts = self.items[index].parts();
        if parts.last().is_some_and(|part| part.is(kind)) {
            return (index, parts.len() - 1);
        }
        self.end_part(index);
        if let Some(parts) = self.items[index].parts_mut() {
            parts.push(Part::new(kind));
        }
        let item = &self.items[index];
        let content_index = item.parts().len().saturating_sub(1);
        if let Some(part) = item.parts().last() {
            let event = PartEvent { place: place(item, index, content_index), part };
            self.events.push("response.content_part.added", &event);
        }
        (index, content_index)
    }

    /// More of a call.
    pub(super) fn call(&mut self, place: usize, mut call: ToolDelta) -> Result<(), BadChunk> {
        let number = call.index.unwrap_or(place);
        let more = call.take_more();
        self.count(more.len())?;
        let known = self.calls.iter().rfind(|known| known.number == number);
        let index = match known.filter(|known| !call.begins_another(&known.id)) {
            Some(known) => known.item,
            None => self.begin_call(number, call),
        };
        let (name, id, said) = match &mut self.items[index] {
            Item::FunctionCall { id, arguments, .. } => ("response.function_call_arguments.delta", id, arguments),
            Item::CustomToolCall { id, input, .. } => ("response.custom_tool_call_input.delta", id, input),
            Item::Reasoning { .. } | Item::Message { .. } | Item::Passed(_) => return Ok(()),
        };
        if !more.is_empty() {
            said.push_str(&more);
            let event = CallEvent { item_id: id, output_index: index, delta: Some(&more), ..CallEvent::default() };
            self.events.push(name, &event);
        }
        Ok(())
    }

    /// All that the tool is called with was said.
    fn end_call(&mut self, index: usize) {
        let item = &self.items[index];
        let event = CallEvent { item_id: item.id(), output_index: index, ..CallEvent::default() };
        match item {
            Item::FunctionCall { arguments, .. } => {
                let event = CallEvent { arguments: Some(arguments), ..event };
                self.events.push("response.function_call_arguments.done", &event);
            }
            Item::CustomToolCall { input, .. } => {
                let event = CallEvent { input: Some(input), ..event };
                self.events.push("response.custom_tool_call_input.done", &event);
            }
            Item::Reasoning { .. } | Item::Message { .. } | Item::Passed(_) => {}
        }
    }

    fn begin_call(&mut self, number: usize, call: ToolDelta) -> usize {
        self.close_open(Status::Completed);
        let key = &self.key;
        let place = self.items.len();
        let given = call.id.as_deref().unwrap_or_default().to_owned();
        let call_id = if given.is_empty() { format!("call_{key}{number:02x}") } else { given.clone() };
        let call_id = match call.thought_signature() {
            Some(signature) => signed_id::join(&call_id, signature),
            None => call_id,
        };
        let name = call.name().unwrap_or_default().to_owned();
        let item = self.begin_item(match call.custom {
            Some(_) => Item::custom_tool_call(format!("ctc_{}{place:02x}", self.key), call_id, name),
            None => Item::function_call(format!("fc_{}{place:02x}", self.key), call_id, name),
        });
        self.calls.push(Call { number, id: given, item });
        item
    }

    fn begin_item(&mut self, item: Item) -> usize {
        let output_index = self.items.len();
        self.events.push("response.output_item.added", &ItemEvent { output_index, item: &item });
        self.items.push(item);
        output_index
    }

    fn close_open(&mut self, status: Status) {
        if let Some(index) = self.open.take() {
            self.end_part(index);
            self.end_item(index, status);
        }
    }

    fn end_item(&mut self, index: usize, status: Status) {
        let item = &mut self.items[index];
        item.set_status(status);
        self.events.push("response.output_item.done", &ItemEvent { output_index: index, item });
    }

    /// Ends the last part of an item, where it has one.
    fn end_part(&mut self, index: usize) {
        let item = &self.items[index];
        let Some((content_index, part)) = item.parts().iter().enumerate().next_back() else { return };
        let place = place(item, index, content_index);
        let (name, text, refusal, logprobs) = match part {
            Part::OutputText { text, logprobs, .. } => {
                ("response.output_text.done", Some(text.as_str()), None, Some(logprobs.as_slice()))
            }
            Part::Refusal { .. } => ("response.refusal.done", None, Some(part.text()), None),
            Part::ReasoningText { .. } => ("response.reasoning_text.done", Some(part.text()), None, None),
            // That was told.
            Part::Passed(_) => return,
        };
        self.events.push(name, &DoneEvent { place, text, refusal, logprobs });
        self.events.push("response.content_part.done", &PartEvent { place, part });
    }

    fn count(&mut self, bytes: usize) -> Result<(), BadChunk> {
        self.said += bytes;
        if self.said > MAX_SAID { Err(BadChunk) } else { Ok(()) }
    }
}

fn is_home_of(item: &Item, kind: PartKind) -> bool {
    match item {
        Item::Reasoning { .. } => matches!(kind, PartKind::Reasoning(_)),
        Item::Message { .. } => matches!(kind, PartKind::Text | PartKind::Refusal),
        Item::FunctionCall { .. } | Item::CustomToolCall { .. } | Item::Passed(_) => false,
    }
}

fn place(item: &Item, output_index: usize, content_index: usize) -> Place<'_> {
    Place { item_id: item.id(), output_index, content_index }
}
