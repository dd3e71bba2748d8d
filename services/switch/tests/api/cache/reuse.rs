//! Which requests are answered with what was kept, and in which form.

use serde_json::{Value, json};

use super::{BODY, ON, PATH, STREAM, STREAM_WITH_USAGE, ask, caching, counted, has_usage, text, used};
use crate::app::{Answer, App};
use crate::fake::{Act, Fake, answer, completion, stream_head, whole_stream};

#[tokio::test]
async fn without_being_asked_for_there_is_none() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for _ in 0..2 {
        assert_eq!(used(&ask(&app, BODY).await), (200, ""), "nothing is said of it");
    }
    assert_eq!(fake.requests().len(), 2);
    assert_eq!(counted(&app, "bypass").await, 0.0);
}

#[tokio::test]
async fn the_same_request_is_answered_once_however_it_is_written() {
    let fake = Fake::always([completion("hi")]).await;
    let app = caching(&fake).await;
    let first = ask(&app, BODY).await;
    assert_eq!((used(&first), first.header("age"), first.header("x-vx11-attempts")), ((200, "miss"), "", "1"));
    let again = r#" { "messages": [ {"content":"h\u0065llo", "role":"user"} ], "model": "m", "stream": false, "metadata": {"a":"b"} } "#;
    let second = Answer::of(app.post(PATH, again)).await;
    assert_eq!((used(&second), &second.body), ((200, "hit"), &first.body));
    assert!(second.header("age").parse::<u64>().unwrap() < 60, "{second:?}");
    assert_eq!((second.header("x-vx11-attempts"), second.header("x-vx11-cost-usd")), ("0", "0"));
    assert_eq!((second.header("x-vx11-provider"), second.header("x-vx11-model")), ("a", "m-a"));
    for other in [
        BODY.replace("hello", "Hello"),
        BODY.replace("]}", r#"],"user":"u"}"#),
        BODY.replace("]}", r#"],"temperature":0}"#),
        BODY.replace(r#""m""#, r#""any-m""#),
    ] {
        assert_eq!(used(&Answer::of(app.post(PATH, other.clone())).await), (200, "miss"), "{other}");
    }
    assert_eq!(fake.requests().len(), 5);
    assert_eq!([counted(&app, "hit").await, counted(&app, "miss").await], [1.0, 5.0]);
    assert_eq!(app.metric("vx11_cache_entries").await, 5.0);
    assert!(app.metric("vx11_cache_bytes").await > 5.0 * first.body.len() as f64);
}

#[tokio::test]
async fn a_kept_answer_comes_in_the_form_that_is_asked_for() {
    for streamed_first in [false, true] {
        let acts = if streamed_first { whole_stream() } else { vec![completion("Hello")] };
        let fake = Fake::always(acts).await;
        let app = caching(&fake).await;
        let first = ask(&app, if streamed_first { STREAM } else { BODY }).await;
        assert_eq!(used(&first), (200, "miss"));
        assert!(!has_usage(&first) || !streamed_first, "it was not asked for: {}", first.body);
        let whole = ask(&app, BODY).await;
        assert_eq!(used(&whole), (200, "hit"), "{}", whole.body);
        let whole = whole.json();
        assert_eq!(whole["choices"][0]["message"], json!({ "role": "assistant", "content": "Hello" }));
        assert_eq!(
            (&whole["usage"]["total_tokens"], &whole["choices"][0]["finish_reason"]),
            (&json!(5), &json!("stop"))
        );
        for (body, usage) in [(STREAM, false), (STREAM_WITH_USAGE, true)] {
            let stream = ask(&app, body).await;
            assert_eq!((used(&stream), text(&stream).as_str()), ((200, "hit"), "Hello"), "{}", stream.body);
            assert_eq!((stream.events().last(), has_usage(&stream)), (Some(&"[DONE]"), usage), "{}", stream.body);
            assert_eq!(stream.header("content-type"), "text/event-stream");
        }
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn other_addresses_use_it_too() {
    const VECTORS: &str = r#"{"object":"list","data":[{"index":0,"embedding":[0.1]}],"usage":{"prompt_tokens":7}}"#;
    let vectors = Fake::always([answer(200, "", VECTORS)]).await;
    let app = caching(&vectors).await;
    for outcome in ["miss", "hit"] {
        let got = Answer::of(app.post("/v1/embeddings", r#"{"model":"m","input":["a"]}"#)).await;
        assert_eq!((used(&got), got.body.as_str()), ((200, outcome), VECTORS));
    }
    let fake = Fake::always(whole_stream()).await;
    let app = caching(&fake).await;
    assert_eq!(used(&ask(&app, STREAM).await), (200, "miss"));
    // The same conversation in another wire is the same to the provider.
    for stream in [false, true] {
        let body = json!({ "model": "m", "input": "hello", "stream": stream, "store": false });
        let got = Answer::of(app.post("/v1/responses", body.to_string())).await;
        assert!(got.body.contains("Hello") && got.status == 200, "{}", got.body);
        let again = Answer::of(app.post("/v1/responses", body.to_string())).await;
        assert_eq!(used(&again), (200, "hit"));
    }
    let texts = Fake::always([answer(
        200,
        "",
        r#"{"object":"text_completion","choices":[{"index":0,"text":"Hey","finish_reason":"stop"}]}"#,
    )])
    .await;
    let app = caching(&texts).await;
    for (stream, outcome) in [(false, "miss"), (true, "hit"), (false, "hit")] {
        let body = json!({ "model": "m", "prompt": "x", "stream": stream });
        let got = Answer::of(app.post("/v1/completions", body.to_string())).await;
        assert_eq!(used(&got), (200, outcome));
        assert!(got.body.contains(r#""text":"Hey""#), "{}", got.body);
    }
}

#[tokio::test]
async fn messages_are_kept_as_they_came_each_form_by_itself() {
    const ANTHROPIC: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic");
    const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"thinking","thinking":"h","signature":"s"},{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#;
    let named = |data: &str| {
        let kind = serde_json::from_str::<Value>(data).unwrap()["type"].as_str().unwrap().to_owned();
        Act::Say(format!("event: {kind}\ndata: {data}\n\n"))
    };
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let streamed: Vec<Act> = [stream_head()].into_iter().chain(events.iter().map(|data| named(data))).collect();
    let body = |stream: bool| {
        json!({ "model": "m", "max_tokens": 9, "stream": stream, "messages": [{ "role": "user", "content": "hello" }] })
            .to_string()
    };
    for (acts, stream) in [(vec![answer(200, "", MESSAGE)], false), (streamed, true)] {
        let fake = Fake::always(acts).await;
        let app = App::in_front_of(&[&fake.url], &[ON, ANTHROPIC]).await;
        let first = Answer::of(app.post("/v1/messages", body(stream))).await;
        let second = Answer::of(app.post("/v1/messages", body(stream))).await;
        assert_eq!((used(&first), used(&second)), ((200, "miss"), (200, "hit")), "{}", second.body);
        assert_eq!(first.body, second.body);
        assert!(stream || first.body == MESSAGE, "{}", first.body);
        let newer = app.post("/v1/messages", body(stream)).header("anthropic-version", "2099-01-01");
        assert_eq!(used(&Answer::of(newer).await), (200, "miss"));
    }
    // A provider of another wire.
    let fake = Fake::always([completion("Hello")]).await;
    let app = caching(&fake).await;
    for outcome in ["miss", "hit"] {
        let got = Answer::of(app.post("/v1/messages", body(false))).await;
        assert_eq!((used(&got), &got.json()["content"][0]["text"]), ((200, outcome), &json!("Hello")));
    }
}
