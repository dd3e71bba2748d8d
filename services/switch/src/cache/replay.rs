//! A whole answer as the chunks of a stream: the other way round from [`super::gather`].

use serde_json::{Map, Value, json};

/// Texts that a message has, in the order in which they are sent.
const TEXTS: [&str; 4] = ["reasoning_content", "reasoning", "content", "refusal"];
/// Bytes of text in one chunk, about: a reader that shows text as it comes is not handed a page at once.
const PIECE: usize = 512;

/// The chunks of a chat or text completion, the usage included. `None` where `body` cannot be told in chunks.
pub(crate) fn chunks(body: &[u8]) -> Option<Vec<Value>> {
    let mut envelope: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let Value::Array(choices) = envelope.remove("choices")? else { return None };
    let usage = envelope.remove("usage").filter(|usage| !usage.is_null());
    let of_chat = choices.iter().any(|choice| choice.get("message").is_some());
    let object = if of_chat { "chat.completion.chunk" } else { "text_completion" };
    envelope.insert("object".to_owned(), object.into());
    let mut writer = Writer { envelope, chunks: Vec::new() };
    for choice in choices {
        writer.tell(choice)?;
    }
    if let Some(usage) = usage {
        writer.envelope.insert("usage".to_owned(), usage);
        writer.write(json!([]));
    }
    Some(writer.chunks)
}

struct Writer {
    envelope: Map<String, Value>,
    chunks: Vec<Value>,
}

impl Writer {
    fn tell(&mut self, choice: Value) -> Option<()> {
        let Value::Object(mut choice) = choice else { return None };
        let index = choice.remove("index").unwrap_or_else(|| 0.into());
        let mut logprobs = choice.remove("logprobs").filter(|logprobs| !logprobs.is_null());
        match (choice.remove("message"), choice.remove("text")) {
            (Some(Value::Object(message)), None) => {
                for delta in deltas(message, logprobs.is_some())? {
                    let mut part = json!({ "index": index, "delta": delta, "finish_reason": null });
                    if delta.get("content").is_some_and(|content| content != "") {
                        put(&mut part, "logprobs", logprobs.take());
                    }
                    self.write(json!([part]));
                }
                choice.insert("delta".to_owned(), json!({}));
            }
            (None, Some(Value::String(text))) => {
                let size = if logprobs.is_some() { usize::MAX } else { PIECE };
                for piece in pieces(&text, size) {
                    let mut part = json!({ "index": index, "text": piece, "finish_reason": null });
                    put(&mut part, "logprobs", logprobs.take());
                    self.write(json!([part]));
                }
                choice.insert("text".to_owned(), "".into());
            }
            _ => return None,
        }
        choice.insert("index".to_owned(), index);
        let mut last = Value::Object(choice);
        put(&mut last, "logprobs", logprobs);
        self.write(json!([last]));
        Some(())
    }

    fn write(&mut self, choices: Value) {
        self.envelope.insert("choices".to_owned(), choices);
        self.chunks.push(Value::Object(self.envelope.clone()));
    }
}

fn put(part: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(fields), Some(value)) = (part.as_object_mut(), value) {
        fields.insert(name.to_owned(), value);
    }
}

/// What a message says, part by part; text that `has_logprobs` in one.
fn deltas(mut message: Map<String, Value>, has_logprobs: bool) -> Option<Vec<Value>> {
    let mut texts = Vec::new();
    for name in TEXTS {
        match message.remove(name) {
            Some(Value::String(text)) => texts.push((name, text)),
            None | Some(Value::Null) => {}
            Some(_) => return None,
        }
    }
    // Two names for one thing stand in one delta, or readers of both would have it twice.
    let twice = matches!(texts.as_slice(), [("reasoning_content", one), ("reasoning", other), ..] if one == other);
    if twice {
        texts.remove(1);
    } else if matches!(texts.as_slice(), [("reasoning_content", _), ("reasoning", _), ..]) {
        return None;
    }
    let calls = match message.remove("tool_calls") {
        Some(Value::Array(calls)) => calls,
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return None,
    };
    message.retain(|_, value| !value.is_null());
    if message.contains_key("audio") {
        return None;
    }
    if texts.iter().any(|(name, _)| *name == "content") {
        message.insert("content".to_owned(), "".into());
    }
    let mut deltas = vec![Value::Object(message)];
    for (name, text) in texts {
        let size = if has_logprobs && name == "content" { usize::MAX } else { PIECE };
        for piece in pieces(&text, size) {
            let mut delta = json!({ name: piece });
            if twice && name == "reasoning_content" {
                put(&mut delta, "reasoning", Some(piece.into()));
            }
            deltas.push(delta);
        }
    }
    for (index, call) in calls.into_iter().enumerate() {
        let Value::Object(mut call) = call else { return None };
        call.insert("index".to_owned(), index.into());
        deltas.push(json!({ "tool_calls": [call] }));
    }
    Some(deltas)
}

