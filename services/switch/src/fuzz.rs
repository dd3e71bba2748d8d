//! What may never happen, whatever bytes come: the entry points of `fuzz/`, and the same as property tests.
//!
//! It is there for these two alone, and in no build that serves. Each function panics where something does not hold.

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use vx11_chassis::sse::Parser;

use crate::accounts::Usd;
use crate::domain::chunk::{Seen, StreamWatch};
use crate::domain::delivered::Delivered;
use crate::domain::manners::{Manners, Passed};
use crate::domain::operation::Operation;
use crate::domain::request::ChatRequest;
use crate::domain::responses::{Builder, Passed as PassedOn, ResponsesRequest};
use crate::wire::{
    Defaults, Piece, StreamTranslator, Wire, anthropic, translate_answer, translate_error, translate_request,
};

const DEFAULTS: Defaults = Defaults { max_tokens: 4096, stream_usage: true };
/// Longest event that is read.
const LIMIT: usize = 1 << 16;

/// The events of a stream are the same wherever its bytes are cut, and none of its bytes is lost.
pub fn events(data: &[u8]) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut parser = Parser::new(usize::MAX);
        let mut events = Vec::new();
        let mut take = |parser: &mut Parser| {
            while let Ok(Some(frame)) = parser.next_frame() {
                events.push((frame.raw.to_vec(), frame.data().to_vec(), frame.event().map(str::to_owned)));
            }
        };
        for piece in pieces {
            parser.push(piece);
            take(&mut parser);
        }
        parser.end();
        take(&mut parser);
        events
    };
    let at_once = read(&mut std::iter::once(data));
    assert_eq!(read(&mut data.chunks(1)), at_once);
    let raw: Vec<u8> = at_once.iter().flat_map(|event| event.0.clone()).collect();
    let came = [data, b"\n\n"].concat();
    assert!(came.starts_with(&raw), "what is passed on is what came");
    assert!(came[raw.len()..].iter().all(u8::is_ascii_whitespace), "and all of it");
}

/// A request that can be read names the model that it is sent on with, and stays readable.
pub fn request(data: &[u8]) {
    for operation in [Operation::Chat, Operation::TextCompletion, Operation::Embeddings] {
        if let Ok(request) = ChatRequest::read_for(operation, Bytes::copy_from_slice(data)) {
            sent_on(&request, operation);
            let chat = request.as_chat.as_ref().and_then(|chat| chat.as_ref().ok());
            chat.into_iter().for_each(|chat| sent_on(chat, Operation::Chat));
        }
    }
}

fn sent_on(request: &ChatRequest, operation: Operation) {
    let _ = (request.user(), request.tags().get("tier"), request.wants_usage());
    for body in [request.body_for("another \"model\""), request.body_asking_usage("another \"model\"")] {
        let sent = ChatRequest::read_for(operation, body).expect("what is sent on is a request");
        assert_eq!((sent.model.as_str(), sent.stream), ("another \"model\"", request.stream));
    }
    into_every_wire(request.body(), Wire::OpenAi);
}

/// What is translated is JSON, and what goes to OpenAI's wire is a request there.
fn into_every_wire(body: &[u8], from: Wire) {
    for to in [Wire::OpenAi, Wire::Anthropic, Wire::Gemini] {
        let Ok(translated) = translate_request(body, (from, to), "m", DEFAULTS) else { continue };
        let translated_value: Value = serde_json::from_slice(&translated).expect("JSON");
        assert!(translated_value.is_object());
        if (from, to) == (Wire::Anthropic, Wire::OpenAi) {
            let request = ChatRequest::read(translated).expect("a request of OpenAI's wire");
            assert_eq!(request.model, "m");
        }
    }
}

/// A request of Anthropic's wire is passed on as such, or is a request in another wire.
pub fn messages(data: &[u8]) {
    if let Ok(request) = ChatRequest::read_messages(Bytes::copy_from_slice(data), Vec::new()) {
        let sent = ChatRequest::read_messages(request.body_for("n"), Vec::new()).expect("what is sent on is a request");
        assert_eq!((sent.model.as_str(), sent.stream), ("n", request.stream));
        into_every_wire(data, Wire::Anthropic);
    }
}

