//! Providers that do not say what they spent: callers and the bill get an estimate, which is marked as one.

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually, mock_provider};
use crate::fake::{Fake, STOP, answer, chunk, event, stream_head};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

/// A request that either wire understands, and that wants usage where that has to be said.
fn body(stream: bool) -> String {
    let mut body = json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "tokens: 20"}]});
    if stream {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    body.to_string()
}

/// What the caller is told of tokens, read and written.
fn told(got: &Answer, path: &str, stream: bool) -> Option<(u64, u64)> {
    let usage = match stream {
        true => {
            let events: Vec<Value> = got.events().iter().filter_map(|data| serde_json::from_str(data).ok()).collect();
            events.iter().rev().find(|event| event["usage"].is_object())?["usage"].clone()
        }
        false => got.json()["usage"].clone(),
    };
    let names =
        if path == MESSAGES { ["input_tokens", "output_tokens"] } else { ["prompt_tokens", "completion_tokens"] };
    Some((usage[names[0]].as_u64()?, usage[names[1]].as_u64()?))
}

/// The ledger's row, once it has so many requests.
async fn billed(app: &App, requests: u64) -> Value {
    let row = async || Answer::of(app.get("/switch/usage")).await.json()["rows"][0].clone();
    eventually("every bill is written", async || row().await["requests"] == requests).await;
    row().await
}

#[tokio::test]
async fn on_every_wire_the_estimate_is_billed_and_told_where_a_stream_ends() {
    let mock = mock_provider();
    for (kind, base) in [("openai", "/v1"), ("anthropic", "/v1"), ("gemini", "/v1beta")] {
        let url = mock.url(base);
        let variables = [
            ("VX11_SWITCH__PROVIDERS__A__KIND", kind),
            ("VX11_SWITCH__PROVIDERS__A__BASE_URL", &url),
            ("VX11_SWITCH__PROVIDERS__A__MODELS", r#"["mock*", "mock"]"#),
            ("VX11_SWITCH__MODELS__M__TARGETS", r#"["a/mock+no_usage"]"#),
        ];
        let app = App::start(&variables).await;
        let (mut requests, mut written) = (0, 0);
        for (path, stream) in [(CHAT, false), (CHAT, true), (MESSAGES, false), (MESSAGES, true)] {
            let why = format!("{kind} at {path}, {stream}");
            let got = Answer::of(app.post(path, body(stream))).await;
            assert_eq!(got.status, 200, "{why}: {}", got.body);
            let told = told(&got, path, stream);
            // What is in the provider's own wire, and what is not a stream in the pivot, is as the provider wrote it.
            let passes = kind == "anthropic" && path == MESSAGES || (path, stream) == (CHAT, false);
            match told {
                None => assert!(passes, "{why}: {}", got.body),
                Some((read, wrote)) => assert!(!passes && read > 0 && wrote > 0, "{why}: {}", got.body),
            }
            requests += 1;
            let row = billed(&app, requests).await;
            let count = |field: &str| row[field].as_u64().unwrap();
            assert_eq!(count("estimated_requests"), requests, "{why}: {row}");
            assert!(count("prompt_tokens") >= requests && count("completion_tokens") >= written + 10, "{why}: {row}");
            written = count("completion_tokens");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn an_empty_usage_is_as_none() {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "one two"}, "finish_reason": "stop"});
    let whole = answer(200, "", &json!({"id": "c1", "model": "m", "choices": [choice], "usage": {}}).to_string());
    let app = App::in_front_of(&[&Fake::always([whole]).await.url], &[]).await;
    for path in [CHAT, MESSAGES] {
        assert_eq!(Answer::of(app.post(path, body(false))).await.status, 200);
    }
    let row = billed(&app, 2).await;
    assert_eq!((&row["estimated_requests"], &row["completion_tokens"]), (&json!(2), &json!(4)), "{row}");

    let end = STOP.replace(r#""choices""#, r#""usage":{},"choices""#);
    let streamed = vec![stream_head(), chunk("one"), chunk(" two"), event(&end), event("[DONE]")];
    let app = App::in_front_of(&[&Fake::always(streamed).await.url], &[]).await;
    for path in [CHAT, MESSAGES] {
        let got = Answer::of(app.post(path, body(true))).await;
        let (read, wrote) = told(&got, path, true).unwrap();
        assert!(read > 0 && wrote == 2, "{path}: {}", got.body);
    }
}

#[tokio::test]
async fn the_estimate_covers_what_two_have_written() {
    let cut = Fake::always([stream_head(), chunk("one")]).await;
    let whole = vec![stream_head(), chunk("one"), chunk(" two"), event(STOP), event("[DONE]")];
    let app = App::in_front_of(&[&cut.url, &Fake::always(whole).await.url], &[]).await;
    let got = Answer::of(app.post(CHAT, body(true))).await;
    let (read, wrote) = told(&got, CHAT, true).unwrap();
    assert!(read > 0 && wrote == 1 + 2, "{}", got.body);
}
