//! A response's events as chunks, one event at a time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{counted, ended};
use crate::wire::Malformed;
use crate::wire::json::{count, get, list, said, text};
use crate::wire::openai::{Head, Piece};

/// What is known of a stream so far.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    head: Head,
    /// The place of each call among the calls, by that of its item among the items.
    calls: BTreeMap<u64, u64>,
}

impl Stream {
    /// Takes in the payload of the next event.
    pub(crate) fn push(&mut self, event: &Value) -> Result<Vec<Piece>, Malformed> {
        let more = |name: &str| said(event, "delta").map_or_else(|| json!({}), |text| json!({name: text}));
        let delta = match text(event, "type").ok_or(Malformed)? {
            "response.created" => self.begin(get(event, "response").ok_or(Malformed)?),
            "response.output_item.added" => match self.begin_item(event) {
                Some(delta) => delta,
                None => return Ok(vec![Piece::Unsaid]),
            },
            "response.output_text.delta" => {
                let piece = self.head.delta(0, more("content"));
                return Ok(vec![with_logprobs(piece, event)]);
            }
            "response.refusal.delta" => more("refusal"),
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => more("reasoning_content"),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => self.add(event),
            "response.completed" => return self.end("completed", event),
            "response.incomplete" => return self.end("incomplete", event),
            "response.failed" => return self.end("failed", event),
            "error" => return Err(Malformed),
            name if is_a_mark(name) => json!({}),
            // What the provider's own tools do, pictures, and what newer versions have of an answer.
            name if name.starts_with("response.") => return Ok(vec![Piece::Unsaid]),
            _ => return Ok(Vec::new()),
        };
        Ok(vec![self.head.delta(0, delta)])
    }

    fn begin(&mut self, response: &Value) -> Value {
        self.head = Head {
            id: text(response, "id").unwrap_or_default().to_owned(),
            model: text(response, "model").unwrap_or_default().to_owned(),
            created: count(response, "created_at"),
        };
        json!({"role": "assistant", "content": ""})
    }

    /// `None`: a tool of the provider's own is used.
    fn begin_item(&mut self, event: &Value) -> Option<Value> {
        let item = get(event, "item")?;
        match text(item, "type")? {
            "message" | "reasoning" => Some(json!({})),
            "function_call" | "custom_tool_call" => {
                let index = self.calls.len() as u64;
                self.calls.insert(count(event, "output_index"), index);
                let word = |name: &str| text(item, name).unwrap_or_default();
                let function = json!({"name": word("name"), "arguments": ""});
                let call = json!({"index": index, "id": word("call_id"), "type": "function", "function": function});
                Some(json!({"tool_calls": [call]}))
            }
            _ => None,
        }
    }

    /// More of a call.
    fn add(&self, event: &Value) -> Value {
        let index = self.calls.get(&count(event, "output_index")).copied().unwrap_or_default();
        let arguments = text(event, "delta").unwrap_or_default();
        json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
    }

    /// What was spent comes first, because an answer that was given up is not read any further.
    fn end(&self, status: &str, event: &Value) -> Result<Vec<Piece>, Malformed> {
        let response = get(event, "response").ok_or(Malformed)?;
        let usage = counted::usage(response).map(|usage| match self.head.usage(usage) {
            Piece::Chunk(chunk) => Piece::Chunk(counted::served(response, chunk)),
            other => other,
        });
        let end = self.head.finish(0, ended::reason(status, response, !self.calls.is_empty()), None);
        Ok(usage.into_iter().chain(end).chain([Piece::Done]).collect())
    }
}

/// `piece` with the probabilities that `event` has for its text.
fn with_logprobs(mut piece: Piece, event: &Value) -> Piece {
    let logprobs = list(event, "logprobs");
    if let (Piece::Chunk(chunk), false) = (&mut piece, logprobs.is_empty()) {
        chunk["choices"][0]["logprobs"] = json!({"content": logprobs});
    }
    piece
}

