//! What the caller has of an output that its provider tells in its own events: finished items as they came, open ones as
//! far as they got. It is all that another provider's words need to follow on.

use serde_json::value::{RawValue, to_raw_value};

use super::event::{Events, ItemEvent, PartEvent, Place};
use super::item::{Item, Part, Status};
use super::passed::Peek;
use crate::domain::delivered::unquoted;
use crate::domain::fields::{Fields, field, put, read};

/// Most bytes that come in for one output. Its text comes thrice: in deltas, with its part and with its item.
const MOST_KEPT: usize = 2 * 1024 * 1024;

/// An output, as far as its caller has it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    items: Vec<KeptItem>,
    bytes: usize,
    /// Whether something came that nothing can follow on, or more than is kept.
    is_lost: bool,
}

#[derive(Debug)]
enum KeptItem {
    /// As it was told at its end.
    Whole(Box<RawValue>),
    Open(Box<OpenItem>),
}

/// An item that was begun.
#[derive(Debug)]
struct OpenItem {
    /// As it was told at its beginning.
    fields: Fields,
    content: Vec<KeptPart>,
    /// Of reasoning.
    summary: Vec<KeptPart>,
}

#[derive(Debug)]
enum KeptPart {
    /// As it was told at its end.
    Whole(Box<RawValue>),
    Open(OpenPart),
}

/// A part that was begun.
#[derive(Debug)]
struct OpenPart {
    /// What it calls itself, such as `output_text`.
    kind: String,
    /// What it says so far, as it stands in JSON, without the quotes.
    text: String,
    logprobs: Vec<Box<RawValue>>,
    /// Whether the caller was told that this is all of it.
    is_said: bool,
}

/// What an output goes on from.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) items: Vec<Item>,
    /// The message that goes on.
    pub(super) open: Option<usize>,
}

impl Kept {
    /// Takes in an event.
    pub(super) fn note(&mut self, event: &Peek<'_>) {
        if !self.is_lost && self.take_in(event).is_none() {
            *self = Self { is_lost: true, ..Self::default() };
        }
    }

    /// What goes on, after the `events` that end what cannot. `None`: nothing can follow.
    pub(super) fn begun(self, events: &mut Events) -> Option<Begun> {
        if self.is_lost {
            return None;
        }
        let (mut items, mut open) = (Vec::with_capacity(self.items.len()), None);
        for (index, item) in self.items.into_iter().enumerate() {
            items.push(match item {
                KeptItem::Whole(item) => Item::Passed(item),
                KeptItem::Open(item) => match item.kind().as_deref() {
                    Some("message") if open.replace(index).is_none() => item.message(index, events)?,
                    Some("reasoning") => item.half_a_thought(index, events)?,
                    _ => return None,
                },
            });
        }
        Some(Begun { items, open })
    }

    /// `None`: nothing can follow on this.
    fn take_in(&mut self, event: &Peek<'_>) -> Option<()> {
        match event.name.as_deref().unwrap_or_default() {
            "response.output_text.delta"
            | "response.reasoning_text.delta"
            | "response.reasoning_summary_text.delta" => self.add(event),
            "response.output_item.added" => {
                let item = event.item?;
                self.count(item.get())?;
                let fields = serde_json::from_str(item.get()).ok()?;
                let item = OpenItem { fields, content: Vec::new(), summary: Vec::new() };
                let is_next = event.output_index.is_none_or(|index| index == self.items.len());
                is_next.then(|| self.items.push(KeptItem::Open(Box::new(item))))
            }
            "response.output_item.done" => {
                let item = event.item?;
                self.count(item.get())?;
                let fields: Fields = serde_json::from_str(item.get()).ok()?;
                let index = self.place(event.output_index, field(&fields, "id"))?;
                *self.items.get_mut(index)? = KeptItem::Whole(item.to_owned());
                Some(())
            }
            "response.content_part.added"
            | "response.reasoning_part.added"
            | "response.reasoning_summary_part.added" => self.part(event).map(|_| ()),
            "response.content_part.done" | "response.reasoning_part.done" | "response.reasoning_summary_part.done" => {
                let part = event.part?;
                self.count(part.get())?;
                *self.part(event)? = KeptPart::Whole(part.to_owned());
                Some(())
            }
            "response.output_text.done" | "response.reasoning_text.done" | "response.reasoning_summary_text.done" => {
                if let KeptPart::Open(part) = self.part(event)? {
                    part.is_said = true;
                }
                Some(())
            }
            _ => Some(()),
        }
    }

