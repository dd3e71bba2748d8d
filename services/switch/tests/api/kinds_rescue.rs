//! Streams that break at a provider of one kind and are finished by one of another, for callers of either wire.

use serde_json::{Value, json};
use vx11_testing::Running;

use crate::app::{Answer, App, mock_provider};
use crate::fake::{Act, Fake, STOP, USAGE, chunk, error, event, stream_head, whole_stream};

const A_KIND: &str = "VX11_SWITCH__PROVIDERS__A__KIND";
const B_KIND: &str = "VX11_SWITCH__PROVIDERS__B__KIND";
const CLAUDE_A: (&str, &str) = (A_KIND, "anthropic");
const CLAUDE_B: (&str, &str) = (B_KIND, "anthropic");
const GEMINI_A: (&str, &str) = (A_KIND, "gemini");
const GEMINI_B: (&str, &str) = (B_KIND, "gemini");
const AZURE_A: (&str, &str) = (A_KIND, "azure-openai");
const AZURE_B: (&str, &str) = (B_KIND, "azure-openai");
const PREFILL: (&str, &str) = ("VX11_SWITCH__PROVIDERS__B__PREFILL", "true");

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
/// A request that either wire understands.
const BODY: &str = r#"{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hello"}],"stream":true}"#;

/// One event of Anthropic's, under its name.
fn named(data: &Value) -> Act {
    Act::Say(format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()))
}

/// A stream of Anthropic's that says these pieces, and then does `end`.
fn claude_says(pieces: &[&str], end: Vec<Act>) -> Vec<Act> {
    let usage = json!({"input_tokens": 3, "output_tokens": 1});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": usage});
    let begun = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
    ];
    let says = |piece: &&str| {
        named(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}))
    };
    [stream_head()].into_iter().chain(begun.iter().map(named)).chain(pieces.iter().map(says)).chain(end).collect()
}

/// How a whole stream of Anthropic's ends.
fn claude_ends() -> Vec<Act> {
    let events = [
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ];
    events.iter().map(named).collect()
}

/// A stream of Gemini's that says these pieces, the last one with the end where it has one.
fn gemini_says(pieces: &[&str], is_whole: bool) -> Vec<Act> {
    let last = pieces.len() - 1;
    let partial = |(number, piece): (usize, &&str)| {
        let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": [{"text": piece}]}});
        if is_whole && number == last {
            candidate["finishReason"] = "STOP".into();
        }
        let usage = json!({"promptTokenCount": 3, "candidatesTokenCount": number + 1});
        event(
            &json!({"responseId": "r1", "modelVersion": "gemini", "candidates": [candidate], "usageMetadata": usage})
                .to_string(),
        )
    };
    [stream_head()].into_iter().chain(pieces.iter().enumerate().map(partial)).collect()
}

fn openai_says(pieces: &[&str], end: Vec<Act>) -> Vec<Act> {
    [stream_head()].into_iter().chain(pieces.iter().map(|piece| chunk(piece))).chain(end).collect()
}

fn openai_ends() -> Vec<Act> {
    vec![event(STOP), event(USAGE), event("[DONE]")]
}

/// The events of a stream, `[DONE]` left out.
fn events(got: &Answer) -> Vec<Value> {
    let data = got.events();
    let events = data.iter().filter(|data| **data != "[DONE]");
    events.map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("{data}"))).collect()
}

/// What a stream says in all, once it was found to be one whole answer of its wire.
fn whole(path: &str, got: &Answer, why: &str) -> String {
    assert_eq!((got.status, got.header("content-type")), (200, "text/event-stream"), "{why}: {}", got.body);
    match path {
        MESSAGES => whole_message(got, why),
        _ => whole_completion(got, why),
    }
}

fn whole_completion(got: &Answer, why: &str) -> String {
    let chunks = events(got);
    assert_eq!(got.body.matches("[DONE]").count(), 1, "{why}: {}", got.body);
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["error"].is_null()), "{}", got.body);
    let ends = chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"].is_string()).count();
    assert_eq!(ends, 1, "{why}: {}", got.body);
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