/// A request for a response is passed on as such, or becomes a chat that can be sent on.
pub fn responses(data: &[u8]) {
    if let Ok(ResponsesRequest { request, .. }) = ResponsesRequest::read(Bytes::copy_from_slice(data)) {
        let sent = ResponsesRequest::read(request.body_for("n")).expect("what is sent on is a request").request;
        assert_eq!((sent.model.as_str(), sent.stream), ("n", request.stream));
        if let Some(Ok(chat)) = request.as_chat {
            sent_on(&chat, Operation::Chat);
        }
    }
}

/// A provider's stream, of whichever wire: what it becomes are chunks, and what these become are events.
pub fn provider_stream(data: &[u8]) {
    for wire in [Wire::OpenAi, Wire::Anthropic, Wire::Gemini, Wire::Responses] {
        let mut parser = Parser::new(LIMIT);
        parser.push(data);
        let mut translator = StreamTranslator::new(wire, 0);
        let mut reader = Reader::new();
        while let Ok(Some(frame)) = parser.next_frame() {
            match &mut translator {
                None => reader.take(frame.data(), false),
                Some(translator) => {
                    for piece in translator.push(frame.data()).unwrap_or_default() {
                        if let Piece::Chunk(chunk) = piece {
                            reader.take(chunk.to_string().as_bytes(), true);
                        }
                    }
                    translator.so_far();
                }
            }
            let _ = translate_answer(frame.data(), wire, 0);
            let _ = translate_error(500, frame.data(), wire);
        }
        reader.finish();
    }
    followed(data);
}

/// The events of a response that breaks off, whatever they are: what follows on them is told to its end.
fn followed(data: &[u8]) {
    let (mut parser, mut passed) = (Parser::new(LIMIT), PassedOn::keeping());
    parser.push(data);
    while let Ok(Some(frame)) = parser.next_frame() {
        passed.note(frame.data());
    }
    if let Some(mut response) = passed.follow("r".to_owned()) {
        let chunk = br#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
        assert!(response.add(chunk).is_ok_and(|events| !events.is_empty()), "a text is told");
        let last = response.finish(0, Usd::ZERO).pop().expect("an end");
        assert_eq!(last.name, "response.completed");
    }
}

/// All that reads chunks.
struct Reader {
    watch: StreamWatch,
    delivered: Delivered,
    manners: Manners,
    events: anthropic::inbound::Stream,
    response: Option<Builder>,
}

