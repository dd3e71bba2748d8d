//! Gemini's partial answers as chunks. Its streams have no mark at the end: they are whole once every candidate has
//! said why it ended.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Value, json};

use super::answer::{blocked, name, refusal};
use super::parts::{self, Said};
use super::{counted, ended};
use crate::accounts::SoFar;
use crate::wire::Malformed;
use crate::wire::json::{count, get, list, said};
use crate::wire::openai::{Head, Piece, Usage};

/// What is known of a stream so far.
#[derive(Debug)]
pub(crate) struct Stream {
    head: Head,
    /// The last word on it.
    usage: Option<Usage>,
    /// Whether the last word on usage counted what was written; some count that at the end alone.
    counts_written: bool,
    /// Tool calls of each candidate that has spoken.
    calls: BTreeMap<u64, u64>,
    has_ended: bool,
}

impl Stream {
    /// A stream that began at `created` (Unix seconds).
    pub(crate) fn new(created: u64) -> Self {
        let head = Head { created, ..Head::default() };
        Self { head, usage: None, counts_written: false, calls: BTreeMap::new(), has_ended: false }
    }

    /// Takes in the next partial answer.
    pub(crate) fn push(&mut self, response: &Value) -> Result<Vec<Piece>, Malformed> {
        if !response.is_object() || get(response, "error").is_some() {
            return Err(Malformed);
        }
        name(response, &mut self.head);
        if let Some(metadata) = get(response, "usageMetadata") {
            self.usage = counted::read(metadata).or(self.usage);
            self.counts_written = get(metadata, "candidatesTokenCount").is_some();
        }
        let mut out = Vec::new();
        for candidate in list(response, "candidates") {
            self.add(candidate, &mut out)?;
        }
        if let Some(reason) = blocked(response) {
            out.push(self.head.delta(0, json!({"role": "assistant", "refusal": refusal(reason)})));
            out.extend(self.end(0, "content_filter"));
        } else if out.is_empty() && self.has_ended && get(response, "usageMetadata").is_some() {
            out.extend(self.usage.map(|usage| self.head.usage(usage)));
        }
        Ok(out)
    }

    /// What was said of tokens so far.
    pub(crate) fn so_far(&self) -> Option<SoFar> {
        self.usage?.so_far(self.counts_written)
    }

    fn add(&mut self, candidate: &Value, out: &mut Vec<Piece>) -> Result<(), Malformed> {
        let index = count(candidate, "index");
        if let Entry::Vacant(silent) = self.calls.entry(index) {
            silent.insert(0);
            out.push(self.head.delta(index, json!({"role": "assistant", "content": ""})));
        }
        let parts = get(candidate, "content").map(|content| list(content, "parts")).unwrap_or_default();
        for part in parts {
            let calls = self.calls.entry(index).or_default();
            let delta = match parts::read(part, &self.head.id, *calls) {
                Some(Said::Text(text)) => json!({"content": text}),
                Some(Said::Thought(text)) => json!({"reasoning_content": text}),
                Some(Said::Image(image)) => json!({"images": [image]}),
                Some(Said::Call(mut call)) => {
                    call["index"] = (*calls).into();
                    *calls += 1;
                    json!({"tool_calls": [call]})
                }
                None => continue,
            };
            out.push(self.head.delta(index, delta));
        }
        if let Some(reason) = said(candidate, "finishReason") {
            let calls_tools = self.calls.get(&index).is_some_and(|calls| *calls > 0);
            out.extend(self.end(index, ended::reason(reason, calls_tools)?));
        }
        Ok(())
    }

