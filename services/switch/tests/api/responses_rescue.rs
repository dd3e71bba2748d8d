//! A stream of responses that its provider writes itself, and that breaks: another target's words follow in the same
//! response, from the very place where it broke off.

use serde_json::{Value, json};

use crate::app::{Answer, App, mock_provider};
use crate::fake::{Act, Fake, STOP, USAGE, chunk, event, stream_head};
use crate::rescue::{asked, idle, rescues};

/// Provider `a` has Responses.
const SPEAKS: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__RESPONSES", "true");
const BODY: &str = r#"{"model":"m","input":"Hi","stream":true}"#;

/// These events of a provider's, numbered and spaced as no library would.
fn native(events: &[Value]) -> Vec<String> {
    let written = |(number, event): (usize, &Value)| {
        let (mut event, name) = (event.clone(), event["type"].as_str().unwrap());
        event["sequence_number"] = number.into();
        format!("event: {name}\ndata:  {event}\n\n")
    };
    events.iter().enumerate().map(written).collect()
}

/// What the provider says, and then does `end`.
fn says(events: &[Value], end: Vec<Act>) -> Vec<Act> {
    std::iter::once(stream_head()).chain(native(events).into_iter().map(Act::Say)).chain(end).collect()
}

/// What a provider that only chats says.
fn chats(pieces: &[&str]) -> Vec<Act> {
    let pieces = pieces.iter().map(|piece| chunk(piece));
    std::iter::once(stream_head()).chain(pieces).chain([STOP, USAGE, "[DONE]"].map(event)).collect()
}

fn begun() -> Vec<Value> {
    let response = json!({"id": "resp_1", "object": "response", "created_at": 7, "status": "in_progress", "model": "gpt",
        "store": true, "what_is_new": [1], "output": [], "usage": null});
    let event = |name: &str| json!({"type": name, "response": response});
    vec![event("response.created"), event("response.in_progress")]
}

/// An event of the item at this place.
fn of(index: u64, name: &str, mut more: Value) -> Value {
    more["type"] = format!("response.{name}").into();
    more["output_index"] = index.into();
    more
}

/// A message at this place of these texts, each in its pieces, from its beginning to its end.
fn message(index: u64, texts: &[&[&str]]) -> Vec<Value> {
    let id = format!("msg_{index}");
    let item = |status: &str, content: Value| {
        json!({"item": {"type": "message", "id": id, "status": status, "role": "assistant", "phase": "final",
            "content": content}})
    };
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let mut events = vec![of(index, "output_item.added", item("in_progress", json!([])))];
    for (place, pieces) in texts.iter().enumerate() {
        let at = |name: &str, field: &str, value: Value| {
            of(index, name, json!({"item_id": id, "content_index": place, field: value}))
        };
        events.push(at("content_part.added", "part", part("")));
        events.extend(pieces.iter().map(|piece| at("output_text.delta", "delta", json!(piece))));
        events.push(at("output_text.done", "text", json!(pieces.concat())));
        events.push(at("content_part.done", "part", part(&pieces.concat())));
    }
    let content = texts.iter().map(|pieces| part(&pieces.concat())).collect();
    events.push(of(index, "output_item.done", item("completed", content)));
    events
}

/// A thought at this place whose summary is told in these pieces.
fn thought(index: u64, pieces: &[&str]) -> Vec<Value> {
    let id = format!("rs_{index}");
    let at = |name: &str, field: &str, value: Value| {
        of(index, name, json!({"item_id": id, "summary_index": 0, field: value}))
    };
    let part = |text: &str| json!({"type": "summary_text", "text": text});
    let item = |summary: Value, sealed: &str| json!({"item": {"type": "reasoning", "id": id, "summary": summary, "encrypted_content": sealed}});
    let mut events = vec![of(index, "output_item.added", item(json!([]), ""))];
    events.push(at("reasoning_summary_part.added", "part", part("")));
    events.extend(pieces.iter().map(|piece| at("reasoning_summary_text.delta", "delta", json!(piece))));
    events.push(at("reasoning_summary_text.done", "text", json!(pieces.concat())));
    events.push(at("reasoning_summary_part.done", "part", part(&pieces.concat())));
    events.push(of(index, "output_item.done", item(json!([part(&pieces.concat())]), "sealed")));
    events
}