    /// More of a part.
    fn add(&mut self, event: &Peek<'_>) -> Option<()> {
        let logprobs: Vec<Box<RawValue>> = match event.logprobs {
            Some(logprobs) if logprobs.get() != "[]" => serde_json::from_str(logprobs.get()).ok()?,
            _ => Vec::new(),
        };
        let text = unquoted(event.delta.map(RawValue::get));
        self.count(text)?;
        logprobs.iter().try_for_each(|logprob| self.count(logprob.get()))?;
        let KeptPart::Open(part) = self.part(event)? else { return None };
        part.text.push_str(text);
        part.logprobs.extend(logprobs);
        Some(())
    }

    /// The part that an event is about; one that is not known was begun with it.
    fn part(&mut self, event: &Peek<'_>) -> Option<&mut KeptPart> {
        let index = self.place(event.output_index, event.item_id)?;
        let KeptItem::Open(item) = self.items.get_mut(index)? else { return None };
        let name = event.name.as_deref()?;
        let in_summary = name.starts_with("response.reasoning_summary_");
        let index = event.part_index(in_summary)?;
        let parts = if in_summary { &mut item.summary } else { &mut item.content };
        if index == parts.len() {
            let told = event.part.and_then(|part| read(field(&serde_json::from_str(part.get()).ok()?, "type")));
            let kind = told.unwrap_or_else(|| kind_by_name(name).to_owned());
            parts.push(KeptPart::Open(OpenPart { kind, text: String::new(), logprobs: Vec::new(), is_said: false }));
        }
        parts.get_mut(index)
    }

    /// Where the item is that an event is about. Some servers say it by its `id` alone.
    fn place(&self, index: Option<usize>, id: Option<&RawValue>) -> Option<usize> {
        let has_id = |item: &KeptItem| match item {
            KeptItem::Whole(_) => false,
            KeptItem::Open(item) => field(&item.fields, "id").map(RawValue::get) == id.map(RawValue::get),
        };
        index.or_else(|| self.items.iter().rposition(has_id).filter(|_| id.is_some()))
    }

    fn count(&mut self, came: &str) -> Option<()> {
        self.bytes += came.len();
        (self.bytes <= MOST_KEPT).then_some(())
    }
}

/// What an event is about that does not say it but by its name.
fn kind_by_name(name: &str) -> &'static str {
    match name.strip_prefix("response.reasoning_") {
        Some(rest) if rest.starts_with("summary_") => "summary_text",
        Some(_) => "reasoning_text",
        None => "output_text",
    }
}

impl OpenItem {
    fn kind(&self) -> Option<String> {
        read(field(&self.fields, "type"))
    }

    /// The message at this place, with its last part open where that was not told to its end.
    fn message(self, output_index: usize, events: &mut Events) -> Option<Item> {
        let Self { mut fields, content, .. } = self;
        let id: String = read(field(&fields, "id"))?;
        let last = content.len().saturating_sub(1);
        let mut parts = Vec::with_capacity(content.len());
        for (content_index, part) in content.into_iter().enumerate() {
            let part = match part {
                KeptPart::Whole(part) => Part::Passed(part),
                KeptPart::Open(part) if part.is_said => {
                    let part = Part::Passed(to_raw_value(&part.text()?).ok()?);
                    let place = Place { item_id: &id, output_index, content_index };
                    events.push("response.content_part.done", &PartEvent { place, part: &part });
                    part
                }
                KeptPart::Open(part) if content_index == last => part.text()?,
                KeptPart::Open(_) => return None,
            };
            parts.push(part);
        }
        for known in ["type", "id", "status", "role", "content"] {
            fields.remove(known);
        }
        Some(Item::Message { id, status: Status::InProgress, role: "assistant", content: parts, more: fields })
    }

    /// The reasoning at this place, of which no more comes: another model has thoughts of its own.
    fn half_a_thought(self, output_index: usize, events: &mut Events) -> Option<Item> {
        let Self { mut fields, content, summary } = self;
        for (name, parts) in [("summary", summary), ("content", content)] {
            if !parts.is_empty() {
                let parts: Vec<_> = parts.into_iter().map(KeptPart::of_a_thought).collect::<Option<_>>()?;
                put(&mut fields, name, &parts);
            }
        }
        put(&mut fields, "status", &Status::Incomplete);
        let item = Item::Passed(to_raw_value(&fields).ok()?);
        events.push("response.output_item.done", &ItemEvent { output_index, item: &item });
        Some(item)
    }
}

impl KeptPart {
    fn of_a_thought(self) -> Option<Box<RawValue>> {
        let OpenPart { kind, text, .. } = match self {
            Self::Whole(part) => return Some(part),
            Self::Open(part) => part,
        };
        let mut part = Fields::new();
        put(&mut part, "type", &kind);
        part.insert("text".to_owned(), RawValue::from_string(format!("\"{text}\"")).ok()?);
        to_raw_value(&part).ok()
    }
}

