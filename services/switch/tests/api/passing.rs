//! Chat completions in full: what OpenAI's wire can say passes untouched both ways, and every stream has its manners.

use serde_json::Value;

use crate::app::{Answer, App};
use crate::fake::{Act, Fake, STOP, USAGE, answer, chunk, chunk_json, event, stream_head, whole_stream};

/// A request with everything in it, and numbers, spaces and an order of its own.
const REQUEST: &str = r#"{ "model":"m", "n":2,"seed": 7,"logprobs":true,"top_logprobs":3, "temperature":1.50,
  "messages":[{"role":"developer","content":"Be brief."},
    {"role":"user","content":[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0=","detail":"low"}}]},
    {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"x\": 1.0}"}}]},
    {"role":"tool","tool_call_id":"call_1","content":"a cat"}],
  "tools":[{"type":"function","function":{"name":"look","strict":true,"parameters":{"type":"object","properties":{"z":{"type":"number"},"a":{"type":"string"}}}}}],
  "tool_choice":{"type":"function","function":{"name":"look"}},"parallel_tool_calls":true,
  "response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object","properties":{"z":{},"a":{}}}}},
  "stream_options":{"include_usage":true},"reasoning_effort":"low","chat_template_kwargs":{"enable_thinking":false},"x_vendor":1e3}"#;

/// An answer with everything in it.
const COMPLETION: &str = r#"{"id": "c1","model":"real-model","choices":[{"index":1,"message":{"role":"assistant","content":null,"refusal":null,
"reasoning_content":"hm","tool_calls":[{"id":"a","type":"function","function":{"name":"look","arguments":"{\"z\": 1.50}"}},{"id":"b","type":"function","function":{"name":"look","arguments":"{}"}}],
"annotations":[]},"logprobs":{"content":[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[]}]},"finish_reason":"tool_calls"}],
"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"completion_tokens_details":{"reasoning_tokens":1}},"system_fingerprint":"fp","x_vendor":{"deep":[1.0]}}"#;

