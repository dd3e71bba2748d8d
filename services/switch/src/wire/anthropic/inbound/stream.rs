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
mod tests;
