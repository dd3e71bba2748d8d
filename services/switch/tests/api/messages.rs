//! `POST /v1/messages`: Anthropic's wire in, providers of every kind behind it.

use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::fake::{Act, Fake, STOP, USAGE, answer, chunk, completion, error, event, stream_head, whole_stream};

const ANTHROPIC: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic");
const BODY: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;
const STREAM: &str = r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

/// The events of a message that says `Hello`, as Anthropic writes them.
const EVENTS: [&str; 7] = [
    r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type": "ping"}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
    r#"{"type":"message_stop"}"#,
];

/// One event under its own name.
fn named(data: &str) -> Act {
    let kind = serde_json::from_str::<Value>(data).unwrap()["type"].as_str().unwrap().to_owned();
    Act::Say(format!("event: {kind}\ndata: {data}\n\n"))
}

fn events(data: &[&str]) -> Vec<Act> {
    [stream_head()].into_iter().chain(data.iter().map(|data| named(data))).collect()
}

async fn ask(app: &App, body: &str) -> Answer {
    Answer::of(app.post("/v1/messages", body.to_owned())).await
}

/// The names of the events, in order.
fn names(got: &Answer) -> Vec<&str> {
    got.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect()
}

#[tokio::test]
async fn a_provider_of_openais_wire_answers_with_a_message() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = ask(&app, BODY).await;
    assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-request-id")), (200, "a", "req-1"));
    let expected = json!({
        "id": "msg_c1", "type": "message", "role": "assistant", "model": "real-model", "stop_reason": "end_turn",
        "stop_sequence": null, "content": [{"type": "text", "text": "hi"}],
        "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
    });
    assert_eq!(got.json(), expected);
    let requests = fake.requests();
    let (head, sent) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
    let sent: Value = serde_json::from_str(sent).unwrap();
    assert_eq!(sent, json!({"model": "m-a", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}));
}