/// `text` in pieces of about `size` bytes.
fn pieces(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = (size..rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::gather::Gather;
    use super::*;

    fn back(body: &Value) -> Option<Value> {
        let mut gather = Gather::new(1 << 20);
        chunks(body.to_string().as_bytes())?.iter().for_each(|chunk| gather.add(chunk.to_string().as_bytes()));
        Some(serde_json::from_slice(&gather.finish()?).expect("JSON"))
    }

    fn choice(message: Value) -> Value {
        json!({ "id": "c", "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] })
    }

    #[test]
    fn the_parts_come_in_their_order_and_the_usage_last() {
        let message = json!({ "role": "assistant", "content": "Hi", "reasoning_content": "hm", "refusal": null,
            "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } }] });
        let mut body = choice(message);
        body["usage"] = json!({ "total_tokens": 3 });
        let chunks = chunks(body.to_string().as_bytes()).expect("told");
        let deltas: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
        assert_eq!(*deltas[0], json!({ "role": "assistant", "content": "" }));
        assert_eq!((&deltas[1]["reasoning_content"], &deltas[2]["content"]), (&json!("hm"), &json!("Hi")));
        assert_eq!(deltas[3]["tool_calls"][0]["index"], 0);
        assert_eq!(chunks[4]["choices"][0], json!({ "index": 0, "delta": {}, "finish_reason": "stop" }));
        assert_eq!((&chunks[5]["choices"], &chunks[5]["usage"]["total_tokens"]), (&json!([]), &json!(3)));
        assert!(chunks.iter().all(|chunk| chunk["id"] == "c" && chunk["object"] == "chat.completion.chunk"));
    }

    #[test]
    fn reasoning_under_two_names_is_told_once_under_both() {
        let chunks = chunks(choice(json!({ "reasoning": "hm", "reasoning_content": "hm" })).to_string().as_bytes());
        assert_eq!(
            chunks.expect("told")[1]["choices"][0]["delta"],
            json!({ "reasoning": "hm", "reasoning_content": "hm" })
        );
    }

    #[test]
    fn what_has_no_chunks_is_not_told() {
        for message in [
            json!({ "content": [{ "type": "text" }] }),
            json!({ "audio": { "id": "a" } }),
            json!({ "reasoning": "a", "reasoning_content": "b" }),
            json!({ "tool_calls": "none" }),
            json!("text"),
        ] {
            assert_eq!(chunks(choice(message.clone()).to_string().as_bytes()), None, "{message}");
        }
        assert_eq!(chunks(br#"{"data":[]}"#), None);
    }

    proptest! {
        #[test]
        fn a_completion_told_in_chunks_and_gathered_is_the_same(
            content in prop::option::of("[a-z é😀\"\\\\\n]{1,2000}"),
            reasoning in prop::option::of(".{1,900}"),
            refusal in prop::option::of(".{1,9}"),
            calls in prop::collection::vec((".{1,9}", ".{0,99}"), 0..3),
            logprobs in prop::option::of(prop::collection::vec(any::<u8>(), 1..9)),
            finish in "stop|length|tool_calls",
            usage in prop::option::of(any::<u32>()),
            choices in 1_u64..3,
        ) {
            let mut message = json!({ "role": "assistant", "content": content });
            put(&mut message, "reasoning_content", reasoning.map(Value::from));
            put(&mut message, "refusal", refusal.map(Value::from));
            let calls: Vec<Value> = calls.iter().map(|(name, arguments)| json!({ "id": name, "type": "function",
                "function": { "name": name, "arguments": arguments } })).collect();
            if !calls.is_empty() {
                put(&mut message, "tool_calls", Some(calls.into()));
            }
            let logprobs = logprobs.map(|list| json!({ "content": list }));
            let choices: Vec<Value> = (0..choices).map(|index| json!({ "index": index, "message": message,
                "logprobs": logprobs, "finish_reason": finish })).collect();
            let mut body = json!({ "id": "c", "object": "chat.completion", "model": "m", "choices": choices });
            put(&mut body, "usage", usage.map(|tokens| json!({ "total_tokens": tokens })));
            prop_assert_eq!(back(&body), Some(body));
        }

        #[test]
        fn so_is_a_text_completion(text in ".{0,2000}", logprobs in prop::option::of(Just(json!({ "tokens": ["a"] })))) {
            let body = json!({ "object": "text_completion", "choices": [
                { "index": 0, "text": text, "logprobs": logprobs, "finish_reason": "stop" }] });
            prop_assert_eq!(back(&body), Some(body));
        }
    }
}