/// Whether an event only says how far the answer is: it goes on, and nothing is said.
fn is_a_mark(name: &str) -> bool {
    const MARKS: [&str; 14] = [
        "response.queued",
        "response.in_progress",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.done",
        "response.refusal.done",
        "response.reasoning_text.done",
        // vLLM's names for the beginning and the end of a thought.
        "response.reasoning_part.added",
        "response.reasoning_part.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_text.done",
        "response.function_call_arguments.done",
    ];
    MARKS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one event becomes: deltas, `unsaid` and `done`; of chunks that end or bill, those fields.
    fn pieces(stream: &mut Stream, event: Value) -> Vec<Value> {
        let told = |piece: Piece| match piece {
            Piece::Chunk(chunk) if chunk["choices"] == json!([]) => {
                json!([chunk["usage"]["total_tokens"], chunk["service_tier"]])
            }
            Piece::Chunk(chunk) => match &chunk["choices"][0]["finish_reason"] {
                Value::Null => chunk["choices"][0]["delta"].clone(),
                reason => reason.clone(),
            },
            Piece::Unsaid => json!("unsaid"),
            Piece::Done => json!("done"),
        };
        stream.push(&event).expect("well formed").into_iter().map(told).collect()
    }

    #[test]
    fn each_event_becomes_its_chunk() {
        let mut stream = Stream::default();
        let item = |index: u64, item: Value| json!({"type": "response.output_item.added", "output_index": index, "item": item});
        let delta = |name: &str, index: u64| json!({"type": format!("response.{name}.delta"), "output_index": index, "delta": "x"});
        let begun = |index: u64, id: &str, name: &str| {
            let function = json!({"name": name, "arguments": ""});
            json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]})
        };
        let more = |index: u64| json!({"tool_calls": [{"index": index, "function": {"arguments": "x"}}]});
        for (event, expected) in [
            (
                json!({"type": "response.created", "response": {"id": "resp_1"}}),
                json!({"role": "assistant", "content": ""}),
            ),
            (json!({"type": "response.in_progress", "response": {}}), json!({})),
            (item(0, json!({"type": "reasoning"})), json!({})),
            (delta("reasoning_summary_text", 0), json!({"reasoning_content": "x"})),
            (delta("reasoning_text", 0), json!({"reasoning_content": "x"})),
            (json!({"type": "response.output_item.done", "item": {"type": "reasoning"}}), json!({})),
            (item(1, json!({"type": "web_search_call"})), json!("unsaid")),
            (json!({"type": "response.web_search_call.searching"}), json!("unsaid")),
            (item(2, json!({"type": "message"})), json!({})),
            (delta("output_text", 2), json!({"content": "x"})),
            (delta("refusal", 2), json!({"refusal": "x"})),
            (item(3, json!({"type": "function_call", "call_id": "a", "name": "f"})), begun(0, "a", "f")),
            (item(4, json!({"type": "custom_tool_call", "call_id": "b", "name": "g"})), begun(1, "b", "g")),
            (delta("function_call_arguments", 3), more(0)),
            (delta("custom_tool_call_input", 4), more(1)),
            (json!({"type": "response.what_is_new"}), json!("unsaid")),
        ] {
            assert_eq!(pieces(&mut stream, event.clone()), [expected], "{event}");
        }
        assert_eq!(pieces(&mut stream, json!({"type": "keepalive"})), [] as [Value; 0]);
        let response = json!({"service_tier": "flex", "usage": {"input_tokens": 3, "output_tokens": 2}});
        let end = json!({"type": "response.completed", "response": response});
        assert_eq!(pieces(&mut stream, end), [json!([5, "flex"]), json!("tool_calls"), json!("done")]);
    }

    #[test]
    fn how_it_ended_is_in_the_events_name() {
        for (name, reason) in [("completed", "stop"), ("incomplete", "length"), ("failed", "error")] {
            let end = json!({"type": format!("response.{name}"), "response": {}});
            assert_eq!(pieces(&mut Stream::default(), end), [json!(reason), json!("done")]);
        }
    }

    #[test]
    fn an_error_or_nonsense_is_no_answer() {
        for event in [
            json!({"type": "error", "code": "server_error"}),
            json!({}),
            json!([]),
            json!({"type": "response.created"}),
        ] {
            assert_eq!(Stream::default().push(&event), Err(Malformed), "{event}");
        }
    }
}
