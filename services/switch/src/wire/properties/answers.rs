//! Answers: a stream says what the whole answer says, however it is cut, and no event makes a translator panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::gather::{Said, message, translate};
use super::requests::{anything, object, text};
use crate::accounts::Usd;
use crate::wire::{Piece, StreamTranslator, Wire, anthropic, translate_answer};

/// What one block of an answer says.
#[derive(Clone, Debug)]
enum Block {
    Text(String),
    Thought(String),
    Call(String, Value),
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let block = prop_oneof![
        text().prop_map(Block::Text),
        text().prop_map(Block::Thought),
        ("[a-z]{1,8}", object()).prop_map(|(name, input)| Block::Call(name, input)),
    ];
    prop::collection::vec(block, 0..5)
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..20)
}

/// Cuts text into pieces of `length` characters.
fn pieces(text: &str, length: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(length.max(1)).map(|piece| piece.iter().collect()).collect()
}

fn calls_tools(blocks: &[Block]) -> bool {
    blocks.iter().any(|block| matches!(block, Block::Call(..)))
}

/// Anthropic's whole message, and its events with pieces of `length` characters.
fn anthropics(blocks: &[Block], length: usize) -> (Value, Vec<Value>) {
    let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 9});
    let reason = if calls_tools(blocks) { "tool_use" } else { "end_turn" };
    let mut content = Vec::new();
    let mut events = vec![json!({"type": "message_start", "message": {
        "id": "msg_1", "model": "claude", "content": [], "usage": {"input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 1}}})];
    for (index, block) in blocks.iter().enumerate() {
        let (whole, begun, field, kind, said) = match block {
            Block::Text(said) => (
                json!({"type": "text", "text": said}),
                json!({"type": "text", "text": ""}),
                "text",
                "text_delta",
                said.clone(),
            ),
            Block::Thought(said) => (
                json!({"type": "thinking", "thinking": said, "signature": ""}),
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                "thinking",
                "thinking_delta",
                said.clone(),
            ),
            Block::Call(name, input) => {
                let call = |input: &Value| json!({"type": "tool_use", "id": format!("toolu_{index}"), "name": name, "input": input});
                (call(input), call(&json!({})), "partial_json", "input_json_delta", input.to_string())
            }
        };
        content.push(whole);
        events.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        for piece in pieces(&said, length) {
            events.push(json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, field: piece}}));
            events.push(json!({"type": "ping"}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}));
    events.push(json!({"type": "message_stop"}));
    let whole = json!({"id": "msg_1", "type": "message", "model": "claude", "content": content, "stop_reason": reason, "usage": usage});
    (whole, events)
}

/// Gemini's whole answer, and its partial ones with pieces of `length` characters.
fn geminis(blocks: &[Block], length: usize) -> (Value, Vec<Value>) {
    let usage = json!({"promptTokenCount": 3, "candidatesTokenCount": 2});
    let mut parts = Vec::new();
    for block in blocks {
        match block {
            Block::Text(said) => parts.extend(pieces(said, length).into_iter().map(|text| json!({"text": text}))),
            Block::Thought(said) => {
                parts.extend(pieces(said, length).into_iter().map(|text| json!({"text": text, "thought": true})));
            }
            Block::Call(name, args) => parts.push(json!({"functionCall": {"name": name, "args": args}})),
        }
    }
    let answer = |parts: Value, end: bool| {
        let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": parts}});
        if end {
            candidate["finishReason"] = "STOP".into();
        }
        json!({"responseId": "r", "modelVersion": "g", "candidates": [candidate], "usageMetadata": usage})
    };
    let events = parts.iter().map(|part| answer(json!([part]), false)).chain([answer(json!([]), true)]).collect();
    (answer(parts.clone().into(), true), events)
}

/// A whole completion that says the same, and its chunks.
fn openais(blocks: &[Block], length: usize) -> (Value, Vec<Value>) {
    let (mut content, mut reasoning, mut calls, mut chunks) = (String::new(), String::new(), Vec::new(), Vec::new());
    let mut chunk = |delta: Value| {
        chunks
            .push(json!({"id": "c1", "model": "gpt", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}))
    };
    chunk(json!({"role": "assistant", "content": ""}));
    // The order in which a whole completion says it: thoughts, text, calls.
    for block in blocks {
        if let Block::Thought(said) = block {
            pieces(said, length).into_iter().for_each(|piece| chunk(json!({"reasoning_content": piece})));
            reasoning += said;
        }
    }
    for block in blocks {
        if let Block::Text(said) = block {
            pieces(said, length).into_iter().for_each(|piece| chunk(json!({"content": piece})));
            content += said;
        }
    }
    for block in blocks {
        if let Block::Call(name, input) = block {
            let (index, id, arguments) = (calls.len(), format!("call_{}", calls.len()), input.to_string());
            chunk(
                json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]}),
            );
            let add =
                |piece: String| chunk(json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}));
            pieces(&arguments, length).into_iter().for_each(add);
            calls.push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}));
        }
    }
    let reason = if calls.is_empty() { "stop" } else { "tool_calls" };
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12});
    chunks.push(json!({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}));
    chunks.push(json!({"id": "c1", "choices": [], "usage": usage}));
    let message = json!({"role": "assistant", "content": content, "reasoning_content": reasoning, "tool_calls": calls});
    let whole = json!({"id": "c1", "model": "gpt", "usage": usage, "choices": [{"index": 0, "message": message, "finish_reason": reason}]});
    (whole, chunks)
}

