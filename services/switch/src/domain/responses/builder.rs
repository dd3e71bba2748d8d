//! Builds a response out of chat chunks, and tells of it in events on the way.
//!
//! Text, refusals and reasoning end when something else begins. Calls stay open until the answer ends, because a chat may
//! go on with any of them at any time. A half call of an answer that broke is never said to be done: who reads that it is
//! may make the call.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::chunk::{Chunk, Delta, ToolDelta, Usage};
use super::event::{ArgumentsEvent, DeltaEvent, DoneEvent, Event, Events, ItemEvent, PartEvent, Place};
use super::item::{Item, Part, PartKind, Status};
use super::response::{Echo, ErrorInfo, IncompleteDetails, Response};
use crate::domain::answer::Read;
use crate::domain::chunk::BadChunk;

/// Most bytes that are said in one response. It is kept whole, because its last event repeats it.
const MAX_SAID: usize = 8 * 1024 * 1024;

/// A response that grows.
#[derive(Debug)]
pub(crate) struct Builder {
    /// What all ids of the response end with.
    key: String,
    id: String,
    created_at: i64,
    model: String,
    echo: Echo,
    events: Events,
    begun: bool,
    items: Vec<Item>,
    /// The open item that is no call.
    open: Option<usize>,
    /// Calls by the index that the chat gives them: where they are among the items.
    calls: Vec<(usize, usize)>,
    said: usize,
    finish_reason: Option<String>,
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Lifecycle<'a> {
    response: &'a Response<'a>,
}

impl Builder {
    /// A response under a `key` of its own, to a request for `model`, at this Unix second.
    pub(crate) fn new(key: String, created_at: i64, model: &str, echo: Echo) -> Self {
        Self {
            id: format!("resp_{key}"),
            key,
            created_at,
            model: model.to_owned(),
            echo,
            events: Events::default(),
            begun: false,
            items: Vec::new(),
            open: None,
            calls: Vec::new(),
            said: 0,
            finish_reason: None,
            usage: None,
        }
    }

    /// Takes in a chunk, and answers with the events that follow from it.
    ///
    /// # Errors
    /// When it is no chunk of a chat, or the answer has become too long.
    pub(crate) fn add(&mut self, data: &[u8]) -> Result<Vec<Event>, BadChunk> {
        let chunk: Chunk = serde_json::from_slice(data).map_err(|_| BadChunk)?;
        self.take_in(chunk)?;
        Ok(self.events.take())
    }

    /// The answer is whole: what is left to tell.
    pub(crate) fn finish(mut self, now: i64) -> Vec<Event> {
        self.conclude();
        let incomplete = self.incomplete();
        let name = if incomplete.is_some() { "response.incomplete" } else { "response.completed" };
        self.tell(name, Some(now), None);
        self.events.take()
    }

    /// The answer will not be finished, because of `message`: what is left to tell.
    pub(crate) fn fail(mut self, message: &str) -> Vec<Event> {
        self.begin();
        for item in self.items.iter_mut().filter(|item| item.status() == Status::InProgress) {
            item.set_status(Status::Incomplete);
        }
        self.tell("response.failed", None, Some(ErrorInfo { code: "server_error", message }));
        self.events.take()
    }

    /// The response to a whole chat completion. `None`: `body` is none.
    pub(crate) fn whole(mut self, body: &[u8], now: i64) -> Option<Box<RawValue>> {
        let chunk: Chunk = serde_json::from_slice(body).ok()?;
        self.take_in(chunk).ok()?;
        self.conclude();
        to_raw_value(&self.response(Some(now), None)).ok()
    }

    /// Whether `body` is a chat completion that can become a response, and what it cost.
    pub(crate) fn check(body: &[u8]) -> Option<Read<()>> {
        let chunk: Chunk = serde_json::from_slice(body).ok()?;
        chunk.choices.first()?.delta.as_ref()?;
        crate::domain::answer::check(body)
    }