    fn end(&mut self, index: u64, reason: &str) -> Vec<Piece> {
        self.has_ended = true;
        self.head.finish(index, reason, self.usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(pieces: &[Piece]) -> Vec<(Value, Value)> {
        let choice = |piece: &Piece| match piece {
            Piece::Chunk(chunk) => (chunk["choices"][0]["delta"].clone(), chunk["choices"][0]["finish_reason"].clone()),
            Piece::Unsaid | Piece::Done => panic!("Gemini has neither"),
        };
        pieces.iter().map(choice).collect()
    }

    #[test]
    fn each_partial_answer_becomes_its_chunks() {
        let mut stream = Stream::new(7);
        let partial = |parts: Value| json!({"responseId": "r", "modelVersion": "g", "candidates": [{"index": 0, "content": {"parts": parts}}]});
        let first = stream.push(&partial(json!([{"text": "hm", "thought": true}]))).expect("well formed");
        let expected = [
            (json!({"role": "assistant", "content": ""}), json!(null)),
            (json!({"reasoning_content": "hm"}), json!(null)),
        ];
        assert_eq!(choices(&first), expected);
        let call = json!({"functionCall": {"name": "f", "args": {}}});
        let second = stream.push(&partial(json!([{"text": "a"}, call, call]))).expect("well formed");
        let called = |index: u64| {
            json!({"tool_calls": [{"index": index, "id": format!("call_r_{index}"), "type": "function",
            "function": {"name": "f", "arguments": "{}"}}]})
        };
        assert_eq!(
            choices(&second),
            [(json!({"content": "a"}), json!(null)), (called(0), json!(null)), (called(1), json!(null))]
        );
        let end = json!({"candidates": [{"index": 0, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}});
        let last = stream.push(&end).expect("well formed");
        assert_eq!(choices(&last), [(json!({}), json!("tool_calls")), (json!(null), json!(null))]);
        let Piece::Chunk(chunk) = &last[1] else { panic!("a chunk") };
        assert_eq!(
            (&chunk["usage"]["total_tokens"], &chunk["id"], &chunk["model"]),
            (&json!(7), &json!("r"), &json!("g"))
        );
    }

    #[test]
    fn usage_comes_in_a_chunk_of_its_own() {
        let end = json!({"candidates": [{"finishReason": "MAX_TOKENS"}], "usageMetadata": {"promptTokenCount": 3}});
        let mut stream = Stream::new(0);
        let pieces = stream.push(&end).expect("well formed");
        let Some(Piece::Chunk(chunk)) = pieces.last() else { panic!("a chunk") };
        assert_eq!((&chunk["choices"], &chunk["usage"]["prompt_tokens"]), (&json!([]), &json!(3)));
        let late = stream.push(&json!({"usageMetadata": {"promptTokenCount": 5}})).expect("well formed");
        assert_eq!(late.len(), 1, "the last word counts");
    }

    #[test]
    fn usage_that_is_not_reported_is_not_made_up() {
        for metadata in [json!(null), json!({})] {
            let end = json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": metadata});
            let pieces = Stream::new(0).push(&end).expect("well formed");
            let is_usage = |piece: &Piece| matches!(piece, Piece::Chunk(chunk) if chunk.get("usage").is_some());
            assert!(!pieces.iter().any(is_usage), "{pieces:?}");
        }
    }

    #[test]
    fn usage_is_known_before_the_end_where_it_is_said() {
        let mut stream = Stream::new(0);
        let mut so_far = |metadata: Value| {
            stream.push(&json!({"candidates": [], "usageMetadata": metadata})).expect("well formed");
            stream.so_far().map(|so_far| (so_far.tokens.prompt, so_far.tokens.completion, so_far.counts_written))
        };
        assert_eq!(so_far(json!({})), None);
        assert_eq!(so_far(json!({"promptTokenCount": 3})), Some((3, 0, false)));
        assert_eq!(so_far(json!({"promptTokenCount": 3, "candidatesTokenCount": 2})), Some((3, 2, true)));
    }

    #[test]
    fn an_error_or_a_failed_call_is_no_answer() {
        for event in [json!({"error": {"code": 500}}), json!([]), json!({"candidates": [{"finishReason": "OTHER"}]})] {
            assert_eq!(Stream::new(0).push(&event), Err(Malformed), "{event}");
        }
        let blocked = json!({"promptFeedback": {"blockReason": "OTHER"}});
        let pieces = Stream::new(0).push(&blocked).expect("an answer");
        assert_eq!(choices(&pieces)[1].1, "content_filter");
    }
}
