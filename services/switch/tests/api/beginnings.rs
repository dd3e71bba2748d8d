//! Streams that go wrong after their head and before their first token: their callers do not notice.

use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::fake::{Act, Fake, STOP, chunk, event, stream_head, whole_stream};

const RETRIES: [(&str, &str); 2] = [("VX11_SWITCH__RETRIES__ATTEMPTS", "2"), ("VX11_SWITCH__RETRIES__BASE", "1ms")];
const CLAUDE: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic");
const STREAM: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hello"}],"stream":true}"#;

/// What opens an answer of OpenAI's wire, and says nothing of it.
fn role() -> Act {
    event(r#"{"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#)
}

/// One event of Anthropic's, under its name.
fn named(data: &Value) -> Act {
    Act::Say(format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()))
}

/// What opens an answer of Anthropic's wire.
fn message_start() -> Act {
    let usage = json!({"input_tokens": 3, "output_tokens": 1});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": usage});
    named(&json!({"type": "message_start", "message": message}))
}

/// A whole stream of Anthropic's.
fn whole_message() -> Vec<Act> {
    let events = [
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ];
    [stream_head(), message_start()].into_iter().chain(events.iter().map(named)).collect()
}

/// An error under the name that says so.
fn error_event(data: &str) -> Act {
    Act::Say(format!("event: error\ndata: {data}\n\n"))
}

const OVERLOADED: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;

#[tokio::test]
async fn what_passes_is_asked_again_though_the_head_was_good() {
    let error = |body: &str| event(body);
    let openai = [
        vec![],
        vec![Act::Reset],
        vec![role()],
        vec![role(), Act::Reset],
        vec![role(), event("[DONE]")],
        vec![error(r#"{"error":{"message":"busy","type":"server_error","code":"overloaded"}}"#)],
        vec![role(), error(r#"{"error":{"message":"slow down","type":"tokens","code":"rate_limit_exceeded"}}"#)],
        vec![role(), error(r#"{"id":"c1","error":{"message":"gone","code":502},"choices":[]}"#)],
        vec![error_event(r#"{"type":"overloaded_error"}"#)],
        vec![role(), event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"insufficient_system_resource"}]}"#)],
    ];
    let claude = [
        vec![error_event(OVERLOADED)],
        vec![message_start(), error_event(OVERLOADED)],
        vec![message_start()],
        vec![message_start(), named(&json!({"type": "message_stop"}))],
    ];
    let cases = openai.map(|acts| (acts, false)).into_iter().chain(claude.map(|acts| (acts, true)));
    for (acts, is_claude) in cases {
        let why = format!("{acts:?}");
        let script = move |request: usize| match (request, is_claude) {
            (0 | 1, _) => [vec![stream_head()], acts.clone()].concat(),
            (_, false) => whole_stream(),
            (_, true) => whole_message(),
        };
        let (fake, other) = (Fake::start(script).await, Fake::always(whole_stream()).await);
        let mut configured = RETRIES.to_vec();
        configured.extend(is_claude.then_some(CLAUDE));
        let app = App::in_front_of(&[&fake.url, &other.url], &configured).await;
        let got = Answer::of(app.post("/v1/chat/completions", STREAM)).await;
        assert_eq!(
            (got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")),
            (200, "a", "3"),
            "{why}: {}",
            got.body
        );
        assert!(got.body.ends_with("data: [DONE]\n\n") && !got.body.contains("error"), "{why}: {}", got.body);
        assert_eq!(got.body.matches("assistant").count(), usize::from(is_claude), "nothing of the first two: {why}");
    }
}

#[tokio::test]
async fn who_is_alone_is_told_what_the_provider_says() {
    for (acts, kind, status) in [
        (vec![role(), event(r#"{"error":{"message":"busy","code":"overloaded"}}"#)], None, 503),
        (vec![event(r#"{"error":{"message":"slow down","code":429}}"#)], None, 429),
        (vec![role(), event(r#"{"error":{"message":"bad","type":"invalid_request_error"}}"#)], None, 400),
        (vec![message_start(), error_event(OVERLOADED)], Some(CLAUDE), 503),
    ] {
        let fake = Fake::always([vec![stream_head()], acts].concat()).await;
        let app = App::in_front_of(&[&fake.url], kind.as_slice()).await;
        let got = Answer::of(app.post("/v1/chat/completions", STREAM)).await;
        assert_eq!(got.status, status, "{}", got.body);
        let failed = format!(r#"vx11_provider_requests_total{{model="m-a",outcome="http_{status}",provider="a"}}"#);
        app.wait_for_metric(&failed, 1.0).await;
    }
}

#[tokio::test]
async fn what_opens_an_answer_is_not_its_first_token() {
    for (opening, kind) in [(role(), None), (message_start(), Some(CLAUDE))] {
        let silent = Fake::always([stream_head(), opening, Act::Wait]).await;
        let good = Fake::always(whole_stream()).await;
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let mut configured = vec![("VX11_SWITCH__PROVIDERS__A__TTFT_TIMEOUT", "300ms")];
            configured.extend(kind);
            let app = App::in_front_of(&[&silent.url, &good.url], &configured).await;
            let got = Answer::of(app.post(path, STREAM)).await;
            assert_eq!((got.status, got.header("x-vx11-provider")), (200, "b"), "{path}: {}", got.body);
        }
    }
}

#[tokio::test]
async fn no_more_is_held_back_than_fits() {
    let endless = [vec![stream_head()], vec![role(); 64], vec![Act::Wait]].concat();
    let app = App::in_front_of(&[&Fake::always(endless).await.url], &[]).await;
    let mut response = app.post("/v1/chat/completions", STREAM).send().await.unwrap();
    assert_eq!(response.status(), 200, "an answer of which so much has come has begun");
    response.chunk().await.unwrap().expect("what was held back");
}

#[tokio::test]
async fn what_was_held_back_comes_first_and_once() {
    let acts = vec![stream_head(), role(), role(), chunk("Hel"), chunk("lo"), event(STOP), event("[DONE]")];
    let app = App::in_front_of(&[&Fake::always(acts).await.url], &[]).await;
    let got = app.stream().await;
    let deltas: Vec<Value> = got.events().iter().filter_map(|data| serde_json::from_str::<Value>(data).ok()).collect();
    let said: Vec<&str> = deltas.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, ["", "", "Hel", "lo"], "{}", got.body);
}
