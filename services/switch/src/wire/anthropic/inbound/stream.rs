//! Chunks as Anthropic's events, one chunk at a time.
//!
//! Blocks follow one another: a block is closed when another kind of thing is said. Parts of a tool call that come
//! after its block was closed, as a server may send that writes several calls at once, still bear the index of that
//! block, by which clients put them together.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vx11_contracts::chat;

use super::super::{counted, stop};
use super::answer::{call_id, message_id};
use super::reasoning::{self, Name};
use crate::accounts::Usd;
use crate::wire::json::{count, get, list, said, text};
use crate::wire::openai::Usage;

/// What has been said so far.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    is_begun: bool,
    open: Option<Open>,
    blocks: u64,
    /// The last tool call at each index. Some servers count all of them as the first.
    calls: BTreeMap<u64, Call>,
    stop_reason: String,
    usage: Option<Usage>,
    /// Who finished the answer in another's place, as the gateway says it in a chunk.
    finisher: Option<Value>,
}

/// The block that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    index: u64,
    kind: Kind,
}

/// A tool call that was begun.
#[derive(Debug)]
struct Call {
    block: u64,
    id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    /// Thinking that a server calls so, and would not know by another name.
    Reasoning,
    Call,
    /// One that only providers of this wire have, and that no chunk adds to.
    Foreign,
}

impl Stream {
    /// The events that a chunk becomes. An event's name is its `type`.
    pub(crate) fn push(&mut self, chunk: &Value) -> Vec<Value> {
        let mut out = Vec::new();
        // Azure says something of the prompt first, in a chunk that has neither a choice nor the answer's names.
        if !list(chunk, "choices").is_empty() {
            self.begin(chunk, &mut out);
        }
        if let Some(usage) = get(chunk, "usage").and_then(Usage::read) {
            self.usage = Some(usage);
        }
        if let Some(finisher) = get(chunk, "vx11") {
            self.finisher = Some(finisher.clone());
        }
        // There is no second choice in Anthropic's wire, and none was asked for.
        for choice in list(chunk, "choices").iter().filter(|choice| count(choice, "index") == 0) {
            if let Some(delta) = get(choice, "delta") {
                self.add(delta, &mut out);
            }
            if let Some(reason) = said(choice, "finish_reason") {
                reason.clone_into(&mut self.stop_reason);
            }
        }
        out
    }

    /// Takes note of an event that the caller got as it came, so that another provider's chunks can follow it.
    pub(crate) fn passed(&mut self, name: Option<&str>, data: &[u8]) {
        // Nearly all events are deltas, and need not be read.
        if !matches!(name, None | Some("message_start" | "content_block_start" | "content_block_stop")) {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
        match text(&event, "type") {
            Some("message_start") => self.is_begun = true,
            Some("content_block_start") => {
                let index = count(&event, "index");
                let kind = match get(&event, "content_block").and_then(|block| text(block, "type")) {
                    Some("text") => Kind::Text,
                    Some("thinking") => Kind::Thinking,
                    _ => Kind::Foreign,
                };
                self.blocks = index.saturating_add(1);
                self.open = Some(Open { index, kind });
            }
            Some("content_block_stop") => self.open = None,
            _ => {}
        }
    }

    /// The events that end a whole answer, which has `cost` that much. The `estimate` stands in where no chunk said
    /// what was spent.
    pub(crate) fn finish(mut self, estimate: Option<chat::Usage>, cost: Usd) -> Vec<Value> {
        let mut out = Vec::new();
        self.begin(&Value::Null, &mut out);
        self.close(&mut out);
        let reason = stop::to_anthropic(&self.stop_reason, !self.calls.is_empty());
        let delta = json!({"stop_reason": reason, "stop_sequence": null});
        let usage = self.usage.or(estimate.map(Usage::estimated)).unwrap_or_default();
        let mut end = json!({"type": "message_delta", "delta": delta, "usage": counted::write(usage)});
        end["usage"]["cost"] = json!(cost);
        if let Some(finisher) = self.finisher {
            end["vx11"] = finisher;
        }
        out.push(end);
        out.push(Self::stop());
        out
    }

    /// The event after which nothing comes.
    pub(crate) fn stop() -> Value {
        json!({"type": "message_stop"})
    }

    fn begin(&mut self, chunk: &Value, out: &mut Vec<Value>) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        out.push(json!({"type": "message_start", "message": {
            "id": message_id(text(chunk, "id").unwrap_or_default()),
            "type": "message",
            "role": "assistant",
            "model": text(chunk, "model").unwrap_or_default(),
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            // Known at the end.
            "usage": counted::write(Usage::default()),
        }}));
    }

    fn add(&mut self, delta: &Value, out: &mut Vec<Value>) {
        if let Some((name, text)) = reasoning::said_in(delta) {
            let kind = if name == Name::Reasoning { Kind::Reasoning } else { Kind::Thinking };
            self.write(kind, json!({"type": "thinking_delta", "thinking": text}), out);
        }
        for thought in list(delta, "thinking_blocks") {
            self.add_thought(thought, out);
        }
        for text in [said(delta, "content"), said(delta, "refusal")].into_iter().flatten() {
            self.write(Kind::Text, json!({"type": "text_delta", "text": text}), out);
        }
        for call in list(delta, "tool_calls") {
            self.add_call(call, out);
        }
    }