fn whole_and_streamed(whole: &Value, events: &[Value], from: Wire, cuts: &[usize]) -> (Said, Said) {
    let completion = translate_answer(whole.to_string().as_bytes(), from, 7).expect("an answer");
    let completion = serde_json::from_slice(&completion).expect("JSON");
    let chunks = translate(events, from, cuts).expect("a stream");
    (Said::by_completion(&completion), Said::by_chunks(&chunks))
}

proptest! {
    #[test]
    fn anthropics_stream_says_what_its_whole_answer_says(blocks in blocks(), length in 1..9usize, cuts in cuts()) {
        let (whole, events) = anthropics(&blocks, length);
        let (whole, streamed) = whole_and_streamed(&whole, &events, Wire::Anthropic, &cuts);
        prop_assert_eq!(streamed, whole);
    }

    #[test]
    fn geminis_stream_says_what_its_whole_answer_says(blocks in blocks(), length in 1..9usize, cuts in cuts()) {
        let (whole, events) = geminis(&blocks, length);
        let (whole, streamed) = whole_and_streamed(&whole, &events, Wire::Gemini, &cuts);
        prop_assert_eq!(streamed, whole);
    }

    #[test]
    fn what_anthropics_clients_put_together_is_the_whole_message(blocks in blocks(), length in 1..9usize) {
        let (whole, chunks) = openais(&blocks, length);
        let whole = anthropic::inbound::answer(&whole).expect("an answer");
        let mut stream = anthropic::inbound::Stream::default();
        let mut events: Vec<Value> = chunks.iter().flat_map(|chunk| stream.push(chunk)).collect();
        events.extend(stream.finish(None, Usd::ZERO));
        let mut told = message(&events);
        let cost = told["usage"].as_object_mut().and_then(|usage| usage.remove("cost"));
        prop_assert_eq!((told, cost), (whole, Some(json!(0))), "but for the cost, which is in the head of a whole one");
        let count = |name: &str| events.iter().filter(|event| event["type"] == name).count();
        prop_assert_eq!(count("content_block_start"), count("content_block_stop"));
    }

    #[test]
    fn chunks_that_become_events_become_the_same_chunks_again(blocks in blocks(), length in 1..9usize, cuts in cuts()) {
        let (_, chunks) = openais(&blocks, length);
        let mut stream = anthropic::inbound::Stream::default();
        let mut events: Vec<Value> = chunks.iter().flat_map(|chunk| stream.push(chunk)).collect();
        events.extend(stream.finish(None, Usd::ZERO));
        let back = translate(&events, Wire::Anthropic, &cuts).expect("a stream");
        prop_assert_eq!(Said::by_chunks(&back), Said::by_chunks(&chunks));
    }

    #[test]
    fn no_event_makes_a_translator_panic(events in prop::collection::vec(anything(), 0..6)) {
        for wire in [Wire::Anthropic, Wire::Gemini] {
            let mut translator = StreamTranslator::new(wire, 0).expect("another wire");
            let mut stream = anthropic::inbound::Stream::default();
            for event in &events {
                let bytes = event.to_string();
                for piece in translator.push(bytes.as_bytes()).unwrap_or_default() {
                    if let Piece::Chunk(chunk) = piece {
                        stream.push(&chunk);
                    }
                }
                stream.push(event);
                let _ = translate_answer(bytes.as_bytes(), wire, 0);
                let _ = anthropic::inbound::answer(event);
            }
            stream.finish(None, Usd::ZERO);
        }
    }
}
