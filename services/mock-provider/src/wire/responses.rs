//! OpenAI's Responses: a response, and the numbered events of its stream. Errors are those of OpenAI's other wire.
//! Source: OpenAI's API reference, "Responses" and "Streaming events".

mod item;
mod request;

use bytes::Bytes;
use serde_json::{Value, json};
use vx11_chassis::sse;

pub(crate) use request::ResponsesRequest;

use self::item::items;
use super::{Chunk, Renderer, Wire};
use crate::domain::answer::{Answer, Ending};
use crate::domain::reply::{Reply, Usage};

/// Writes Responses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Responses;

impl Renderer for Responses {
    const WIRE: Wire = Wire::Responses;

    fn whole(&self, reply: &Reply) -> Value {
        let mut response = begun(reply);
        for answer in &reply.answers {
            response["output"] = items(answer).map(|(_, item)| item.whole(reply)).collect();
            end(&mut response, answer);
        }
        if let Some(used) = &reply.usage {
            response["usage"] = usage(used);
        }
        response
    }

    fn chunks<'r>(&'r self, reply: &'r Reply) -> impl Iterator<Item = Chunk> + 'r {
        let opening = ["response.created", "response.in_progress"];
        let opening = opening.map(|name| Chunk { value: json!({ "type": name, "response": begun(reply) }), tokens: 0 });
        let items = reply.answers.iter().flat_map(items).flat_map(|(index, item)| item.chunks(index, reply));
        opening.into_iter().chain(items).enumerate().map(|(number, mut chunk)| {
            chunk.value["sequence_number"] = json!(number);
            chunk
        })
    }

    fn end(&self, reply: &Reply) -> Bytes {
        let response = self.whole(reply);
        let name = format!("response.{}", response["status"].as_str().unwrap_or_default());
        let number = self.chunks(reply).count();
        self.write(&json!({ "type": name, "response": response, "sequence_number": number }), false)
    }

    /// An event is called what its type says; an error stands in it alone.
    fn write(&self, chunk: &Value, _: bool) -> Bytes {
        match &chunk["error"] {
            Value::Null => sse::event(None, chunk["type"].as_str(), chunk),
            error => {
                let mut error = error.clone();
                error["type"] = json!("error");
                sse::event(None, Some("error"), &error)
            }
        }
    }

    fn malformed(&self) -> Bytes {
        Bytes::from_static(
            b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"del\n\n",
        )
    }
}

/// The response before anything was said.
fn begun(reply: &Reply) -> Value {
    json!({
        "id": format!("resp_{}", reply.id),
        "object": "response",
        "created_at": reply.created,
        "status": "in_progress",
        "error": null,
        "incomplete_details": null,
        "model": reply.model,
        "output": [],
        "usage": null,
    })
}

/// Writes why it ends.
fn end(response: &mut Value, answer: &Answer) {
    let incomplete = match answer.ending {
        Ending::Stop | Ending::Sequence(_) | Ending::ToolCalls => None,
        Ending::Length => Some("max_output_tokens"),
        Ending::Refused => Some("content_filter"),
    };
    response["status"] = json!(if incomplete.is_some() { "incomplete" } else { "completed" });
    response["incomplete_details"] = incomplete.map_or(Value::Null, |reason| json!({ "reason": reason }));
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": { "cached_tokens": usage.cached },
        "output_tokens": usage.completion,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.prompt + usage.completion,
    })
}
