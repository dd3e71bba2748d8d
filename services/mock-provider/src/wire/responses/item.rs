//! The items of a response's output, whole and event by event.

use serde_json::{Value, json};

use super::super::Chunk;
use crate::domain::answer::Answer;
use crate::domain::reply::Reply;
use crate::domain::tokens;
use crate::domain::tools::ToolCall;

/// An item, as its tokens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    Reasoning(&'a [String]),
    Message(&'a [String]),
    Call(&'a ToolCall),
}

/// What the events of an item with a part are called, and where they say the part is.
struct Names {
    added: &'static str,
    delta: &'static str,
    said: &'static str,
    done: &'static str,
    place: &'static str,
}

const OF_REASONING: Names = Names {
    added: "response.reasoning_summary_part.added",
    delta: "response.reasoning_summary_text.delta",
    said: "response.reasoning_summary_text.done",
    done: "response.reasoning_summary_part.done",
    place: "summary_index",
};

const OF_A_MESSAGE: Names = Names {
    added: "response.content_part.added",
    delta: "response.output_text.delta",
    said: "response.output_text.done",
    done: "response.content_part.done",
    place: "content_index",
};

/// The items of an answer, in order, each with its place. An empty answer is an empty message.
pub(super) fn items(answer: &Answer) -> impl Iterator<Item = (usize, Item<'_>)> {
    let reasoning = (!answer.reasoning.is_empty()).then_some(Item::Reasoning(&answer.reasoning));
    let message = answer.tool_calls.is_empty().then_some(Item::Message(&answer.tokens));
    reasoning.into_iter().chain(message).chain(answer.tool_calls.iter().map(Item::Call)).enumerate()
}

impl<'a> Item<'a> {
    /// The item when all of it was said.
    pub(super) fn whole(self, reply: &Reply) -> Value {
        let mut item = self.empty(reply);
        match self {
            Self::Reasoning(tokens) => item["summary"] = json!([thought(&tokens.concat())]),
            Self::Message(tokens) => item["content"] = json!([text(&tokens.concat())]),
            Self::Call(call) => item["arguments"] = json!(call.arguments.to_string()),
        }
        item["status"] = json!("completed");
        item
    }

    /// The item as it begins.
    fn empty(self, reply: &Reply) -> Value {
        match self {
            Self::Reasoning(_) => {
                json!({ "type": "reasoning", "id": self.id(reply), "status": "in_progress", "summary": [] })
            }
            Self::Message(_) => json!({ "type": "message", "id": self.id(reply), "status": "in_progress",
                "role": "assistant", "content": [] }),
            Self::Call(call) => json!({ "type": "function_call", "id": self.id(reply), "status": "in_progress",
                "call_id": format!("call_{}", call.id), "name": call.name, "arguments": "" }),
        }
    }

    fn id(self, reply: &Reply) -> String {
        match self {
            Self::Reasoning(_) => format!("rs_{}", reply.id),
            Self::Message(_) => format!("msg_{}", reply.id),
            Self::Call(call) => format!("fc_{}", call.id),
        }
    }

    /// The events of the item at `index`; a call's name is paid for where it is said.
    pub(super) fn chunks(self, index: usize, reply: &'a Reply) -> impl Iterator<Item = Chunk> + 'a {
        let name = if let Self::Call(call) = self { tokens::count(&call.name) } else { 0 };
        let added = json!({ "type": "response.output_item.added", "output_index": index, "item": self.empty(reply) });
        let done =
            move || json!({ "type": "response.output_item.done", "output_index": index, "item": self.whole(reply) });
        let within = self.within().map(move |(mut value, tokens)| {
            value["output_index"] = json!(index);
            value["item_id"] = json!(self.id(reply));
            Chunk { value, tokens }
        });
        let done = std::iter::once_with(move || Chunk { value: done(), tokens: 0 });
        std::iter::once(Chunk { value: added, tokens: name }).chain(within).chain(done)
    }

    /// The events between its beginning and its end, each with its tokens.
    fn within(self) -> Box<dyn Iterator<Item = (Value, u64)> + 'a> {
        match self {
            Self::Reasoning(tokens) => Box::new(said(&OF_REASONING, tokens, thought)),
            Self::Message(tokens) => Box::new(said(&OF_A_MESSAGE, tokens, text)),
            Self::Call(call) => {
                let arguments = call.arguments.to_string();
                let delta =
                    |part: &str| (json!({ "type": "response.function_call_arguments.delta", "delta": part }), 1);
                let deltas: Vec<_> = tokens::split(&arguments).map(delta).collect();
                let done = json!({ "type": "response.function_call_arguments.done", "arguments": arguments });
                Box::new(deltas.into_iter().chain([(done, 0)]))
            }
        }
    }
}

/// The events of an item's one part.
fn said<'a>(
    names: &'static Names,
    tokens: &'a [String],
    part: fn(&str) -> Value,
) -> impl Iterator<Item = (Value, u64)> + 'a {
    let added = (json!({ "type": names.added, "part": part("") }), 0);
    let deltas = tokens.iter().map(|token| (json!({ "type": names.delta, "delta": token }), 1));
    let said = move || (json!({ "type": names.said, "text": tokens.concat() }), 0);
    let done = move || (json!({ "type": names.done, "part": part(&tokens.concat()) }), 0);
    let last = std::iter::once_with(said).chain(std::iter::once_with(done));
    std::iter::once(added).chain(deltas).chain(last).map(|(mut event, tokens)| {
        event[names.place] = json!(0);
        (event, tokens)
    })
}

fn thought(text: &str) -> Value {
    json!({ "type": "summary_text", "text": text })
}

fn text(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}