impl OpenPart {
    /// The same as a part that can grow. `None`: it is no text, or ends within a character.
    fn text(self) -> Option<Part> {
        let text = serde_json::from_str(&format!("\"{}\"", self.text)).ok()?;
        (self.kind == "output_text").then_some(Part::OutputText { text, annotations: [], logprobs: self.logprobs })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::passed::Passed;
    use super::MOST_KEPT;

    /// What follows on these events, before anything else is said.
    fn followed(events: &[Value]) -> Option<Vec<Value>> {
        let mut passed = Passed::keeping();
        passed.note(br#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"m"}}"#);
        for event in events {
            passed.note(event.to_string().as_bytes());
        }
        let events = passed.follow("k".to_owned())?.fail("it broke");
        Some(events.iter().map(|event| serde_json::from_str(event.data.get()).expect("JSON")).collect())
    }

    fn event(name: &str, mut more: Value) -> Value {
        more["type"] = format!("response.{name}").into();
        more["output_index"] = 0.into();
        more
    }

    fn begun(kind: &str) -> Value {
        event("output_item.added", json!({"item": {"type": kind, "id": "i", "x": 1}}))
    }

    fn delta(name: &str, text: &str) -> Value {
        event(&format!("{name}.delta"), json!({"content_index": 0, "delta": text}))
    }

    #[test]
    fn an_open_message_stays_open_and_an_open_thought_ends_half() {
        let told = followed(&[begun("message"), delta("output_text", "He\"l")]).expect("it can be followed");
        let part = json!({"type": "output_text", "text": "He\"l", "annotations": [], "logprobs": []});
        let item = json!({"type": "message", "id": "i", "status": "incomplete", "role": "assistant", "x": 1,
            "content": [part]});
        assert_eq!((told.len(), &told[0]["response"]["output"]), (1, &json!([item])));

        let part = event("reasoning_part.added", json!({"content_index": 0, "part": {"type": "reasoning_text"}}));
        let told = followed(&[begun("reasoning"), part, delta("reasoning_text", "h\nm")]).expect("it can be followed");
        let content = json!([{"type": "reasoning_text", "text": "h\nm"}]);
        let item = json!({"type": "reasoning", "id": "i", "status": "incomplete", "x": 1, "content": content});
        assert_eq!((&told[0]["type"], &told[0]["item"]), (&json!("response.output_item.done"), &item));
        assert_eq!(told[1]["response"]["output"], json!([item]));
    }

    #[test]
    fn an_item_may_be_known_by_its_id_alone() {
        // As llama.cpp has it: a thought ends behind the text that it led to.
        let added = |kind: &str| json!({"type": "response.output_item.added", "item": {"type": kind, "id": kind}});
        let delta =
            |name: &str, of: &str| json!({"type": format!("response.{name}.delta"), "item_id": of, "delta": "x"});
        let mut events = vec![added("reasoning"), delta("reasoning_text", "reasoning")];
        events.extend([added("message"), delta("output_text", "message"), delta("output_text", "message")]);
        let whole = json!({"type": "reasoning", "id": "reasoning", "status": "completed"});
        events.push(json!({"type": "response.output_item.done", "item": whole}));
        let told = followed(&events).expect("it can be followed");
        let output = &told.last().expect("an end")["response"]["output"];
        assert_eq!((&output[0], &output[1]["content"][0]["text"]), (&whole, &json!("xx")));
        events.push(delta("output_text", "another"));
        assert_eq!(followed(&events), None);
    }

    #[test]
    fn nothing_follows_on_what_is_not_known_or_too_much() {
        let far =
            json!({"type": "response.output_item.added", "output_index": 7, "item": {"type": "message", "id": "i"}});
        let odd = json!({"type": "response.output_text.delta", "output_index": "0", "delta": "x"});
        let negative = event("output_text.delta", json!({"content_index": -1, "delta": "x"}));
        let long = delta("output_text", &"x".repeat(MOST_KEPT / 2));
        for events in [
            vec![delta("output_text", "x")],
            vec![far],
            vec![begun("message"), odd],
            vec![begun("message"), negative],
            vec![begun("message"), begun("message")],
            vec![json!({"type": "response.output_text.delta", "delta": "x"})],
            vec![begun("function_call")],
            vec![begun("message"), long.clone(), long],
        ] {
            assert_eq!(followed(&events), None, "{}", &events[0]);
        }
        assert!(followed(&[]).is_some());
    }

    #[test]
    fn half_a_character_cannot_be_followed() {
        let mut passed = Passed::keeping();
        passed.note(br#"{"type":"response.created","response":{"id":"resp_1"}}"#);
        passed.note(begun("message").to_string().as_bytes());
        passed.note(br#"{"type":"response.output_text.delta","output_index":0,"delta":"\ud83d"}"#);
        assert!(passed.follow("k".to_owned()).is_none());
    }
}