/// The first events of a message, up to and with this many deltas of its text.
fn message_until(deltas: usize, pieces: &[&str]) -> Vec<Value> {
    [begun(), message(0, &[pieces])[..2 + deltas].to_vec()].concat()
}

async fn app(providers: &[&Fake], more: &[(&str, &str)]) -> App {
    let urls: Vec<&str> = providers.iter().map(|fake| fake.url.as_str()).collect();
    App::in_front_of(&urls, &[&[SPEAKS], more].concat()).await
}

async fn ask(app: &App) -> Answer {
    Answer::of(app.post("/v1/responses", BODY)).await
}

fn events(got: &Answer) -> Vec<Value> {
    got.events().iter().map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("{data}"))).collect()
}

/// The response that a client puts together out of the events, once every event was found to be where it belongs: in an
/// open part of an open item, numbered without a gap, and one of them the last.
fn put_together(got: &Answer, why: &str) -> Value {
    assert_eq!((got.status, got.header("content-type")), (200, "text/event-stream"), "{why}: {}", got.body);
    let events = events(got);
    let numbers: Vec<_> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert!(numbers.iter().copied().eq(0..events.len() as u64), "{why}: {}", got.body);
    let (last, before) = events.split_last().unwrap();
    let id = &events[0]["response"]["id"];
    let (mut items, mut open) = (Vec::<Value>::new(), Vec::<Vec<&str>>::new());
    for event in before {
        let wrong = || format!("{why}: {event} in {}", got.body);
        let name = event["type"].as_str().unwrap().strip_prefix("response.").unwrap_or_else(|| panic!("{}", wrong()));
        if matches!(name, "created" | "in_progress") {
            assert_eq!((&event["response"]["id"], items.len()), (id, 0), "{}", wrong());
            continue;
        }
        let index = event["output_index"].as_u64().unwrap() as usize;
        if name == "output_item.added" {
            assert_eq!(index, items.len(), "{}", wrong());
            items.push(event["item"].clone());
            open.push(vec!["item"]);
            continue;
        }
        let (item, open) = (&mut items[index], &mut open[index]);
        if name == "output_item.done" {
            let is_half = event["item"]["status"] == "incomplete";
            assert!(*open == ["item"] || (is_half && open.first() == Some(&"item")), "{}", wrong());
            for list in ["content", "summary"] {
                assert_eq!(item[list], event["item"][list], "{}", wrong());
            }
            (*item, *open) = (event["item"].clone(), vec![]);
            continue;
        }
        assert_eq!(item["id"], event["item_id"], "{}", wrong());
        let (list, place) = match name.starts_with("reasoning_summary") {
            true => ("summary", &event["summary_index"]),
            false => ("content", &event["content_index"]),
        };
        let parts = item[list].as_array_mut().unwrap();
        let place = place.as_u64().unwrap() as usize;
        match name.rsplit_once('.').unwrap() {
            (_, "added") => {
                assert_eq!((place, &**open), (parts.len(), &["item"][..]), "{}", wrong());
                parts.push(event["part"].clone());
                open.push("part");
            }
            (_, "delta") => {
                assert_eq!((place, &**open), (parts.len() - 1, &["item", "part"][..]), "{}", wrong());
                let text = parts[place]["text"].as_str().unwrap().to_owned() + event["delta"].as_str().unwrap();
                parts[place]["text"] = text.into();
                if let Some(Value::Array(told)) = parts[place].get_mut("logprobs") {
                    told.extend(event["logprobs"].as_array().into_iter().flatten().cloned());
                }
            }
            ("content_part" | "reasoning_summary_part", _) => {
                assert_eq!((&parts[place], &**open), (&event["part"], &["item", "part", "said"][..]), "{}", wrong());
                open.truncate(1);
            }
            _ => {
                assert_eq!((&parts[place]["text"], &**open), (&event["text"], &["item", "part"][..]), "{}", wrong());
                open.push("said");
            }
        }
    }
    let response = &last["response"];
    assert_eq!((&last["type"], &response["id"]), (&json!("response.completed"), id), "{why}: {}", got.body);
    assert_eq!((&response["status"], &response["error"]), (&json!("completed"), &Value::Null), "{why}: {}", got.body);
    assert!(open.iter().all(Vec::is_empty), "{why}: {}", got.body);
    assert_eq!(response["output"], Value::from(items), "{why}: {}", got.body);
    response.clone()
}