fn body_sent(fake: &Fake) -> String {
    let requests = fake.requests();
    requests.last().unwrap().split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn everything_in_a_request_and_its_answer_passes_byte_by_byte() {
    let fake = Fake::always([answer(200, "", COMPLETION)]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = Answer::of(app.post("/v1/chat/completions", REQUEST)).await;
    assert_eq!((got.status, got.body.as_str()), (200, COMPLETION));
    assert_eq!(body_sent(&fake), REQUEST.replacen(r#""m""#, r#""m-a""#, 1));
}

#[tokio::test]
async fn every_kind_of_chunk_passes_byte_by_byte() {
    let chunks = [
        r#"{"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#,
        r#"{"id":"c1","choices":[{"index":0,"delta":{"reasoning_content":"hm"}}], "x_vendor": 1.0}"#,
        r#"{"id":"c1","choices":[{"index":1,"delta":{"content":"Hi"},"logprobs":{"content":[{"token":"Hi","logprob":-0.10,"bytes":null,"top_logprobs":[]}]}}]}"#,
        r#"{"id":"c1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
        r#"{"id":"c1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{"}}]}}]}"#,
        r#"{"id":"c1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}},{"index":1,"function":{"arguments":"}"}}]}}]}"#,
        r#"{"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"},{"index":1,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
        USAGE,
    ];
    let acts: Vec<Act> = [stream_head()].into_iter().chain(chunks.map(event)).chain([event("[DONE]")]).collect();
    let fake = Fake::always(acts).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let request = REQUEST.replacen(r#""n":2"#, r#""n":2,"stream":true"#, 1);
    let got = Answer::of(app.post("/v1/chat/completions", request.clone())).await;
    // In the usage that was asked for is the cost too.
    let usage = USAGE.replace("5}", "5,\"cost\":0}");
    let expected = chunks.iter().map(|chunk| if *chunk == USAGE { &usage } else { *chunk });
    assert_eq!(got.events(), expected.chain(["[DONE]"]).collect::<Vec<_>>());
    assert_eq!(body_sent(&fake), request.replacen(r#""m""#, r#""m-a""#, 1));
}

#[tokio::test]
async fn usage_is_asked_for_and_shown_only_to_who_wants_it() {
    let fake = Fake::always(whole_stream()).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let ask = r#""stream_options":{"include_usage":true}"#;
    for (options, sent, shown) in [
        ("", format!(r#"{{"model":"m-a",{ask},"messages":[],"stream":true}}"#), false),
        (
            r#","stream_options":{"include_usage":false}"#,
            format!(r#"{{"model":"m-a","messages":[],"stream":true,{ask}}}"#),
            false,
        ),
        (&format!(",{ask}"), format!(r#"{{"model":"m-a","messages":[],"stream":true,{ask}}}"#), true),
    ] {
        let body = format!(r#"{{"model":"m","messages":[],"stream":true{options}}}"#);
        let got = Answer::of(app.post("/v1/chat/completions", body)).await;
        assert_eq!(body_sent(&fake), sent);
        assert_eq!(got.body.contains(r#""total_tokens":5"#), shown, "{options}: {}", got.body);
    }
    app.wait_for_metric(r#"vx11_tokens_total{kind="prompt",model="m-a",provider="a"}"#, 9.0).await;

    let wrong = r#"{"model":"m","messages":[],"stream":true,"stream_options":[]}"#;
    let got = Answer::of(app.post("/v1/chat/completions", wrong)).await;
    assert_eq!((got.status, got.json()["error"]["param"].as_str()), (400, Some("stream_options")));
}

#[tokio::test]
async fn a_provider_that_knows_no_stream_options_is_sent_none() {
    let fake = Fake::always(whole_stream()).await;
    let app = App::in_front_of(&[&fake.url], &[("VX11_SWITCH__PROVIDERS__A__STREAM_USAGE", "false")]).await;
    app.stream().await;
    assert_eq!(body_sent(&fake), r#"{"model":"m-a","messages":[],"stream":true}"#);
}

#[tokio::test]
async fn usage_that_comes_with_the_last_choice_is_said_once_more_alone() {
    let last = r#"{"id":"c1","object":"chat.completion.chunk","created":7,"model":"real","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;
    let fake = Fake::always([stream_head(), chunk("Hi"), event(last), event("[DONE]")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let body = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    let got = Answer::of(app.post("/v1/chat/completions", body)).await;
    let events = got.events();
    let alone: Value = serde_json::from_str(events[2]).unwrap();
    assert_eq!((events[1], events[3], &alone["choices"]), (last, "[DONE]", &serde_json::json!([])));
    assert_eq!(
        (&alone["id"], &alone["model"], &alone["usage"]["total_tokens"]),
        (&"c1".into(), &"real".into(), &4.into())
    );
}

#[tokio::test]
async fn all_chunks_of_an_answer_have_one_id() {
    let others = [chunk_json("lo").replace("c1", "c2"), STOP.replace(r#""id":"c1","#, "")];
    let acts = [stream_head(), chunk("Hel"), event(&others[0]), event(&others[1]), event("[DONE]")];
    let fake = Fake::always(acts).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = app.stream().await;
    assert_eq!(got.events(), [&*chunk_json("Hel"), &*chunk_json("lo"), STOP, "[DONE]"]);
}

#[tokio::test]
async fn a_silent_stream_is_kept_open_by_pings_once_it_has_begun() {
    let variables = [("VX11_SWITCH__PING_INTERVAL", "20ms"), ("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", "1s")];
    let fake = Fake::always([stream_head(), chunk("Hel"), Act::Wait]).await;
    for (path, body) in [
        ("/v1/chat/completions", r#"{"model":"m","messages":[],"stream":true}"#),
        ("/v1/completions", r#"{"model":"m","prompt":"x","stream":true}"#),
        ("/v1/responses", r#"{"model":"m","input":"x","stream":true}"#),
        ("/v1/messages", r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"stream":true}"#),
        (
            "/switch/chat",
            r#"{"messages":[{"role":"user","content":"x"}],"session_id":"s","correlation_id":"c","stream":true}"#,
        ),
    ] {
        let app = App::in_front_of(&[&fake.url], &variables).await;
        let got = Answer::of(app.post(path, body)).await;
        let first = got.body.split("\n\n").next().unwrap();
        assert!(got.body.contains(": ping\n\n") && !first.starts_with(": ping"), "{path}: {}", got.body);
    }

    let slow = Fake::always([Act::Wait]).await;
    let variables = [("VX11_SWITCH__PING_INTERVAL", "20ms"), ("VX11_SWITCH__PROVIDERS__A__TIMEOUT", "500ms")];
    let app = App::in_front_of(&[&slow.url, &fake.url], &variables).await;
    let body = r#"{"model":"m","messages":[],"stream":true}"#;
    let mut response = app.post("/v1/chat/completions", body).send().await.unwrap();
    assert_eq!(response.headers()["x-vx11-provider"], "b", "nothing was said before, so another could take over");
    let first = response.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: "), "{first:?}");
}