    fn take_in(&mut self, chunk: Chunk) -> Result<(), BadChunk> {
        if let Some(model) = chunk.model.filter(|_| !self.begun) {
            self.model = model;
        }
        self.begin();
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage.into());
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        let logprobs = choice.logprobs.and_then(|logprobs| logprobs.content).unwrap_or_default();
        if let Some(delta) = choice.delta {
            self.take_in_delta(delta, &logprobs)?;
        }
        self.finish_reason = choice.finish_reason.filter(|reason| !reason.is_empty()).or(self.finish_reason.take());
        Ok(())
    }

    fn take_in_delta(&mut self, delta: Delta, logprobs: &[Box<RawValue>]) -> Result<(), BadChunk> {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(text) = said(delta.reasoning_content.or(delta.reasoning)) {
            self.say(PartKind::Reasoning, &text, &[])?;
        }
        if let Some(text) = said(delta.content) {
            self.say(PartKind::Text, &text, logprobs)?;
        }
        if let Some(text) = said(delta.refusal) {
            self.say(PartKind::Refusal, &text, &[])?;
        }
        for (place, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            self.call(place, call)?;
        }
        Ok(())
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.tell("response.created", None, None);
            self.tell("response.in_progress", None, None);
        }
    }

    /// More of what is said.
    fn say(&mut self, kind: PartKind, text: &str, logprobs: &[Box<RawValue>]) -> Result<(), BadChunk> {
        self.count(text.len())?;
        let (index, content_index) = self.part_for(kind);
        let Some(part) = self.items[index].parts_mut().and_then(|parts| parts.last_mut()) else { return Ok(()) };
        part.append(text, logprobs);
        let name = match kind {
            PartKind::Text => "response.output_text.delta",
            PartKind::Refusal => "response.refusal.delta",
            PartKind::Reasoning => "response.reasoning_text.delta",
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
                    PartKind::Reasoning => Item::reasoning(format!("rs_{}{number:02x}", self.key)),
                    PartKind::Text | PartKind::Refusal => Item::message(format!("msg_{}{number:02x}", self.key)),
                })
            }
        };
        let parts = self.items[index].parts();
        if parts.last().is_some_and(|part| part.kind() == kind) {
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
    fn call(&mut self, place: usize, call: ToolDelta) -> Result<(), BadChunk> {
        let number = call.index.unwrap_or(place);
        let (name, more) = call.function.map_or((None, None), |function| (function.name, function.arguments));
        let more = more.unwrap_or_default();
        self.count(more.len())?;
        let known = self.calls.iter().find(|(known, _)| *known == number).map(|(_, index)| *index);
        let index = match known {
            Some(index) => index,
            None => {
                self.close_open(Status::Completed);
                let key = &self.key;
                let id = format!("fc_{key}{:02x}", self.items.len());
                let given = call.id.filter(|id| !id.is_empty());
                let call_id = given.unwrap_or_else(|| format!("call_{key}{number:02x}"));
                let index = self.begin_item(Item::function_call(id, call_id, name.unwrap_or_default()));
                self.calls.push((number, index));
                index
            }
        };
        if let Item::FunctionCall { id, arguments, .. } = &mut self.items[index]
            && !more.is_empty()
        {
            arguments.push_str(&more);
            let event = ArgumentsEvent { item_id: id, output_index: index, delta: Some(&more), arguments: None };
            self.events.push("response.function_call_arguments.delta", &event);
        }
        Ok(())
    }

    fn begin_item(&mut self, item: Item) -> usize {
        let output_index = self.items.len();
        self.events.push("response.output_item.added", &ItemEvent { output_index, item: &item });
        self.items.push(item);
        output_index
    }

    /// Ends everything that is open.
    fn conclude(&mut self) {
        self.begin();
        if self.items.iter().all(|item| matches!(item, Item::Reasoning { .. })) {
            // An empty answer is an answer.
            self.part_for(PartKind::Text);
        }
        let status = if self.incomplete().is_some() { Status::Incomplete } else { Status::Completed };
        self.close_open(status);
        for (_, index) in std::mem::take(&mut self.calls) {
            if let (Status::Completed, Item::FunctionCall { id, arguments, .. }) = (status, &self.items[index]) {
                let event =
                    ArgumentsEvent { item_id: id, output_index: index, delta: None, arguments: Some(arguments) };
                self.events.push("response.function_call_arguments.done", &event);
            }
            self.end_item(index, status);
        }
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
        };
        self.events.push(name, &DoneEvent { place, text, refusal, logprobs });
        self.events.push("response.content_part.done", &PartEvent { place, part });
    }

    fn count(&mut self, bytes: usize) -> Result<(), BadChunk> {
        self.said += bytes;
        if self.said > MAX_SAID { Err(BadChunk) } else { Ok(()) }
    }

    /// Why the answer ends before its end, where it does.
    fn incomplete(&self) -> Option<IncompleteDetails> {
        let reason = match self.finish_reason.as_deref() {
            Some("length") => "max_output_tokens",
            Some("content_filter") => "content_filter",
            _ => return None,
        };
        Some(IncompleteDetails { reason })
    }

    /// Adds an event that carries the whole response.
    fn tell(&mut self, name: &'static str, completed_at: Option<i64>, error: Option<ErrorInfo<'_>>) {
        // Taken out for a moment, because the response borrows everything else.
        let mut events = std::mem::take(&mut self.events);
        events.push(name, &Lifecycle { response: &self.response(completed_at, error) });
        self.events = events;
    }

    fn response<'a>(&'a self, completed_at: Option<i64>, error: Option<ErrorInfo<'a>>) -> Response<'a> {
        let incomplete_details = completed_at.and_then(|_| self.incomplete());
        let status = match (error, completed_at) {
            (Some(_), _) => Status::Failed,
            (None, None) => Status::InProgress,
            (None, Some(_)) if incomplete_details.is_some() => Status::Incomplete,
            (None, Some(_)) => Status::Completed,
        };
        Response {
            id: &self.id,
            object: "response",
            created_at: self.created_at,
            completed_at: completed_at.filter(|_| status == Status::Completed),
            status,
            background: false,
            error,
            incomplete_details,
            model: &self.model,
            output: &self.items,
            previous_response_id: None,
            store: false,
            usage: self.usage,
            echo: &self.echo,
        }
    }
}