fn whole_message(got: &Answer, why: &str) -> String {
    let events = events(got);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().expect(why)).collect();
    let count = |kind: &str| kinds.iter().filter(|known| **known == kind).count();
    assert_eq!((kinds[0], count("message_start")), ("message_start", 1), "{why}: {}", got.body);
    assert_eq!((count("message_delta"), count("error")), (1, 0), "{why}: {}", got.body);
    assert_eq!(&kinds[kinds.len() - 2..], ["message_delta", "message_stop"], "{why}: {}", got.body);
    let mut open = None;
    let mut blocks = 0;
    for event in &events {
        let index = event["index"].as_u64();
        match event["type"].as_str() {
            Some("content_block_start") => {
                assert_eq!((open, index), (None, Some(blocks)), "{why}: {}", got.body);
                (open, blocks) = (index, blocks + 1);
            }
            Some("content_block_delta") => assert_eq!(open, index, "{why}: {}", got.body),
            Some("content_block_stop") => assert_eq!(open.take(), index, "{why}: {}", got.body),
            _ => {}
        }
    }
    assert_eq!(open, None, "{why}: {}", got.body);
    events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect()
}

async fn ask(app: &App, path: &str) -> Answer {
    Answer::of(app.post(path, BODY)).await
}

/// The body of the request of this number.
fn asked(fake: &Fake, number: usize) -> Value {
    serde_json::from_str(fake.requests()[number].split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn any_kind_finishes_what_any_other_began_for_callers_of_either_wire() {
    let kinds = [
        (None, "openai"),
        (Some("anthropic"), "anthropic"),
        (Some("gemini"), "gemini"),
        (Some("azure-openai"), "azure"),
    ];
    let cut = |kind: &str| match kind {
        "anthropic" => claude_says(&["Hel"], vec![]),
        "gemini" => gemini_says(&["Hel"], false),
        _ => openai_says(&["Hel"], vec![]),
    };
    let good = |kind: &str| match kind {
        "anthropic" => claude_says(&["He", "llo"], claude_ends()),
        "gemini" => gemini_says(&["He", "llo"], true),
        _ => whole_stream(),
    };
    for (first, second) in kinds.iter().flat_map(|first| kinds.iter().map(move |second| (*first, *second))) {
        let (bad, good) = (Fake::always(cut(first.1)).await, Fake::always(good(second.1)).await);
        let configured = [(A_KIND, first.0), (B_KIND, second.0)];
        let configured: Vec<_> = configured.into_iter().filter_map(|(name, kind)| Some((name, kind?))).collect();
        let app = App::in_front_of(&[&bad.url, &good.url], &configured).await;
        for path in [CHAT, MESSAGES] {
            let got = ask(&app, path).await;
            let why = format!("{} to {} at {path}", first.1, second.1);
            assert_eq!(whole(path, &got, &why), "Hello", "{why}: {}", got.body);
            let by = events(&got).into_iter().map(|mut event| event["vx11"]["provider"].take());
            assert_eq!(by.filter(|by| !by.is_null()).collect::<Vec<_>>(), ["b"], "{why}: {}", got.body);
        }
        for (series, value) in [
            (r#"vx11_provider_requests_total{model="m-a",outcome="stream_cut",provider="a"}"#, 2.0),
            (r#"vx11_estimated_calls_total{model="m-a",provider="a"}"#, 2.0),
            (r#"vx11_tokens_generated_total{model="m-b",provider="b"}"#, 4.0),
            (r#"vx11_stream_rescues_total{outcome="spliced"}"#, 2.0),
        ] {
            app.wait_for_metric(series, value).await;
        }
        app.stop().await;
    }
}

/// The wires of the mock provider: each a kind, and where its API begins.
const WIRES: [(&str, &str); 3] = [("openai", "/v1"), ("anthropic", "/v1"), ("gemini", "/v1beta")];
/// The same as the first one, at other addresses.
const AZURE: (&str, &str) = ("azure-openai", "");

/// Every wire before every wire.
fn pairs() -> impl Iterator<Item = ((&'static str, &'static str), (&'static str, &'static str))> {
    let all = WIRES.into_iter().flat_map(|first| WIRES.map(|second| (first, second)));
    all.chain([(AZURE, WIRES[1]), (WIRES[0], AZURE)])
}

/// A gateway in which `m0`, `m1`, … ask `mock` in two wires, each a kind and where its API begins; the first time with
/// the fault of that number.
async fn in_two_kinds(mock: &Running, faults: &[&str], first: (&str, &str), second: (&str, &str)) -> App {
    let model = |(number, fault): (usize, &&str)| {
        (format!("VX11_SWITCH__MODELS__M{number}__TARGETS"), format!(r#"["a/mock+{fault}","b/mock"]"#))
    };
    let models: Vec<(String, String)> = faults.iter().enumerate().map(model).collect();
    let (first_url, second_url) = (mock.url(first.1), mock.url(second.1));
    let mut variables = vec![
        ("VX11_SWITCH__RETRIES__ATTEMPTS", "0"),
        ("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", "500ms"),
        ("VX11_SWITCH__PROVIDERS__A__KIND", first.0),
        ("VX11_SWITCH__PROVIDERS__A__BASE_URL", &first_url),
        ("VX11_SWITCH__PROVIDERS__A__MODELS", r#"["mock*", "mock"]"#),
        ("VX11_SWITCH__PROVIDERS__B__KIND", second.0),
        ("VX11_SWITCH__PROVIDERS__B__BASE_URL", &second_url),
        ("VX11_SWITCH__PROVIDERS__B__MODELS", r#"["mock"]"#),
    ];
    variables.extend(models.iter().map(|(name, targets)| (&**name, &**targets)));
    App::start(&variables).await
}

#[tokio::test]
async fn the_mock_providers_faults_are_mended_across_its_wires() {
    let mock = mock_provider();
    let faults = ["latency=0ms", "cut=2", "stall=2", "error_frame=2"];
    for (first, second) in pairs() {
        let app = in_two_kinds(&mock, &faults, first, second).await;
        for path in [CHAT, MESSAGES] {
            let mut told = Vec::new();
            for (number, fault) in faults.iter().enumerate() {
                let body = BODY.replace("\"m\"", &format!("\"m{number}\""));
                let got = Answer::of(app.post(path, body)).await;
                told.push(whole(path, &got, &format!("{fault}: {} to {} at {path}", first.0, second.0)));
            }
            assert!(told[0].split(' ').count() > 2, "{}", told[0]);
            assert!(told.iter().all(|text| *text == told[0]), "{} to {} at {path}: {told:?}", first.0, second.0);
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn whole_answers_fail_over_between_kinds_too() {
    let mock = mock_provider();
    for (first, second) in pairs() {
        let app = in_two_kinds(&mock, &["status=503"], first, second).await;
        for (path, text) in [(CHAT, "/choices/0/message/content"), (MESSAGES, "/content/0/text")] {
            let got = Answer::of(app.post(path, BODY.replace("\"m\"", "\"m0\"").replace("true", "false"))).await;
            let why = format!("{} to {} at {path}: {}", first.0, second.0, got.body);
            assert_eq!(
                (got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")),
                (200, "b", "2"),
                "{why}"
            );
            assert!(got.json().pointer(text).and_then(Value::as_str).is_some_and(|text| !text.is_empty()), "{why}");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn only_targets_that_declare_it_are_given_the_text() {
    for path in [CHAT, MESSAGES] {
        for prefills in [true, false] {
            let bad = Fake::always(claude_says(&["Hel"], vec![])).await;
            let text = if prefills { "lo" } else { "Hello" };
            let good = Fake::always(claude_says(&[text], claude_ends())).await;
            let mut configured = vec![CLAUDE_A, CLAUDE_B];
            configured.extend(prefills.then_some(PREFILL));
            let app = App::in_front_of(&[&bad.url, &good.url], &configured).await;
            let got = ask(&app, path).await;
            assert_eq!(whole(path, &got, path), "Hello", "{path} {prefills}: {}", got.body);
            let sent = asked(&good, 0);
            let messages = sent["messages"].as_array().unwrap();
            let last = messages.last().unwrap();
            if prefills {
                assert_eq!((&last["role"], sent["max_tokens"].as_u64()), (&json!("assistant"), Some(49)), "{sent}");
                assert!(last["content"].to_string().contains("Hel"), "{sent}");
            } else {
                assert_eq!((messages.len(), sent["max_tokens"].as_u64()), (1, Some(50)), "{sent}");
            }
        }
    }
}

#[tokio::test]
async fn another_answer_is_told_to_go_on_in_the_words_of_its_wire() {
    for (path, kind) in [(CHAT, CLAUDE_B), (MESSAGES, CLAUDE_B), (CHAT, GEMINI_B), (MESSAGES, GEMINI_B)] {
        let bad = Fake::always(openai_says(&["Hel"], vec![])).await;
        let is_claude = kind == CLAUDE_B;
        let other = Fake::start(move |number| match (number, is_claude) {
            (0, true) => claude_says(&["Good day"], claude_ends()),
            (0, false) => gemini_says(&["Good day"], true),
            (_, true) => claude_says(&["lo"], claude_ends()),
            (_, false) => gemini_says(&["lo"], true),
        })
        .await;
        let app = App::in_front_of(&[&bad.url, &other.url], &[kind]).await;
        let got = ask(&app, path).await;
        assert_eq!(whole(path, &got, path), "Hello", "{}", got.body);
        assert!(!got.body.contains("day"), "nothing of the other answer is sent");
        let sent = asked(&other, 1);
        let said = sent[if is_claude { "messages" } else { "contents" }].as_array().unwrap();
        let roles: Vec<&str> = said.iter().map(|one| one["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", if is_claude { "assistant" } else { "model" }, "user"], "{sent}");
    }
}

#[tokio::test]
async fn a_stream_that_nobody_can_finish_ends_with_the_wires_own_error() {
    let first = [
        (claude_says(&["Hel"], vec![]), CLAUDE_A),
        (gemini_says(&["Hel"], false), GEMINI_A),
        (openai_says(&["Hel"], vec![]), AZURE_A),
    ];
    for (acts, kind) in first {
        let (bad, down) = (Fake::always(acts).await, Fake::always([error(503, "")]).await);
        let app = App::in_front_of(&[&bad.url, &down.url], &[kind, AZURE_B]).await;
        let got = ask(&app, MESSAGES).await;
        let last = events(&got).pop().unwrap();
        assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!("api_error")), "{}", got.body);
        assert!(got.body.contains("event: error\n") && !got.body.contains("message_stop"), "{}", got.body);
        let got = ask(&app, CHAT).await;
        assert_eq!(events(&got).pop().unwrap()["error"]["code"], "upstream_error", "{}", got.body);
        assert!(!got.body.contains("[DONE]"));
        app.wait_for_metric(r#"vx11_stream_rescues_total{outcome="exhausted"}"#, 2.0).await;
    }
}

#[tokio::test]
async fn a_message_that_stops_without_a_reason_was_cut() {
    for path in [CHAT, MESSAGES] {
        let bad = Fake::always(claude_says(&["Hel"], vec![named(&json!({"type": "message_stop"}))])).await;
        let good = Fake::always(claude_says(&["Hello"], claude_ends())).await;
        let app = App::in_front_of(&[&bad.url, &good.url], &[CLAUDE_A, CLAUDE_B]).await;
        let got = ask(&app, path).await;
        assert_eq!(whole(path, &got, path), "Hello", "{}", got.body);
        assert_eq!(good.requests().len(), 1, "{path}");
    }
}

#[tokio::test]
async fn half_a_call_of_one_kind_is_never_finished_by_another() {
    let call = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}});
    let begun = json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude"}});
    let half = || vec![stream_head(), named(&begun), named(&call)];
    for path in [CHAT, MESSAGES] {
        let (bad, good) = (Fake::always(half()).await, Fake::always(whole_stream()).await);
        let app = App::in_front_of(&[&bad.url, &good.url], &[CLAUDE_A]).await;
        let got = ask(&app, path).await;
        assert!(!got.body.contains("message_stop") && !got.body.contains("[DONE]"), "{}", got.body);
        assert_eq!((good.requests().len(), got.body.matches("tool_use").count() <= 1), (0, true), "{}", got.body);
        app.wait_for_metric(r#"vx11_stream_rescues_total{outcome="tool_call"}"#, 1.0).await;
    }
}

#[tokio::test]
async fn a_lone_malformed_event_is_left_out_of_any_wire() {
    let garbage = || event("{\"oops");
    for path in [CHAT, MESSAGES] {
        let mut end = vec![garbage()];
        end.extend(claude_says(&["lo"], claude_ends()).split_off(4));
        let fake = Fake::always(claude_says(&["Hel"], end)).await;
        let app = App::in_front_of(&[&fake.url], &[CLAUDE_A]).await;
        let got = ask(&app, path).await;
        assert_eq!(whole(path, &got, path), "Hello", "{}", got.body);
        assert!(!got.body.contains("oops"));

        let twice = Fake::always(claude_says(&["Hel"], vec![garbage(), garbage()])).await;
        let got = ask(&App::in_front_of(&[&twice.url], &[CLAUDE_A]).await, path).await;
        assert!(got.body.contains("error") && !got.body.contains("message_stop"), "{}", got.body);
    }
}

#[tokio::test]
async fn thoughts_that_were_passed_on_are_followed_by_the_next_kinds_text() {
    let thought = [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude"}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
    ];
    let acts: Vec<Act> = [stream_head()].into_iter().chain(thought.iter().map(named)).collect();
    let (bad, good) = (Fake::always(acts).await, Fake::always(openai_says(&["Hello"], openai_ends())).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[CLAUDE_A]).await;
    let got = ask(&app, MESSAGES).await;
    assert_eq!(whole(MESSAGES, &got, "thoughts"), "Hello");
    let blocks: Vec<Value> = events(&got)
        .into_iter()
        .filter(|event| event["type"] == "content_block_start")
        .map(|event| event["content_block"]["type"].clone())
        .collect();
    assert_eq!(blocks, ["thinking", "text"], "{}", got.body);
}