/// All that a response says.
fn text(response: &Value) -> String {
    let messages = response["output"].as_array().unwrap().iter().filter(|item| item["type"] == "message");
    let parts = messages.flat_map(|item| item["content"].as_array().unwrap());
    parts.map(|part| part["text"].as_str().unwrap()).collect()
}

/// An honest end: what came stands, and the last event says that this was not all.
fn assert_failed(got: &Answer, came: &[Value], why: &str) {
    let (passed, last) = (native(came).concat(), events(got).pop().unwrap());
    assert!(got.status == 200 && got.body.starts_with(&passed), "{why}: {}", got.body);
    assert_eq!(
        (&last["type"], &last["response"]["id"]),
        (&json!("response.failed"), &json!("resp_1")),
        "{why}: {last}"
    );
    assert_eq!(last["response"]["status"], "failed", "{why}: {last}");
    assert!(!got.body.contains("response.completed"), "{why}: {}", got.body);
}

/// Every way to break such a stream.
fn breaks() -> Vec<(&'static str, Vec<Act>)> {
    let error = json!({"type": "error", "code": "server_error", "message": "no", "param": null});
    let failed = json!({"type": "response.failed", "response": {"id": "resp_1", "status": "failed",
        "error": {"code": "server_error", "message": "no"}}});
    vec![
        ("stream_cut", vec![]),
        ("stream_cut", vec![Act::Reset]),
        ("stream_cut", vec![Act::Say("event: response.output_text.delta\ndata: {\"type".to_owned())]),
        ("stalled", vec![Act::Wait]),
        ("invalid_answer", vec![event("{\"oops"), event("{\"again")]),
        ("invalid_answer", vec![Act::Say(format!("event: error\ndata: {error}\n\n"))]),
        ("stream_cut", vec![Act::Say(format!("event: response.failed\ndata: {failed}\n\n"))]),
    ]
}