impl Reader {
    fn new() -> Self {
        let asked = ResponsesRequest::read(Bytes::from_static(br#"{"model":"m","input":"x"}"#)).expect("a request");
        Self {
            watch: StreamWatch::new(1),
            delivered: Delivered::default(),
            manners: Manners::new(true, "chat.completion.chunk"),
            events: anthropic::inbound::Stream::default(),
            response: Some(Builder::new("r".to_owned(), 0, "m", asked.echo)),
        }
    }

    /// Reads a chunk; one of our own making is well formed.
    fn take(&mut self, data: &[u8], is_ours: bool) {
        let seen = self.watch.observe(data, Some(&mut self.delivered));
        if is_ours {
            let is_chunk = matches!(seen, Ok(Seen::Chunk { .. } | Seen::GivenUp));
            assert!(is_chunk, "{seen:?}: {}", String::from_utf8_lossy(data));
        }
        if !matches!(seen, Ok(Seen::Chunk { .. })) {
            return;
        }
        if let Passed::Instead(chunk) = self.manners.pass(data, self.watch.usage().is_some()) {
            serde_json::from_slice::<&RawValue>(&chunk).expect("what is sent in its place is JSON");
        }
        // JSON has words for what no value can be: half a character, a number beyond all bounds.
        if let Ok(chunk) = serde_json::from_slice(data) {
            assert!(self.events.push(&chunk).iter().all(|event| event["type"].is_string()));
        }
        // A response may refuse what a chat may say.
        self.response = self.response.take().and_then(|mut response| response.add(data).is_ok().then_some(response));
    }

    fn finish(mut self) {
        self.manners.last(self.watch.usage().map(|reported| reported.usage), Usd::ZERO);
        self.delivered.identity();
        let stop = self.events.finish(None, Usd::ZERO).pop().expect("an end");
        assert_eq!(stop["type"], "message_stop");
        if let Some(response) = self.response {
            assert!(!response.finish(0, Usd::ZERO).is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHAT: &str = r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"stream":true,"stream_options":{"include_usage":true},"max_tokens":9,"n":1,"user":"u","metadata":{"tier":"t"}}"#;
    const PROMPT: &str = r#"{"model":"m","prompt":"one","stream":false,"max_tokens":3}"#;
    const INPUT: &str = r#"{"model":"m","input":["one","two"]}"#;
    const MESSAGES: &str = r#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"x":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"},"thinking":{"type":"enabled","budget_tokens":1024},"stop_sequences":["x"]}"#;
    const RESPONSE: &str = r#"{"model":"m","instructions":"i","input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"https://h.test/a.png"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"r"}],"tools":[{"type":"function","name":"f","parameters":{}}],"text":{"format":{"type":"text"}},"reasoning":{"effort":"low"},"max_output_tokens":9,"stream":true}"#;
    const CHUNKS: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}}]}\n\n: ping\n\ndata: {\"id\":\"d\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\r\n\r\ndata: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    const EVENTS: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":4}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
    const RESPONSES: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\",\"created_at\":1}}\n\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\"}}\n\ndata: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"delta\":\"{}\"}\n\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\ndata: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"message\",\"id\":\"i\"}}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"service_tier\":\"flex\",\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}}\n\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\"}}}\n\ndata: {\"object\":\"response\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"a\"}]}]}\n\n";
    const THOUGHT: &str = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"i\"}}\n\ndata: {\"type\":\"response.reasoning_summary_part.added\",\"output_index\":0,\"part\":{\"type\":\"summary_text\"}}\n\ndata: {\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":0,\"delta\":\"a\"}\n\ndata: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"reasoning\"}}\n\ndata: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"message\",\"id\":\"m\"}}\n\ndata: {\"type\":\"response.content_part.added\",\"output_index\":1,\"content_index\":0,\"part\":{\"type\":\"output_text\"}}\n\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":1,\"content_index\":0,\"delta\":\"a\"}\n\ndata: {\"type\":\"response.output_text.done\",\"output_index\":1,\"content_index\":0,\"text\":\"a\"}\n\n";
    const PARTS: &str = "data: {\"responseId\":\"r\",\"candidates\":[{\"index\":0,\"content\":{\"parts\":[{\"text\":\"a\"},{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]}}],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":2}}\r\n\r\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n";

    /// Bytes of any kind, and what comes of something well formed when parts of it are replaced, taken out or doubled.
    fn bytes(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let noise = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..6),
            prop::sample::select(&[
                "\"", "{", "}", "[", "]", ",", ":", "\n", "\n\n", "\r\n", "null", "0", "-1e999", "\\ud800"
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            prop::sample::select(samples).prop_map(|text| text.as_bytes().to_vec()),
        ];
        let edit = (any::<prop::sample::Index>(), 0..30usize, noise);
        let edited = (prop::sample::select(samples), prop::collection::vec(edit, 0..4)).prop_map(|(sample, edits)| {
            let mut bytes = sample.as_bytes().to_vec();
            for (at, length, instead) in edits {
                let start = at.index(bytes.len() + 1);
                let end = (start + length).min(bytes.len());
                bytes.splice(start..end, instead);
            }
            bytes
        });
        prop_oneof![1 => prop::collection::vec(any::<u8>(), 0..200), 9 => edited]
    }

    proptest! {
        #[test]
        fn no_bytes_are_lost_between_events(data in bytes(&[CHUNKS, EVENTS, PARTS])) {
            events(&data);
        }

        #[test]
        fn no_request_is_sent_on_as_something_else(data in bytes(&[CHAT, PROMPT, INPUT])) {
            request(&data);
        }

        #[test]
        fn no_message_is_sent_on_as_something_else(data in bytes(&[MESSAGES])) {
            messages(&data);
        }

        #[test]
        fn no_request_for_a_response_becomes_something_else(data in bytes(&[RESPONSE])) {
            responses(&data);
        }

        #[test]
        fn no_providers_stream_becomes_something_else(data in bytes(&[CHUNKS, EVENTS, PARTS, RESPONSES, THOUGHT])) {
            provider_stream(&data);
        }
    }
}