#[tokio::test]
async fn a_provider_of_openais_wire_streams_named_events() {
    let fake = Fake::always(whole_stream()).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = ask(&app, STREAM).await;
    assert_eq!((got.status, got.header("content-type")), (200, "text/event-stream"));
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names(&got), expected, "{}", got.body);
    let delta: Value = serde_json::from_str(got.events()[6]).unwrap();
    assert_eq!((&delta["delta"]["stop_reason"], &delta["usage"]["output_tokens"]), (&json!("end_turn"), &json!(2)));
    assert!(fake.requests()[0].contains(r#""include_usage":true"#), "usage is part of the wire");
}

#[tokio::test]
async fn a_provider_of_the_same_wire_gets_and_gives_the_very_bytes() {
    let whole = r#"{"id": "msg_1", "type":"message","model":"claude","content":[{"type":"text","text":"hi","citations":null}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#;
    let fake = Fake::start(move |number| match number {
        0 => vec![answer(200, "request-id: req-9\r\n", whole)],
        _ => events(&EVENTS),
    })
    .await;
    let app = App::in_front_of(&[&fake.url], &[ANTHROPIC]).await;
    let body = r#" {"model" : "m", "temperature": 1.50, "messages":[], "tools":[{"type":"web_search_20250305"}]} "#;
    let request = app.post("/v1/messages", body).header("anthropic-version", "2024-01-01");
    let request = request.header("anthropic-beta", "b1").header("anthropic-beta", "b2,b3");
    let got = Answer::of(request).await;
    assert_eq!((got.status, got.body.as_str(), got.header("x-request-id")), (200, whole, "req-9"));
    let requests = fake.requests();
    let (head, sent) = requests[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(sent, body.replace("\"m\"", "\"m-a\""));
    assert!(head.starts_with("POST /v1/messages "), "{head}");
    assert!(
        head.contains("anthropic-version: 2024-01-01\r\n") && head.contains("anthropic-beta: b1,b2,b3\r\n"),
        "{head}"
    );

    let got = ask(&app, STREAM).await;
    assert_eq!(got.events(), EVENTS, "{}", got.body);
    app.wait_for_metric(r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#, 4.0).await;
    app.wait_for_metric(r#"vx11_tokens_total{kind="prompt",model="m-a",provider="a"}"#, 6.0).await;
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_event_and_no_stop() {
    let cut = [vec![stream_head(), chunk("Hel")], vec![stream_head(), chunk("Hel"), event("{\"choi")]];
    for acts in cut {
        let fake = Fake::always(acts).await;
        let got = ask(&App::in_front_of(&[&fake.url], &[]).await, STREAM).await;
        assert_eq!(names(&got).last(), Some(&"error"), "{}", got.body);
        assert!(!names(&got).contains(&"message_stop") && !names(&got).contains(&"message_delta"), "{}", got.body);
        let last: Value = serde_json::from_str(got.events().last().unwrap()).unwrap();
        assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!("api_error")));
    }
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let whole: Vec<&str> = EVENTS[..4].iter().copied().chain([overloaded]).collect();
    for data in [&EVENTS[..4], &whole] {
        let fake = Fake::always(events(data)).await;
        let got = ask(&App::in_front_of(&[&fake.url], &[ANTHROPIC]).await, STREAM).await;
        assert_eq!(&got.events()[..4], &EVENTS[..4]);
        assert_eq!((names(&got).len(), names(&got)[4]), (5, "error"), "{}", got.body);
    }
}

#[tokio::test]
async fn a_whole_message_is_finished_however_its_stream_ends() {
    for count in [6, 7] {
        let fake = Fake::always(events(&EVENTS[..count])).await;
        let got = ask(&App::in_front_of(&[&fake.url], &[ANTHROPIC]).await, STREAM).await;
        assert_eq!(got.events(), EVENTS, "{}", got.body);
    }
    let fake = Fake::always([stream_head(), chunk("Hi"), event(STOP), event(USAGE), Act::Reset]).await;
    let got = ask(&App::in_front_of(&[&fake.url], &[]).await, STREAM).await;
    assert_eq!(names(&got).last(), Some(&"message_stop"), "{}", got.body);
}

#[tokio::test]
async fn failover_goes_from_one_wire_to_another() {
    let overloaded = answer(529, "", r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
    for body in [BODY, STREAM] {
        let bad = Fake::always([overloaded.clone()]).await;
        let good = Fake::always(if body == BODY { vec![completion("Hello")] } else { whole_stream() }).await;
        let app = App::in_front_of(&[&bad.url, &good.url], &[ANTHROPIC]).await;
        let got = ask(&app, body).await;
        assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")), (200, "b", "2"));
        assert!(got.body.contains("text"), "{}", got.body);
    }
}

#[tokio::test]
async fn a_call_with_broken_arguments_is_no_answer() {
    let broken = r#"{"id":"c","choices":[{"index":0,"finish_reason":"tool_calls","message":{"content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":"}}]}}]}"#;
    let (bad, good) = (Fake::always([answer(200, "", broken)]).await, Fake::always([completion("hi")]).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    assert_eq!(ask(&app, BODY).await.header("x-vx11-provider"), "b");
}

#[tokio::test]
async fn errors_have_anthropics_shape() {
    let refusing = Fake::start(|number| vec![error([400, 404, 429, 503][number % 4], "retry-after: 7\r\n")]).await;
    let app = App::in_front_of(&[&refusing.url], &[]).await;
    for (status, kind) in
        [(400, "invalid_request_error"), (404, "not_found_error"), (429, "rate_limit_error"), (503, "overloaded_error")]
    {
        let got = ask(&app, BODY).await;
        let expected = json!({"type": "error", "error": {"type": kind, "message": format!("provider says {status}")}});
        assert_eq!((got.status, got.json(), got.header("retry-after")), (status, expected, "7"));
    }
    for (body, status, kind, named) in [
        ("{", 400, "invalid_request_error", "cannot be read"),
        (r#"{"messages":[]}"#, 400, "invalid_request_error", "model"),
        (r#"{"model":"m"}"#, 400, "invalid_request_error", "messages"),
        (r#"{"model":"m","messages":[]}"#, 400, "invalid_request_error", "max_tokens"),
        (r#"{"model":"gpt-9","messages":[],"max_tokens":1}"#, 404, "not_found_error", "gpt-9"),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"search_result"}]}]}"#,
            400,
            "invalid_request_error",
            "messages[0].content[0].type",
        ),
    ] {
        let fake = Fake::always([completion("hi")]).await;
        let got = ask(&App::in_front_of(&[&fake.url], &[]).await, body).await;
        let error = &got.json()["error"];
        assert_eq!((got.status, error["type"].as_str()), (status, Some(kind)), "{body}: {}", got.body);
        assert!(error["message"].as_str().unwrap().contains(named), "{}", got.body);
        assert!(fake.requests().is_empty(), "{body}");
    }
}

#[tokio::test]
async fn every_answer_names_its_request_as_anthropics_clients_look_for_it() {
    let whole = r#"{"id":"msg_1","type":"message","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":3,"output_tokens":2}}"#;
    let named = Fake::always([answer(200, "request-id: req-9\r\n", whole)]).await;
    let got = ask(&App::in_front_of(&[&named.url], &[ANTHROPIC]).await, BODY).await;
    assert_eq!((got.header("request-id"), got.header("x-request-id")), ("req-9", "req-9"));
    let nameless = Fake::start(|number| vec![if number == 0 { answer(200, "", whole) } else { error(503, "") }]).await;
    let app = App::in_front_of(&[&nameless.url], &[ANTHROPIC]).await;
    for body in [BODY, BODY, "{"] {
        let got = ask(&app, body).await;
        let id = got.header("x-correlation-id");
        assert!(!id.is_empty());
        assert_eq!((got.header("request-id"), got.header("x-request-id")), (id, id), "{}", got.body);
    }
}

#[tokio::test]
async fn azures_first_chunk_is_no_part_of_the_answer() {
    let mock = crate::app::mock_provider();
    let url = mock.url("");
    let azure = [
        ("VX11_SWITCH__PROVIDERS__AZURE__KIND", "azure-openai"),
        ("VX11_SWITCH__PROVIDERS__AZURE__BASE_URL", url.as_str()),
        ("VX11_SWITCH__PROVIDERS__AZURE__MODELS", r#"["mock"]"#),
    ];
    let app = App::start(&azure).await;
    let messages = json!([{"role": "user", "content": "echo: hi"}]);
    let body = json!({"model": "azure/mock", "max_tokens": 9, "stream": true, "messages": messages});
    let first = |got: &Answer| serde_json::from_str::<Value>(got.events()[0]).unwrap();
    let got = ask(&app, &body.to_string()).await;
    let message = &first(&got)["message"];
    assert!(message["id"].as_str().is_some_and(|id| id.starts_with("msg_chatcmpl-")), "{}", got.body);
    assert_eq!(message["model"], "mock");

    let got = Answer::of(app.post("/v1/chat/completions", body.to_string())).await;
    assert_eq!(first(&got)["prompt_filter_results"].as_array().map(Vec::len), Some(1), "it is passed on");
    let ids: Vec<String> = got.events()[..got.events().len() - 1]
        .iter()
        .map(|data| serde_json::from_str::<Value>(data).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(ids[0].starts_with("chatcmpl-") && ids.iter().all(|id| *id == ids[0]), "{}", got.body);

    let body = json!({"model": "azure/mock", "stream": true, "input": "echo: hi"});
    let got = Answer::of(app.post("/v1/responses", body.to_string())).await;
    assert_eq!((&first(&got)["type"], &first(&got)["response"]["model"]), (&json!("response.created"), &json!("mock")));
}

#[tokio::test]
async fn the_key_may_come_as_anthropics_clients_send_it() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let with_key = |key: &'static str| Answer::of(app.stranger("/v1/messages").body(BODY).header("x-api-key", key));
    assert_eq!(with_key("test").await.status, 200);
    assert!(!fake.requests()[0].to_lowercase().contains("x-api-key"), "our token is not theirs");
    let got = with_key("wrong").await;
    assert_eq!((got.status, got.json()["error"]["type"].as_str()), (401, Some("authentication_error")));
    let got = Answer::of(app.stranger("/v1/messages").body(BODY)).await;
    assert_eq!((got.status, got.json()["type"].as_str()), (401, Some("error")));
}

#[tokio::test]
async fn tokens_are_counted_by_the_provider_or_estimated() {
    let count = async |app: &App| {
        let got =
            Answer::of(app.post(
                "/v1/messages/count_tokens",
                r#"{"model":"m","messages":[{"role":"user","content":"hello you"}]}"#,
            ))
            .await;
        (got.status, got.json())
    };
    let counting = Fake::always([answer(200, "", r#"{"input_tokens":42}"#)]).await;
    let app = App::in_front_of(&[&counting.url], &[ANTHROPIC]).await;
    assert_eq!(count(&app).await, (200, json!({"input_tokens": 42})));
    assert!(counting.requests()[0].starts_with("POST /v1/messages/count_tokens "));
    assert!(counting.requests()[0].ends_with(r#"{"model":"m-a","messages":[{"role":"user","content":"hello you"}]}"#));

    let failing = Fake::always([error(500, "")]).await;
    let app = App::in_front_of(&[&failing.url], &[ANTHROPIC]).await;
    let (status, body) = count(&app).await;
    assert!(status == 200 && body["input_tokens"].as_u64().is_some_and(|tokens| tokens > 1), "{body}");

    let unasked = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&unasked.url], &[]).await;
    assert_eq!((count(&app).await.0, unasked.requests().len()), (200, 0));

    let refusing = Fake::always([error(400, "")]).await;
    let app = App::in_front_of(&[&refusing.url], &[ANTHROPIC]).await;
    let (status, body) = count(&app).await;
    assert_eq!((status, body["error"]["type"].as_str()), (400, Some("invalid_request_error")));
}

#[tokio::test]
async fn a_character_that_a_provider_cuts_in_two_arrives_whole() {
    let acts = [stream_head(), chunk(r"Hi \ud83d"), chunk(r"\ude00"), chunk(r"\ud83d"), event(STOP), event("[DONE]")];
    let fake = Fake::always(acts).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = ask(&app, STREAM).await;
    let data: Vec<Value> = got.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let text: String = data.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, "Hi 😀\u{fffd}", "{}", got.body);
    assert_eq!(names(&got).last(), Some(&"message_stop"), "{}", got.body);

    let fake = Fake::always([completion(r"Hi \ud83d")]).await;
    let got = ask(&App::in_front_of(&[&fake.url], &[]).await, BODY).await;
    assert_eq!(got.json()["content"][0]["text"], "Hi \u{fffd}", "a whole answer that was cut off");
}

#[tokio::test]
async fn a_call_that_the_callers_own_limit_cuts_off_is_an_answer_and_paid() {
    let cut = |reason: &str| {
        let call = json!({"id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"x\":"}});
        let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
        let choice = json!({"index": 0, "message": message, "finish_reason": reason});
        answer(200, "", &json!({"id": "c1", "model": "m", "choices": [choice], "usage": usage}).to_string())
    };
    let body = r#"{"model":"m","max_tokens":2,"messages":[{"role":"user","content":"x"}]}"#;
    let limited = Fake::always([cut("length")]).await;
    let app = App::in_front_of(&[&limited.url], &[]).await;
    let got = Answer::of(app.post("/v1/messages", body)).await;
    let message = got.json();
    assert_eq!((got.status, &message["stop_reason"]), (200, &json!("max_tokens")), "{}", got.body);
    assert_eq!(message["content"][0], json!({"type": "tool_use", "id": "t", "name": "f", "input": {}}));

    // A model that writes no JSON is the caller's bad luck: it is paid for, and says nothing about the provider.
    let wrong = Fake::always([cut("tool_calls")]).await;
    let app = App::in_front_of(&[&wrong.url], &[]).await;
    for _ in 0..4 {
        assert_eq!(Answer::of(app.post("/v1/messages", body)).await.status, 502);
    }
    assert_eq!((wrong.requests().len(), app.provider("a").await["breaker"]["failure_count"].as_u64()), (4, Some(0)));
    assert_eq!(app.metric(r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#).await, 8.0);
    assert_eq!(app.metric(r#"vx11_estimated_calls_total{model="m-a",provider="a"}"#).await, 0.0);
}
