//! Anthropic's events as chunks, one event at a time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::{counted, stop};
use super::answer_tool;
use crate::accounts::SoFar;
use crate::wire::Malformed;
use crate::wire::json::{count, get, said, text};
use crate::wire::openai::{Head, Piece, Usage};

/// What is known of a stream so far.
#[derive(Debug)]
pub(crate) struct Stream {
    head: Head,
    usage: Usage,
    /// Tool calls that are being written, by the index of their block.
    calls: BTreeMap<u64, Call>,
    calls_begun: u64,
    /// Whether the answer is given by a tool.
    is_by_tool: bool,
}

/// One tool call.
#[derive(Debug)]
struct Call {
    /// Its place among the calls; `None`: it is the answer.
    index: Option<u64>,
    has_arguments: bool,
}

impl Stream {
    /// A stream that began at `created` (Unix seconds).
    pub(crate) fn new(created: u64) -> Self {
        let head = Head { created, ..Head::default() };
        Self { head, usage: Usage::default(), calls: BTreeMap::new(), calls_begun: 0, is_by_tool: false }
    }

    /// Takes in the payload of the next event.
    pub(crate) fn push(&mut self, event: &Value) -> Result<Vec<Piece>, Malformed> {
        match text(event, "type").ok_or(Malformed)? {
            "message_start" => Ok(vec![self.start(get(event, "message").ok_or(Malformed)?)]),
            "content_block_start" => {
                let block = get(event, "content_block").ok_or(Malformed)?;
                Ok(self.begin_block(count(event, "index"), block).into_iter().collect())
            }
            "content_block_delta" => {
                let delta = get(event, "delta").ok_or(Malformed)?;
                Ok(vec![self.add(count(event, "index"), delta)?.unwrap_or(Piece::Unsaid)])
            }
            "content_block_stop" => Ok(self.end_block(count(event, "index")).into_iter().collect()),
            "message_delta" => Ok(self.message_delta(event)),
            "message_stop" => Ok(vec![Piece::Done]),
            "error" => Err(Malformed),
            // A ping, or what newer versions say beside the answer.
            _ => Ok(Vec::new()),
        }
    }

    /// What was said of tokens so far: the prompt's at the beginning, with a first few of the answer's.
    pub(crate) fn so_far(&self) -> Option<SoFar> {
        self.usage.so_far(false)
    }

    fn start(&mut self, message: &Value) -> Piece {
        self.head.id = text(message, "id").unwrap_or_default().to_owned();
        self.head.model = text(message, "model").unwrap_or_default().to_owned();
        if let Some(reported) = get(message, "usage") {
            counted::take(&mut self.usage, reported);
        }
        self.head.delta(0, json!({"role": "assistant", "content": ""}))
    }

    fn begin_block(&mut self, block_index: u64, block: &Value) -> Option<Piece> {
        let delta = match text(block, "type")? {
            "text" => json!({"content": said(block, "text")?}),
            "thinking" => json!({"reasoning_content": said(block, "thinking")?}),
            "redacted_thinking" => json!({"thinking_blocks": [block]}),
            "tool_use" => return Some(self.begin_call(block_index, block)),
            _ => return None,
        };
        Some(self.head.delta(0, delta))
    }