    fn add_thought(&mut self, thought: &Value, out: &mut Vec<Value>) {
        if text(thought, "type") == Some("redacted_thinking") {
            self.close(out);
            let index = self.next_block();
            out.push(json!({"type": "content_block_start", "index": index, "content_block": thought}));
            out.push(json!({"type": "content_block_stop", "index": index}));
        } else if let Some(signature) = said(thought, "signature") {
            self.write(Kind::Thinking, json!({"type": "signature_delta", "signature": signature}), out);
        }
    }

    fn add_call(&mut self, call: &Value, out: &mut Vec<Value>) {
        let call_index = count(call, "index");
        let function = get(call, "function");
        let block = match self.calls.get(&call_index).filter(|known| !begins_another(call, &known.id)) {
            Some(known) => known.block,
            None => self.begin_call(call_index, call, out),
        };
        if let Some(arguments) = function.and_then(|function| said(function, "arguments")) {
            let delta = json!({"type": "input_json_delta", "partial_json": arguments});
            out.push(json!({"type": "content_block_delta", "index": block, "delta": delta}));
        }
    }

    fn begin_call(&mut self, call_index: u64, call: &Value, out: &mut Vec<Value>) -> u64 {
        let name = get(call, "function").and_then(|function| text(function, "name")).unwrap_or_default();
        let id = call_id(call, call_index);
        let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
        let block = self.open(Kind::Call, block, out);
        let id = text(call, "id").unwrap_or_default().to_owned();
        self.calls.insert(call_index, Call { block, id });
        block
    }

    /// Adds to the block of this kind, a new one where another is open.
    fn write(&mut self, kind: Kind, delta: Value, out: &mut Vec<Value>) {
        let index = match self.open {
            Some(open) if open.kind == kind => open.index,
            _ => {
                let block = match kind {
                    Kind::Thinking => thinking(Name::ReasoningContent),
                    Kind::Reasoning => thinking(Name::Reasoning),
                    Kind::Text | Kind::Call | Kind::Foreign => json!({"type": "text", "text": ""}),
                };
                self.open(kind, block, out)
            }
        };
        out.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
    }

    fn open(&mut self, kind: Kind, block: Value, out: &mut Vec<Value>) -> u64 {
        self.close(out);
        let is_first = self.blocks == 0;
        let index = self.next_block();
        self.open = Some(Open { index, kind });
        out.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        if is_first {
            out.push(json!({"type": "ping"}));
        }
        index
    }

    fn close(&mut self, out: &mut Vec<Value>) {
        if let Some(open) = self.open.take() {
            out.push(json!({"type": "content_block_stop", "index": open.index}));
        }
    }

    fn next_block(&mut self) -> u64 {
        self.blocks += 1;
        self.blocks - 1
    }
}

fn thinking(name: Name) -> Value {
    json!({"type": "thinking", "thinking": "", "signature": name.signature()})
}

