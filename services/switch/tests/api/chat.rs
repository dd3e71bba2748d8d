//! `POST /switch/chat`.

use serde_json::{Value, json};

use crate::app::{Answer, App, mock_provider};
use crate::fake::{Act, Fake, answer, chunk, completion, error, event, stream_head, whole_stream};

#[tokio::test]
async fn a_conversation_is_answered_in_vx11s_words() {
    let (bad, good) = (Fake::always([error(503, "")]).await, Fake::always([completion("hi")]).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    let got = app.chat(json!({"correlation_id": "corr-7"})).await;
    let mut body = got.json();
    assert_eq!(got.status, 200);
    assert!(body["latency_ms"].is_u64() && body["attempts"][0]["latency_ms"].is_u64());
    body["latency_ms"] = json!(0);
    for attempt in body["attempts"].as_array_mut().unwrap() {
        attempt["latency_ms"] = json!(0);
    }
    let expected = json!({
        "status": "ok", "reply": "hi", "engine_used": "real-model", "latency_ms": 0, "provider": "b",
        "fallback_reason": "http_503",
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        "attempts": [
            {"provider": "a", "model": "m-a", "outcome": "http_503", "latency_ms": 0},
            {"provider": "b", "model": "m-b", "outcome": "success", "latency_ms": 0},
        ],
    });
    assert_eq!(body, expected);

    let requests = good.requests();
    let (head, sent) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.contains("x-correlation-id: corr-7\r\n"), "the body's id wins: {head}");
    assert_eq!(sent, r#"{"model":"m-b","messages":[{"role":"user","content":"hello"}]}"#);
}

#[tokio::test]
async fn an_answer_off_the_schema_is_no_answer_and_an_empty_one_is() {
    let off_schema = answer(200, "", r#"{"choices":[{"text":"an older API"}]}"#);
    let empty = answer(200, "", r#"{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}"#);
    let (bad, good) = (Fake::always([off_schema]).await, Fake::always([empty]).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    let body = app.chat(json!({})).await.json();
    assert_eq!((body["reply"].as_str(), body["fallback_reason"].as_str()), (Some(""), Some("invalid_answer")));
    assert_eq!((body["engine_used"].as_str(), body.get("usage")), (Some("m-b"), None));
}

#[tokio::test]
async fn one_provider_can_be_asked_for_by_name() {
    let (a, b) = (Fake::always([completion("from a")]).await, Fake::always([completion("from b")]).await);
    let app = App::in_front_of(&[&a.url, &b.url], &[]).await;
    assert_eq!(app.chat(json!({"provider": "b"})).await.json()["reply"], "from b");
    assert_eq!(app.chat(json!({"model": "any-thing", "provider": "b"})).await.json()["provider"], "b");
    let keyless = app.chat(json!({"provider": "deepseek_r1"})).await;
    assert_eq!((keyless.status, keyless.code()), (502, "upstream_error"));
    assert!(keyless.json()["detail"].as_str().unwrap().contains("deepseek_r1/deepseek-reasoner: missing_api_key"));
    let unknown = app.chat(json!({"provider": "nobody"})).await;
    assert_eq!((unknown.status, unknown.code()), (404, "unknown_provider"));
    assert_eq!(unknown.json()["error"]["known"], json!(["a", "b", "deepseek_r1", "local", "mock"]));
    let unknown = app.chat(json!({"model": "gpt-9"})).await;
    assert_eq!((unknown.status, unknown.code()), (404, "model_not_found"));
}

#[tokio::test]
async fn when_nobody_answers_the_detail_names_the_attempts() {
    let (reset, limited) = (Fake::always([Act::Reset]).await, Fake::always([error(429, "retry-after: 7\r\n")]).await);
    let got = App::in_front_of(&[&limited.url, &reset.url], &[]).await.chat(json!({})).await;
    assert_eq!((got.status, got.code()), (502, "upstream_error"));
    assert_eq!(got.json()["detail"], "no provider answered: a/m-a: http_429, b/m-b: transport");
    let got = App::in_front_of(&[&reset.url, &limited.url], &[]).await.chat(json!({})).await;
    assert_eq!((got.status, got.json()["retry_after"].as_u64(), got.header("retry-after")), (429, Some(7), "7"));
    let refusing = Fake::always([error(400, "")]).await;
    let got = App::in_front_of(&[&refusing.url], &[]).await.chat(json!({})).await;
    assert_eq!((got.status, got.code()), (400, "malformed_request"));
    assert_eq!(got.json()["detail"], "a refused the request: provider says 400");
}

#[tokio::test]
async fn bad_requests_name_their_field() {
    let app = App::in_front_of(&["http://127.0.0.1:1"], &[]).await;
    let refused = |body: &'static str| Answer::of(app.post("/switch/chat", body));
    for (body, status, code, field) in [
        ("{", 400, "malformed_request", Value::Null),
        ("{}", 422, "invalid_field", json!("messages")),
        (r#"{"messages":"x","session_id":"s","correlation_id":"c"}"#, 422, "invalid_field", json!("messages")),
        (r#"{"messages":[],"session_id":"s","correlation_id":"c"}"#, 422, "invalid_field", json!("messages")),
        (
            r#"{"messages":[{"role":"king","content":"x"}],"session_id":"s","correlation_id":"c"}"#,
            422,
            "invalid_field",
            json!("messages[0].role"),
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"session_id":"s","correlation_id":"a\nb"}"#,
            422,
            "invalid_field",
            json!("correlation_id"),
        ),
    ] {
        let got = refused(body).await;
        let error = got.json()["error"].clone();
        assert_eq!((got.status, error["code"].as_str(), &error["field"]), (status, Some(code), &field), "{body}");
    }
    let huge = Answer::of(app.post("/switch/chat", vec![b' '; 1024 * 1024 + 1])).await;
    assert_eq!((huge.status, huge.code()), (413, "payload_too_large"));
}

/// The events of a streamed chat: name and payload.
fn frames(got: &Answer) -> Vec<(String, Value)> {
    let is_event = |frame: &&str| !frame.is_empty() && !frame.starts_with(':');
    let frames = got.body.split("\n\n").filter(is_event).map(|frame| {
        let (name, data) = frame.split_once('\n').unwrap();
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), data)
    });
    frames.collect()
}

#[tokio::test]
async fn a_streamed_chat_is_tokens_and_then_the_whole_answer() {
    let reasoning = event(r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#);
    let mut acts = whole_stream();
    acts.insert(1, reasoning);
    acts.insert(1, Act::Say(": a comment\n\n".to_owned()));
    let (bad, good) = (Fake::always([error(500, "")]).await, Fake::always(acts).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    let got = app.chat(json!({"stream": true})).await;
    assert_eq!(
        (got.status, got.header("content-type"), got.header("x-vx11-provider")),
        (200, "text/event-stream", "b")
    );
    let frames = frames(&got);
    let names: Vec<&str> = frames.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["reasoning", "token", "token", "done"]);
    assert_eq!(frames[1].1, json!({"type": "token", "content": "Hel"}));
    let done = &frames[3].1;
    assert_eq!((done["reply"].as_str(), done["reasoning"].as_str()), (Some("Hello"), Some("hm")));
    assert_eq!((done["usage"]["total_tokens"].as_u64(), done["fallback_reason"].as_str()), (Some(5), Some("http_500")));
    assert_eq!(
        (done["engine_used"].as_str(), done["attempts"][1]["outcome"].as_str()),
        (Some("real-model"), Some("success"))
    );
    assert!(good.requests()[0].ends_with(r#""stream":true,"stream_options":{"include_usage":true}}"#));
}

#[tokio::test]
async fn a_streamed_chat_that_breaks_says_so() {
    let not_text = event(r#"{"choices":[{"index":0,"delta":{"content":["parts"]}}]}"#);
    for fault in [vec![], vec![Act::Reset], vec![not_text, event("[DONE]")]] {
        let acts: Vec<Act> = [stream_head(), chunk("Hel")].into_iter().chain(fault).collect();
        let fake = Fake::always(acts).await;
        let app = App::in_front_of(&[&fake.url], &[]).await;
        let frames = frames(&app.chat(json!({"stream": true})).await);
        assert_eq!(frames.len(), 2);
        assert_eq!((frames[1].0.as_str(), frames[1].1["error"]["code"].as_str()), ("error", Some("upstream_error")));
        assert_eq!(frames[1].1["correlation_id"], "c");
    }
}

#[tokio::test]
async fn a_streamed_chat_and_a_whole_one_say_the_same() {
    let mock = mock_provider();
    let app = App::start(&[("VX11_MOCK_PROVIDER_URL", &mock.url(""))]).await;
    let whole = app.chat(json!({})).await.json();
    let streamed = app.chat(json!({"stream": true})).await;
    let done = streamed.events().last().map(|data| serde_json::from_str::<Value>(data).unwrap()).unwrap();
    for field in ["reply", "engine_used", "usage", "provider"] {
        assert_eq!(whole[field], done[field], "{field}");
        assert!(!whole[field].is_null(), "{field}");
    }
}