    fn begin_call(&mut self, block_index: u64, block: &Value) -> Piece {
        // The input comes in deltas; a server that sends it whole says it here.
        let input = get(block, "input").filter(|input| input.as_object().is_some_and(|input| !input.is_empty()));
        let arguments = input.map(Value::to_string).unwrap_or_default();
        let mut call = Call { index: None, has_arguments: !arguments.is_empty() };
        if answer_tool::is_answer(block) {
            self.is_by_tool = true;
            self.calls.insert(block_index, call);
            return self.head.delta(0, json!({"content": arguments}));
        }
        let index = self.calls_begun;
        self.calls_begun += 1;
        call.index = Some(index);
        self.calls.insert(block_index, call);
        let function = json!({"name": text(block, "name").unwrap_or_default(), "arguments": arguments});
        let id = text(block, "id").unwrap_or_default();
        self.head
            .delta(0, json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}))
    }

    fn add(&mut self, block_index: u64, delta: &Value) -> Result<Option<Piece>, Malformed> {
        let delta = match text(delta, "type").ok_or(Malformed)? {
            "text_delta" => said(delta, "text").map(|text| json!({"content": text})),
            "thinking_delta" => said(delta, "thinking").map(|text| json!({"reasoning_content": text})),
            "signature_delta" => said(delta, "signature").map(
                |signature| json!({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": signature}]}),
            ),
            "input_json_delta" => match (said(delta, "partial_json"), self.calls.get_mut(&block_index)) {
                (Some(arguments), Some(call)) => {
                    call.has_arguments = true;
                    Some(arguments_delta(call.index, arguments))
                }
                // The input of a tool that runs at the provider.
                _ => None,
            },
            _ => None,
        };
        Ok(delta.map(|delta| self.head.delta(0, delta)))
    }

    /// A call without any input has an empty object for it.
    fn end_block(&mut self, block_index: u64) -> Option<Piece> {
        let call = self.calls.remove(&block_index).filter(|call| !call.has_arguments)?;
        Some(self.head.delta(0, arguments_delta(call.index, "{}")))
    }

    fn message_delta(&mut self, event: &Value) -> Vec<Piece> {
        let reported = get(event, "usage");
        if let Some(reported) = reported {
            counted::take(&mut self.usage, reported);
        }
        // What was said at the beginning is not what was written until the end.
        let usage = reported.filter(|reported| counted::says_written(reported)).map(|_| self.usage);
        match get(event, "delta").and_then(|delta| text(delta, "stop_reason")) {
            Some(reason) if self.is_by_tool => self.head.finish(0, stop::to_openai(answer_tool::reason(reason)), usage),
            Some(reason) => self.head.finish(0, stop::to_openai(reason), usage),
            None => Vec::new(),
        }
    }
}

/// More of a call's arguments, or of an answer that is given by a tool.
fn arguments_delta(index: Option<u64>, arguments: &str) -> Value {
    let Some(index) = index else { return json!({"content": arguments}) };
    json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Tokens;

    fn deltas(pieces: Vec<Piece>) -> Vec<Value> {
        let delta = |piece: Piece| match piece {
            Piece::Chunk(chunk) => chunk["choices"][0]["delta"].clone(),
            Piece::Unsaid => json!("unsaid"),
            Piece::Done => json!("done"),
        };
        pieces.into_iter().map(delta).collect()
    }

    /// Every kind of event, with what it becomes.
    #[test]
    fn each_event_becomes_its_chunk() {
        let mut stream = Stream::new(7);
        let block =
            |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
        let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
        let arguments =
            |index: u64, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
        let begun = |index: u64, id: &str, name: &str| {
            json!({"tool_calls": [
            {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]})
        };
        let start = json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 3, "output_tokens": 1}}});
        for (event, expected) in [
            (start, vec![json!({"role": "assistant", "content": ""})]),
            (json!({"type": "ping"}), vec![]),
            (block(0, json!({"type": "thinking", "thinking": "", "signature": ""})), vec![]),
            (delta(0, json!({"type": "thinking_delta", "thinking": "hm"})), vec![json!({"reasoning_content": "hm"})]),
            (
                delta(0, json!({"type": "signature_delta", "signature": "s"})),
                vec![json!({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s"}]})],
            ),
            (stop(0), vec![]),
            (block(1, json!({"type": "text", "text": ""})), vec![]),
            (delta(1, json!({"type": "text_delta", "text": "Hi"})), vec![json!({"content": "Hi"})]),
            (delta(1, json!({"type": "citations_delta", "citation": {}})), vec![json!("unsaid")]),
            (stop(1), vec![]),
            (block(2, json!({"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}})), vec![]),
            (delta(2, json!({"type": "input_json_delta", "partial_json": "{}"})), vec![json!("unsaid")]),
            (stop(2), vec![]),
            (block(3, json!({"type": "tool_use", "id": "a", "name": "f", "input": {}})), vec![begun(0, "a", "f")]),
            (delta(3, json!({"type": "input_json_delta", "partial_json": ""})), vec![json!("unsaid")]),
            (delta(3, json!({"type": "input_json_delta", "partial_json": "{\"x\""})), vec![arguments(0, "{\"x\"")]),
            (stop(3), vec![]),
            (block(4, json!({"type": "tool_use", "id": "b", "name": "g", "input": {}})), vec![begun(1, "b", "g")]),
            (stop(4), vec![arguments(1, "{}")]),
            (
                json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
                vec![json!({}), json!(null)],
            ),
            (json!({"type": "message_stop"}), vec![json!("done")]),
        ] {
            assert_eq!(deltas(stream.push(&event).expect("well formed")), expected, "{event}");
        }
    }

    #[test]
    fn an_answer_that_is_given_by_a_tool_is_text() {
        let begun = json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "tool_use", "id": "a", "name": "vx11_answer", "input": {}}});
        let more = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": text}});
        let end = json!({"type": "content_block_stop", "index": 0});
        for (inputs, expected) in [(vec!["{\"x\":", "1}"], "{\"x\":1}"), (vec![], "{}")] {
            let mut stream = Stream::new(7);
            let events = [begun.clone()].into_iter().chain(inputs.into_iter().map(more)).chain([end.clone()]);
            let said = events.flat_map(|event| deltas(stream.push(&event).expect("well formed")));
            let said: String = said.map(|delta| delta["content"].as_str().expect("text").to_owned()).collect();
            assert_eq!(said, expected);
            let end = json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}});
            let pieces = stream.push(&end).expect("well formed");
            let [Piece::Chunk(end)] = &pieces[..] else { panic!("one chunk: {pieces:?}") };
            assert_eq!(end["choices"][0]["finish_reason"], "stop");
        }
    }

    #[test]
    fn the_end_says_why_and_what_was_spent() {
        let mut stream = Stream::new(7);
        let start = json!({"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}});
        assert_eq!(stream.so_far(), None);
        stream.push(&start).expect("well formed");
        let tokens = Tokens { prompt: 3, completion: 1, ..Tokens::default() };
        assert_eq!(stream.so_far(), Some(SoFar { tokens, counts_written: false }));
        let end =
            json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 9}});
        let pieces = stream.push(&end).expect("well formed");
        let [Piece::Chunk(end), Piece::Chunk(usage)] = &pieces[..] else { panic!("two chunks: {pieces:?}") };
        assert_eq!((&end["choices"][0]["finish_reason"], end.get("usage")), (&json!("length"), None));
        assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(12)));
    }

    #[test]
    fn an_end_that_does_not_say_what_was_spent_says_only_why() {
        let mut stream = Stream::new(7);
        let start = json!({"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}});
        stream.push(&start).expect("well formed");
        let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}});
        assert_eq!(stream.push(&end).expect("well formed").len(), 1);
        assert_eq!(stream.so_far().map(|so_far| so_far.tokens.prompt), Some(3), "it is known still");
    }

    #[test]
    fn an_error_or_nonsense_is_no_answer() {
        for event in [
            json!({"type": "error", "error": {"type": "overloaded_error"}}),
            json!({}),
            json!([]),
            json!({"type": "content_block_delta", "index": 0}),
        ] {
            assert_eq!(Stream::new(0).push(&event), Err(Malformed), "{event}");
        }
    }
}