fn is_home_of(item: &Item, kind: PartKind) -> bool {
    match item {
        Item::Reasoning { .. } => kind == PartKind::Reasoning,
        Item::Message { .. } => kind != PartKind::Reasoning,
        Item::FunctionCall { .. } => false,
    }
}

fn place(item: &Item, output_index: usize, content_index: usize) -> Place<'_> {
    Place { item_id: item.id(), output_index, content_index }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::responses::ResponsesRequest;

    fn builder() -> Builder {
        let body = json!({ "model": "m", "input": "hi", "metadata": { "a": "b" } }).to_string();
        let request = ResponsesRequest::read(body.as_bytes()).expect("acceptable");
        Builder::new("k".to_owned(), 1, "m", request.echo)
    }

    fn add(builder: &mut Builder, chunk: &Value) -> Vec<Value> {
        read(builder.add(chunk.to_string().as_bytes()).expect("a chunk"))
    }

    fn read(events: Vec<Event>) -> Vec<Value> {
        let value = |event: Event| {
            let value: Value = serde_json::from_str(event.data.get()).expect("JSON");
            assert_eq!(value["type"], event.name);
            value
        };
        events.into_iter().map(value).collect()
    }

    fn delta(delta: Value) -> Value {
        json!({ "model": "real", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
    }

    fn end(reason: &str) -> Value {
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
    }

    fn call(index: usize, id: Option<&str>, arguments: &str) -> Value {
        let name = id.map(|_| format!("f{index}"));
        delta(
            json!({ "tool_calls": [{ "index": index, "id": id, "function": { "name": name, "arguments": arguments } }] }),
        )
    }

    fn names(events: &[Value]) -> Vec<&str> {
        events.iter().map(|event| event["type"].as_str().expect("a name").trim_start_matches("response.")).collect()
    }

    #[test]
    fn a_text_is_told_from_its_beginning_to_its_end() {
        let mut builder = builder();
        let mut events = add(&mut builder, &delta(json!({ "role": "assistant", "content": "" })));
        for text in ["Hel", "lo"] {
            events.extend(add(&mut builder, &delta(json!({ "content": text }))));
        }
        events.extend(add(&mut builder, &end("stop")));
        let usage = json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
            "prompt_tokens_details": { "cached_tokens": 1 } } });
        events.extend(add(&mut builder, &usage));
        events.extend(read(builder.finish(9)));
        assert_eq!(
            names(&events),
            [
                "created",
                "in_progress",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                "completed"
            ]
        );
        let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().expect("a number")).collect();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        assert_eq!((&events[2]["item"]["content"], &events[6]["text"]), (&json!([]), &json!("Hello")));
        let response = &events[9]["response"];
        assert_eq!(
            (&response["id"], &response["model"], &response["status"]),
            (&json!("resp_k"), &json!("real"), &json!("completed"))
        );
        let part = json!({ "type": "output_text", "text": "Hello", "annotations": [], "logprobs": [] });
        let item = json!({ "type": "message", "id": "msg_k00", "status": "completed", "role": "assistant", "content": [part] });
        assert_eq!(response["output"], json!([item]));
        assert_eq!(
            response["usage"],
            json!({ "input_tokens": 3, "input_tokens_details": { "cached_tokens": 1, "cache_write_tokens": 0 },
                "output_tokens": 2, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 5 })
        );
        assert_eq!((&response["metadata"], &response["store"]), (&json!({ "a": "b" }), &json!(false)));
    }

    #[test]
    fn calls_may_grow_side_by_side() {
        let mut builder = builder();
        let mut events = add(&mut builder, &delta(json!({ "reasoning_content": "hm" })));
        for chunk in [call(0, Some("a"), "{\"x\""), call(1, Some("b"), "{"), call(0, None, ":1}"), call(1, None, "}")] {
            events.extend(add(&mut builder, &chunk));
        }
        events.extend(add(&mut builder, &end("tool_calls")));
        events.extend(read(builder.finish(9)));
        let done: Vec<_> =
            events.iter().filter(|event| event["type"] == "response.function_call_arguments.done").collect();
        assert_eq!((&done[0]["arguments"], &done[1]["arguments"]), (&json!("{\"x\":1}"), &json!("{}")));
        let output = &events.last().expect("an end")["response"]["output"];
        let kinds: Vec<_> =
            output.as_array().expect("a list").iter().map(|item| item["type"].as_str().expect("text")).collect();
        assert_eq!(kinds, ["reasoning", "function_call", "function_call"]);
        assert_eq!(
            (&output[1]["call_id"], &output[1]["name"], &output[2]["call_id"]),
            (&json!("a"), &json!("f0"), &json!("b"))
        );
    }

    #[test]
    fn a_half_call_is_never_said_to_be_done() {
        for broken in [true, false] {
            let mut builder = builder();
            let mut events = add(&mut builder, &call(0, Some("a"), "{\"x\""));
            if broken {
                events.extend(read(builder.fail("it broke off")));
            } else {
                events.extend(add(&mut builder, &end("length")));
                events.extend(read(builder.finish(9)));
            }
            assert!(!names(&events).contains(&"function_call_arguments.done"), "{events:?}");
            let last = events.last().expect("an end");
            let expected = if broken { ("response.failed", "failed") } else { ("response.incomplete", "incomplete") };
            assert_eq!(
                (last["type"].as_str(), last["response"]["status"].as_str()),
                (Some(expected.0), Some(expected.1))
            );
            assert_eq!(last["response"]["output"][0]["status"], "incomplete");
            assert_eq!(last["response"]["error"]["message"].is_string(), broken);
        }
    }

    #[test]
    fn a_whole_answer_is_the_same_response() {
        let whole = json!({ "model": "real", "choices": [{ "index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": "Hello", "reasoning_content": "hm", "refusal": null,
            "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } }] } }] });
        let response = builder().whole(whole.to_string().as_bytes(), 9).expect("a response");
        let response: Value = serde_json::from_str(response.get()).expect("JSON");
        let kinds: Vec<_> = response["output"].as_array().expect("a list").iter().map(|item| &item["type"]).collect();
        assert_eq!(kinds, ["reasoning", "message", "function_call"]);
        assert_eq!((&response["completed_at"], &response["incomplete_details"]), (&json!(9), &Value::Null));
    }

    #[test]
    fn an_answer_that_says_nothing_has_an_empty_message_and_an_endless_one_is_refused() {
        let mut silent = builder();
        add(&mut silent, &end("stop"));
        let last = read(silent.finish(9)).pop().expect("an end");
        assert_eq!(last["response"]["output"][0]["content"][0]["text"], "");

        let chunk = delta(json!({ "content": "x".repeat(MAX_SAID / 2 + 1) })).to_string();
        let mut endless = builder();
        assert!(endless.add(chunk.as_bytes()).is_ok());
        assert!(endless.add(chunk.as_bytes()).is_err());
    }

    #[test]
    fn refusals_are_parts_of_their_own() {
        let mut builder = builder();
        let mut events = add(&mut builder, &delta(json!({ "content": "Well" })));
        events.extend(add(&mut builder, &delta(json!({ "refusal": "I cannot" }))));
        events.extend(read(builder.finish(9)));
        let content = &events.last().expect("an end")["response"]["output"][0]["content"];
        assert_eq!(content[1], json!({ "type": "refusal", "refusal": "I cannot" }));
        assert!(names(&events).contains(&"refusal.done"), "{events:?}");
    }
}
