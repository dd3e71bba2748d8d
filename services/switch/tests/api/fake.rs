//! What a provider that does to the byte what a test says can say.

pub(crate) use vx11_testing::{Act, Scripted as Fake, nobody};

/// An answer of this status.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Act {
    let length = body.len();
    Act::Say(format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    ))
}

/// A whole completion that says `text`.
pub(crate) fn completion(text: &str) -> Act {
    let body = format!(
        r#"{{"id": "c1","model":"real-model","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}}}"#
    );
    answer(200, "x-request-id: req-1\r\n", &body)
}

/// An error as OpenAI's wire has it.
pub(crate) fn error(status: u16, headers: &str) -> Act {
    answer(
        status,
        headers,
        &format!(r#"{{"error":{{"message":"provider says {status}","type":"t","param":null,"code":null}}}}"#),
    )
}

/// The head of a stream whose end is the connection's.
pub(crate) fn stream_head() -> Act {
    Act::Say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_owned())
}

/// One event of a stream.
pub(crate) fn event(data: &str) -> Act {
    Act::Say(format!("data: {data}\n\n"))
}

/// One chunk that says `text`.
pub(crate) fn chunk(text: &str) -> Act {
    event(&chunk_json(text))
}

/// The payload of [`chunk`].
pub(crate) fn chunk_json(text: &str) -> String {
    format!(
        r#"{{"id":"c1","model":"real-model","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    )
}

/// The payload of the chunk that ends the answer.
pub(crate) const STOP: &str = r#"{"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
/// The payload of the chunk that says what was spent.
pub(crate) const USAGE: &str =
    r#"{"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

/// A whole stream that says `Hello`.
pub(crate) fn whole_stream() -> Vec<Act> {
    vec![stream_head(), chunk("Hel"), chunk("lo"), event(STOP), event(USAGE), event("[DONE]")]
}