/// Whether `call`, at the index of the one with the id `known`, is another one: it has a name and an id of its own.
fn begins_another(call: &Value, known: &str) -> bool {
    let is_named = get(call, "function").is_some_and(|function| said(function, "name").is_some());
    is_named && !known.is_empty() && said(call, "id").is_some_and(|id| id != known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(delta: Value) -> Value {
        json!({"id": "c1", "model": "gpt", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
    }

    fn names(events: &[Value]) -> Vec<&str> {
        events.iter().filter_map(|event| text(event, "type")).collect()
    }

    #[test]
    fn a_whole_stream_has_every_event_in_its_place() {
        let mut stream = Stream::default();
        let mut events = stream.push(&chunk(json!({"role": "assistant", "content": ""})));
        events.extend(stream.push(&chunk(json!({"reasoning_content": "hm"}))));
        events.extend(stream.push(&chunk(json!({"content": "Hel"}))));
        events.extend(stream.push(&chunk(json!({"content": "lo"}))));
        let begun = json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]});
        events.extend(stream.push(&chunk(begun)));
        events.extend(stream.push(&chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}))));
        events.extend(stream.push(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})));
        // Two of the three are reasoning, which some providers count in the total alone.
        let usage = json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 8});
        events.extend(stream.push(&json!({"choices": [], "usage": usage})));
        events.extend(stream.finish(None, "0.000528".parse().expect("an amount")));

        let expected = [
            json!({"type": "message_start", "message": {
                "id": "msg_c1", "type": "message", "role": "assistant", "model": "gpt", "content": [], "stop_reason": null,
                "stop_sequence": null, "usage": {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
            }}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}}),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {}}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
            json!({"type": "content_block_stop", "index": 2}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
                "usage": {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "cost": 0.000528}}),
            json!({"type": "message_stop"}),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn calls_that_are_written_at_once_keep_their_blocks() {
        let mut stream = Stream::default();
        let part = |index: u64, id: Option<&str>, arguments: &str| {
            chunk(
                json!({"tool_calls": [{"index": index, "id": id, "function": {"name": id.map(|_| "f"), "arguments": arguments}}]}),
            )
        };
        let mut events = stream.push(&part(0, Some("a"), "{"));
        events.extend(stream.push(&part(1, Some("b"), "{")));
        events.extend(stream.push(&part(0, None, "}")));
        events.extend(stream.push(&part(1, None, "}")));
        let deltas: Vec<(u64, &str)> = events
            .iter()
            .filter_map(|event| Some((count(event, "index"), text(get(event, "delta")?, "partial_json")?)))
            .collect();
        assert_eq!(deltas, [(0, "{"), (1, "{"), (0, "}"), (1, "}")]);
        assert_eq!(names(&events).iter().filter(|name| **name == "content_block_start").count(), 2);
    }

    #[test]
    fn calls_that_are_all_counted_as_the_first_are_told_apart_by_their_ids() {
        let call = |index: Value, id: &str, name: Option<&str>| {
            let function = json!({"name": name, "arguments": format!("\"{id}\"")});
            chunk(json!({"tool_calls": [{"index": index, "id": id, "function": function}]}))
        };
        for index in [json!(0), json!(null)] {
            let mut stream = Stream::default();
            let mut events = stream.push(&call(index.clone(), "a", Some("f")));
            events.extend(stream.push(&call(index.clone(), "b", Some("g"))));
            let begun: Vec<&Value> =
                events.iter().map(|event| &event["content_block"]["id"]).filter(|id| !id.is_null()).collect();
            assert_eq!(begun, ["a", "b"]);
            let deltas: Vec<(u64, &str)> = events
                .iter()
                .filter_map(|event| Some((count(event, "index"), text(get(event, "delta")?, "partial_json")?)))
                .collect();
            assert_eq!(deltas, [(0, "\"a\""), (1, "\"b\"")]);
            let more = stream.push(&call(index, "another id for each part", None));
            assert_eq!((names(&more), &more[0]["index"]), (vec!["content_block_delta"], &json!(1)));
        }
    }

    #[test]
    fn what_azure_says_of_the_prompt_first_begins_no_message() {
        let mut stream = Stream::default();
        let of_the_prompt =
            json!({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []});
        assert_eq!(stream.push(&of_the_prompt), Vec::<Value>::new());
        let begun = stream.push(&chunk(json!({"content": "Hi"})));
        assert_eq!((&begun[0]["message"]["id"], &begun[0]["message"]["model"]), (&json!("msg_c1"), &json!("gpt")));
    }

    #[test]
    fn the_name_of_reasoning_stands_where_its_signature_would() {
        for (field, signature) in [("reasoning_content", ""), ("reasoning", "reasoning")] {
            let events = Stream::default().push(&chunk(json!({field: "hm"})));
            assert_eq!(
                (&events[1]["content_block"]["signature"], &events[3]["delta"]["thinking"]),
                (&json!(signature), &json!("hm"))
            );
        }
    }

    #[test]
    fn chunks_follow_events_that_were_passed_on() {
        let events = [
            json!({"type": "message_start", "message": {}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}}),
        ];
        for named in [true, false] {
            let mut stream = Stream::default();
            for event in &events {
                let name = text(event, "type").filter(|_| named);
                stream.passed(name, event.to_string().as_bytes());
            }
            let mut rest = stream.push(&chunk(json!({"content": "lo"})));
            rest.extend(
                stream.push(&chunk(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}))),
            );
            rest.extend(stream.push(&json!({"choices": [], "vx11": {"provider": "b"}})));
            rest.extend(stream.finish(None, Usd::ZERO));
            let expected = [
                "content_block_delta",
                "content_block_stop",
                "content_block_start",
                "content_block_stop",
                "message_delta",
                "message_stop",
            ];
            assert_eq!(names(&rest), expected);
            assert_eq!(
                (&rest[0]["index"], &rest[2]["index"], &rest[4]["vx11"]["provider"]),
                (&json!(1), &json!(2), &json!("b"))
            );
        }
    }

    #[test]
    fn a_silent_answer_is_whole_too() {
        assert_eq!(
            names(&Stream::default().finish(None, Usd::ZERO)),
            ["message_start", "message_delta", "message_stop"]
        );
    }

    #[test]
    fn redacted_thoughts_and_signatures_go_through() {
        let mut stream = Stream::default();
        let mut events = stream.push(&chunk(json!({"reasoning_content": "hm"})));
        events.extend(
            stream.push(&chunk(json!({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s"}]}))),
        );
        events.extend(stream.push(&chunk(json!({"thinking_blocks": [{"type": "redacted_thinking", "data": "x"}]}))));
        let expected = [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_stop",
        ];
        assert_eq!(names(&events), expected);
        assert_eq!(events[4]["delta"], json!({"type": "signature_delta", "signature": "s"}));
    }
}