#[tokio::test]
async fn a_target_that_only_chats_goes_on_in_the_same_item_whatever_the_break() {
    for (outcome, end) in breaks() {
        let came = message_until(2, &["Hel", "lo "]);
        let bad = Fake::always(says(&came, end)).await;
        let good = Fake::always(chats(&["He", "llo y", "ou"])).await;
        let app = app(&[&bad, &good], &[idle(outcome)]).await;
        let got = ask(&app).await;
        assert!(got.body.starts_with(&native(&came).concat()), "{outcome}: {}", got.body);
        let response = put_together(&got, outcome);
        let part = json!({"type": "output_text", "text": "Hello you", "annotations": [], "logprobs": []});
        let item = json!({"type": "message", "id": "msg_0", "status": "completed", "role": "assistant",
            "phase": "final", "content": [part]});
        assert_eq!(response["output"], json!([item]), "{outcome}");
        assert_eq!((&response["model"], &response["what_is_new"]), (&json!("real-model"), &json!([1])), "{outcome}");
        assert_eq!((&response["created_at"], &response["store"]), (&json!(7), &json!(false)), "{outcome}");
        assert!(response["completed_at"].is_u64(), "{response}");
        let usage = &response["usage"];
        assert_eq!((&usage["output_tokens"], &usage["cost"]), (&json!(2 + 2), &json!(0)), "of both: {usage}");
        assert!(usage["input_tokens"].as_u64() > Some(3), "of both: {usage}");
        assert_eq!(got.header("x-vx11-provider"), "a", "the head was sent before it broke");
        assert_eq!((bad.requests().len(), good.requests().len()), (1, 1), "{outcome}");
        assert!(good.requests()[0].starts_with("POST /v1/chat/completions "), "{outcome}");
        let messages = json!([{"role": "user", "content": "Hi"}]);
        assert_eq!(asked(&good, 0)["messages"], messages, "{outcome}");
        app.wait_for_metric("vx11_streams_active", 0.0).await;
        let failed = format!(r#"vx11_provider_requests_total{{model="m-a",outcome="{outcome}",provider="a"}}"#);
        for (series, value) in [
            (failed.as_str(), 1.0),
            (r#"vx11_provider_requests_total{model="m-b",outcome="success",provider="b"}"#, 1.0),
            (r#"vx11_stream_rescues_total{outcome="spliced"}"#, 1.0),
        ] {
            assert_eq!(app.metric(series).await, value, "{outcome}: {series}");
        }
    }
}

#[tokio::test]
async fn wherever_it_is_cut_the_rest_follows_there() {
    let whole = [begun(), thought(0, &["hm", " hm"]), message(1, &[&["Hel", "lo "], &["you"]]), message(2, &[&["!"]])];
    let whole = whole.concat();
    let first = whole.iter().position(|event| event["type"] == "response.reasoning_summary_text.delta").unwrap();
    for cut in first + 1..=whole.len() {
        let why = format!("after {} ({cut})", whole[cut - 1]);
        let bad = Fake::always(says(&whole[..cut], vec![])).await;
        let good = Fake::always(chats(&["Hello", " you!"])).await;
        let got = ask(&app(&[&bad, &good], &[]).await).await;
        assert!(got.body.starts_with(&native(&whole[..cut]).concat()), "{why}: {}", got.body);
        let response = put_together(&got, &why);
        assert_eq!(text(&response), "Hello you!", "{why}");
        let thought = &response["output"][0];
        let is_whole = whole[..cut].iter().any(|event| event["item"]["encrypted_content"] == "sealed");
        let (sealed, status) = if is_whole { ("sealed", Value::Null) } else { ("", json!("incomplete")) };
        assert_eq!((&thought["encrypted_content"], &thought["status"]), (&json!(sealed), &status), "{why}");
    }
}

#[tokio::test]
async fn half_a_call_is_never_followed() {
    let call = json!({"type": "function_call", "id": "fc_0", "call_id": "c", "name": "f", "arguments": ""});
    let added = of(0, "output_item.added", json!({"item": call}));
    let half = of(0, "function_call_arguments.delta", json!({"item_id": "fc_0", "delta": "{\"x\""}));
    let unknown = of(0, "what_is_new.delta", json!({"delta": "x"}));
    for came in [vec![added.clone()], vec![added, half], vec![message(0, &[&["x"]])[0].clone(), unknown]] {
        let came = [begun(), came].concat();
        let bad = Fake::always(says(&came, vec![Act::Reset])).await;
        let other = Fake::always(chats(&["x"])).await;
        let got = ask(&app(&[&bad, &other], &[]).await).await;
        assert_failed(&got, &came, "a call or something without words");
        assert!(other.requests().is_empty(), "nobody else is asked: {}", got.body);
    }
}

#[tokio::test]
async fn who_wants_no_fallback_or_leans_on_what_is_kept_has_an_honest_end() {
    let came = message_until(1, &["Hel"]);
    let leans = r#"{"model":"m","input":"Hi","previous_response_id":"resp_0","stream":true}"#;
    for (body, fallback) in [(BODY, "off"), (leans, "on")] {
        for (outcome, end) in [("stream_cut", Act::Reset), ("stalled", Act::Wait)] {
            let bad = Fake::always(says(&came, vec![end])).await;
            let other = Fake::always(chats(&["Hello"])).await;
            let app = app(&[&bad, &other], &[idle(outcome), ("VX11_SWITCH__RETRIES__ATTEMPTS", "2")]).await;
            let got = Answer::of(app.post("/v1/responses", body).header("x-vx11-fallback", fallback)).await;
            assert_failed(&got, &came, outcome);
            assert_eq!((bad.requests().len(), other.requests().len()), (1, 0), "{outcome}");
        }
    }
}

#[tokio::test]
async fn a_target_that_has_responses_too_is_asked_for_a_chat() {
    let bad = Fake::always(says(&message_until(1, &["Hel"]), vec![Act::Reset])).await;
    let good = Fake::always(chats(&["lo"])).await;
    let more = [("VX11_SWITCH__PROVIDERS__B__RESPONSES", "true"), ("VX11_SWITCH__PROVIDERS__B__PREFILL", "true")];
    let got = ask(&app(&[&bad, &good], &more).await).await;
    assert_eq!(text(&put_together(&got, "prefill")), "Hello");
    assert!(good.requests()[0].starts_with("POST /v1/chat/completions "));
    let messages = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hel"}]);
    assert_eq!(asked(&good, 0)["messages"], messages);
}

#[tokio::test]
async fn with_no_other_target_the_one_that_was_cut_is_asked_again_for_a_chat() {
    let came = message_until(1, &["Hel"]);
    let fake = Fake::start(move |number| match number {
        0 => says(&came, vec![Act::Reset]),
        _ => chats(&["Hello"]),
    });
    let fake = fake.await;
    let app = app(&[&fake], &[("VX11_SWITCH__RETRIES__ATTEMPTS", "1")]).await;
    let got = ask(&app).await;
    assert_eq!(text(&put_together(&got, "again")), "Hello");
    assert_eq!(fake.requests().len(), 2);
    assert_eq!(rescues(&app, "spliced").await, 1.0);
}

#[tokio::test]
async fn another_answer_is_told_to_go_on_or_not_sent() {
    let came = message_until(1, &["Hel"]);
    for policy in ["continue", "error"] {
        let bad = Fake::always(says(&came, vec![Act::Reset])).await;
        let good = Fake::start(|number| chats(&[["Good day", "lo"][number.min(1)]])).await;
        let app = app(&[&bad, &good], &[("VX11_SWITCH__MODELS__M__ON_DIVERGENCE", policy)]).await;
        let got = ask(&app).await;
        match policy {
            "continue" => assert_eq!(text(&put_together(&got, policy)), "Hello"),
            _ => assert_failed(&got, &came, policy),
        }
        assert!(!got.body.contains("Good"), "{policy}: {}", got.body);
    }
}

#[tokio::test]
async fn who_goes_on_may_break_too_and_the_end_is_told_once() {
    let came = message_until(1, &["Hel"]);
    let bad = Fake::always(says(&came, vec![Act::Reset])).await;
    let worse = Fake::always([stream_head(), chunk("Hello "), Act::Reset].to_vec()).await;
    for good in [true, false] {
        let last = if good { chats(&["Hello you"]) } else { vec![Act::Reset] };
        let last = Fake::always(last).await;
        let got = ask(&app(&[&bad, &worse, &last], &[]).await).await;
        if good {
            assert_eq!(text(&put_together(&got, "twice")), "Hello you");
            continue;
        }
        assert_failed(&got, &came, "nobody is left");
        let numbers: Vec<_> = events(&got).iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{}", got.body);
        let output = &events(&got).pop().unwrap()["response"]["output"];
        let told = (&output[0]["id"], &output[0]["status"], &output[0]["content"][0]["text"]);
        assert_eq!(told, (&json!("msg_0"), &json!("incomplete"), &json!("Hello ")), "{output}");
    }
}

#[tokio::test]
async fn probabilities_stay_with_their_tokens() {
    let mut came = message_until(1, &["Hel"]);
    came[4]["logprobs"] = json!([{"token": "Hel", "logprob": -0.5, "top_logprobs": []}]);
    let token = |token: &str| {
        let logprobs = json!({"content": [{"token": token, "logprob": -0.25, "top_logprobs": []}]});
        event(
            &json!({"id": "c1", "choices": [{"index": 0, "delta": {"content": token}, "logprobs": logprobs}]})
                .to_string(),
        )
    };
    for (second, fits) in [(["Hel", "lo"], true), (["Hell", "o"], false)] {
        let bad = Fake::always(says(&came, vec![Act::Reset])).await;
        let tokens = second.iter().map(|one| token(one));
        let good: Vec<_> = std::iter::once(stream_head()).chain(tokens).chain([STOP, "[DONE]"].map(event)).collect();
        let good = Fake::always(good).await;
        let got = ask(&app(&[&bad, &good], &[]).await).await;
        if !fits {
            assert_failed(&got, &came, "a token was cut");
            continue;
        }
        let response = put_together(&got, "tokens");
        let tokens = response["output"][0]["content"][0]["logprobs"].as_array().unwrap();
        let tokens: Vec<_> = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
        assert_eq!((tokens.concat(), tokens), ("Hello".to_owned(), vec!["Hel", "lo"]));
    }
}

#[tokio::test]
async fn what_nothing_can_follow_on_has_an_honest_end() {
    let mut nameless = message_until(1, &["Hel"]);
    nameless[2]["item"]["id"].take();
    let out_of_nothing = [begun(), vec![of(0, "output_text.delta", json!({"delta": "Hel"}))]].concat();
    for came in [nameless, out_of_nothing] {
        let bad = Fake::always(says(&came, vec![Act::Reset])).await;
        let other = Fake::always(chats(&["Hello"])).await;
        let app = app(&[&bad, &other], &[]).await;
        assert_failed(&ask(&app).await, &came, "it is not known where the text is");
        app.wait_for_metric("vx11_streams_active", 0.0).await;
        assert_eq!(app.provider("b").await["breaker"]["failure_count"], 0, "that is not its fault");
    }
}

#[tokio::test]
async fn the_mock_providers_faults_are_mended() {
    let mock = mock_provider();
    let url = mock.url("/v1");
    let faults = ["latency=0ms", "cut=2", "stall=2", "garbled=2", "error_frame=2", "malformed=2", "no_done", "cut=14"];
    let target = |fault: &str| format!(r#"["a/mock+{fault}","b/mock"]"#);
    let models = faults.iter().enumerate();
    let models = models.map(|(number, fault)| (format!("VX11_SWITCH__MODELS__M{number}__TARGETS"), target(fault)));
    let models: Vec<(String, String)> = models.collect();
    let mut variables = vec![
        SPEAKS,
        ("VX11_SWITCH__RETRIES__ATTEMPTS", "0"),
        ("VX11_SWITCH__USE_CIRCUIT_BREAKERS", "false"),
        ("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", "500ms"),
        ("VX11_SWITCH__PROVIDERS__A__BASE_URL", &url),
        ("VX11_SWITCH__PROVIDERS__A__MODELS", r#"["mock*", "mock"]"#),
        ("VX11_SWITCH__PROVIDERS__B__BASE_URL", &url),
        ("VX11_SWITCH__PROVIDERS__B__MODELS", r#"["mock"]"#),
    ];
    variables.extend(models.iter().map(|(name, targets)| (&**name, &**targets)));
    let app = App::start(&variables).await;
    for thinks in ["none", "low"] {
        let mut told = Vec::new();
        for (number, fault) in faults.iter().enumerate() {
            let reasoning = json!({"effort": thinks});
            let body = json!({"model": format!("m{number}"), "input": "hello", "reasoning": reasoning, "stream": true});
            let got = Answer::of(app.post("/v1/responses", body.to_string())).await;
            told.push(text(&put_together(&got, &format!("{fault}, thinks: {thinks}"))));
        }
        assert!(told[0].split(' ').count() > 2, "{}", told[0]);
        // What is malformed is left out, and what was in it.
        let all = told.iter().zip(faults).filter(|(_, fault)| !fault.starts_with("malformed"));
        assert!(all.into_iter().all(|(text, _)| *text == told[0]), "{told:?}");
    }
}
