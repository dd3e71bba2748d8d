//! `POST /v1/responses` as a stream, in front of providers that speak it: their events pass as they came, and the last
//! one always comes.

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually, mock_provider};
use crate::fake::{Act, Fake, answer, chunk, event, stream_head, whole_stream};

/// Provider `a` has Responses.
const SPEAKS: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__RESPONSES", "true");
/// Where a chat is asked for, and where a response.
const CHAT: &str = "POST /v1/chat/completions ";
const RESPONSES: &str = "POST /v1/responses ";

/// What the gateway adds: `m-a` has no price.
const COST: &str = ": x-vx11-cost-usd 0\n\n";

/// An event under its name, spaced as no library would.
fn named(data: &str) -> String {
    let name = serde_json::from_str::<Value>(data).unwrap()["type"].as_str().unwrap().to_owned();
    format!("event: {name}\ndata:  {data}\n\n")
}

fn created(instructions: &str) -> String {
    let response = format!(
        r#"{{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-5-codex","instructions":"{instructions}","output":[],"what_is_new":1.50}}"#
    );
    let one = |name: &str, number: u64| {
        named(&format!(r#"{{"type":"response.{name}","response":{response},"sequence_number":{number}}}"#))
    };
    one("created", 0) + &one("in_progress", 1)
}

fn item(number: u64, kind: &str) -> String {
    named(&format!(
        r#"{{"type":"response.output_item.added","output_index":0,"item":{{"type":"{kind}"}},"sequence_number":{number}}}"#
    ))
}

fn delta(number: u64, text: &str) -> String {
    named(&format!(
        r#"{{"type":"response.output_text.delta","output_index":0,"delta":"{text}","obfuscation":"x","sequence_number":{number}}}"#
    ))
}

/// The event that ends the response so, with what was spent.
fn end(name: &str, more: &str) -> String {
    let usage = r#"{"input_tokens":90,"input_tokens_details":{"cached_tokens":60},"output_tokens":40,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":130}"#;
    named(&format!(
        r#"{{"type":"response.{name}","response":{{"id":"resp_1","status":"{name}",{more}"usage":{usage}}},"sequence_number":9}}"#
    ))
}

/// A stream of these events.
fn stream(events: &[String]) -> Vec<Act> {
    std::iter::once(stream_head()).chain(events.iter().cloned().map(Act::Say)).collect()
}

async fn app(providers: &[&Fake], more: &[(&str, &str)]) -> App {
    let urls: Vec<&str> = providers.iter().map(|fake| fake.url.as_str()).collect();
    App::in_front_of(&urls, &[&[SPEAKS], more].concat()).await
}

async fn ask(app: &App, more: &str) -> Answer {
    Answer::of(app.post("/v1/responses", format!(r#"{{ "model":"m","input":"Hi",{more}"stream":true}}"#))).await
}

/// The payload of the last event.
fn last(got: &Answer) -> Value {
    serde_json::from_str(got.events().last().unwrap()).unwrap()
}

async fn billed(app: &App) -> Value {
    let row = async || Answer::of(app.get("/switch/usage")).await.json()["rows"][0].clone();
    eventually("the bill is written", async || row().await["requests"] == 1).await;
    row().await
}

#[tokio::test]
async fn events_pass_byte_for_byte_to_the_last_one_and_are_billed() {
    for name in ["completed", "incomplete"] {
        let events = [
            created("be brief"),
            item(2, "reasoning"),
            named(r#"{"type":"response.reasoning_summary_text.delta","delta":"hm","sequence_number":3}"#),
            ": a comment\n\n".to_owned(),
            named(r#"{"type":"response.what_is_new","x":1.50,"sequence_number":4}"#),
            delta(5, r"Hi \ud83d\ude00"),
            end(name, ""),
        ];
        let fake = Fake::always(stream(&events)).await;
        let app = app(&[&fake], &[]).await;
        let got = ask(&app, r#""previous_response_id":"resp_0","stream_options":{"include_obfuscation":true},"#).await;
        assert_eq!((got.status, got.header("content-type")), (200, "text/event-stream"));
        assert_eq!(got.body, events.concat() + COST);
        let request = fake.requests().pop().unwrap();
        let body = r#"{ "model":"m-a","input":"Hi","previous_response_id":"resp_0","stream_options":{"include_obfuscation":true},"stream":true}"#;
        assert!(request.starts_with(RESPONSES) && request.ends_with(body), "{request}");
        let row = billed(&app).await;
        assert_eq!((&row["prompt_tokens"], &row["cached_tokens"]), (&json!(90), &json!(60)), "{row}");
        assert_eq!((&row["completion_tokens"], &row["reasoning_tokens"]), (&json!(40), &json!(30)), "{row}");
        assert_eq!(row["estimated_requests"], 0);
        app.wait_for_metric(r#"vx11_provider_requests_total{model="m-a",outcome="success",provider="a"}"#, 1.0).await;
    }
}

#[tokio::test]
async fn until_something_is_said_who_only_chats_takes_over_unseen() {
    let opened = || vec![created("be brief"), item(2, "reasoning")];
    let error = r#"{"type":"error","code":"server_error","message":"no","param":null,"sequence_number":3}"#;
    let failed = end("failed", r#""error":{"code":"server_error","message":"no"},"#);
    // Each of the first two events repeats what the caller sent.
    let long = "x".repeat(100 * 1024);
    for (events, then) in [
        (vec![], Act::Reset),
        (opened(), Act::Reset),
        (vec![created(&long)], Act::Reset),
        (opened(), Act::Wait),
        (opened(), event("{")),
        ([opened(), vec![named(error)]].concat(), Act::Wait),
        ([opened(), vec![failed]].concat(), Act::Wait),
    ] {
        let why = format!("{then:?} after {} events", events.len());
        let bad = Fake::always([stream(&events), vec![then]].concat()).await;
        let good = Fake::always(whole_stream()).await;
        let app = app(&[&bad, &good], &[("VX11_SWITCH__PROVIDERS__A__TTFT_TIMEOUT", "1s")]).await;
        let got = ask(&app, "").await;
        assert_eq!((got.status, got.header("x-vx11-provider")), (200, "b"), "{why}: {}", got.body);
        let last = last(&got);
        assert_eq!(last["type"], "response.completed", "{why}: {}", got.body);
        assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Hello", "{why}");
        assert!(!got.body.contains(r#""resp_1""#), "nothing of the first: {why}");
        assert!(bad.requests()[0].starts_with(RESPONSES) && good.requests()[0].starts_with(CHAT), "{why}");
    }
}

#[tokio::test]
async fn what_a_provider_says_before_its_answer_is_told_to_who_has_no_other() {
    for (code, status) in
        [("context_length_exceeded", 400), ("rate_limit_exceeded", 429), ("server_is_overloaded", 503)]
    {
        let failed = end("failed", &format!(r#""error":{{"code":"{code}","message":"no"}},"#));
        let fake = Fake::always(stream(&[created(""), failed])).await;
        let got = ask(&app(&[&fake], &[]).await, "").await;
        assert_eq!((got.status, got.code()), (status, code), "{}", got.body);
    }
    let refused =
        r#"{"error":{"message":"no","type":"invalid_request_error","param":"include","code":"invalid_value"}}"#;
    let fake = Fake::always([answer(400, "", refused)]).await;
    let got = ask(&app(&[&fake], &[]).await, "").await;
    assert_eq!((got.status, got.body.as_str()), (400, refused));
}

#[tokio::test]
async fn a_stream_that_breaks_for_good_ends_as_a_failure_and_is_billed() {
    let error = r#"{"type":"error","code":"server_error","message":"no","param":null,"sequence_number":4}"#;
    for (then, outcome, number) in
        [(Act::Reset, "stream_cut", 4), (Act::Wait, "stalled", 4), (Act::Say(named(error)), "invalid_answer", 5)]
    {
        let events = [created("be brief"), item(2, "message"), delta(3, "Hel")];
        let fake = Fake::always([stream(&events), vec![then]].concat()).await;
        let idle = [("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", "1s")];
        let app = app(&[&fake], &idle).await;
        let got = ask(&app, "").await;
        assert!(got.status == 200 && got.body.starts_with(&events.concat()), "{outcome}: {}", got.body);
        assert_eq!(got.body.contains(error), outcome == "invalid_answer", "{}", got.body);
        let last = last(&got);
        let response = &last["response"];
        assert_eq!((&last["type"], &last["sequence_number"]), (&json!("response.failed"), &json!(number)), "{outcome}");
        assert_eq!((&response["id"], &response["status"]), (&json!("resp_1"), &json!("failed")));
        assert_eq!((&response["instructions"], &response["what_is_new"]), (&json!("be brief"), &json!(1.5)));
        assert!(response["error"]["message"].as_str().unwrap().contains(outcome), "{last}");
        assert!(got.body.contains("event: response.failed\ndata: "), "{}", got.body);
        let row = billed(&app).await;
        assert!(row["estimated_requests"] == 1 && row["completion_tokens"].as_u64() > Some(0), "{row}");
        let failed = format!(r#"vx11_provider_requests_total{{model="m-a",outcome="{outcome}",provider="a"}}"#);
        app.wait_for_metric(&failed, 1.0).await;
    }
}

#[tokio::test]
async fn a_providers_own_word_for_its_failure_is_the_last_one() {
    let failed = end("failed", r#""error":{"code":"server_error","message":"no"},"#);
    let events = [created("be brief"), item(2, "message"), delta(3, "Hel"), COST.to_owned(), failed.clone()];
    let sent = [&events[..3], &[failed]].concat();
    let fake = Fake::always(stream(&sent)).await;
    let app = app(&[&fake], &[]).await;
    let got = ask(&app, "").await;
    assert_eq!((got.status, got.body), (200, events.concat()));
    let row = billed(&app).await;
    assert_eq!((&row["completion_tokens"], &row["estimated_requests"]), (&json!(40), &json!(0)), "{row}");
    app.wait_for_metric(r#"vx11_provider_requests_total{model="m-a",outcome="stream_cut",provider="a"}"#, 1.0).await;
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 1);
}

#[tokio::test]
async fn an_error_is_billed_as_the_failed_response_after_it_says() {
    let error = named(r#"{"type":"error","code":"server_error","message":"no","param":null,"sequence_number":4}"#);
    let failed = end("failed", r#""error":{"code":"server_error","message":"no"},"#);
    let begun = [created("be brief"), item(2, "message"), delta(3, "Hel"), error.clone()];
    // The second comes after something else.
    for after in [vec![Act::Say(failed.clone())], vec![Act::Say(": ping\n\n".to_owned()), Act::Say(failed)]] {
        let fake = Fake::always([stream(&begun), after].concat()).await;
        let app = app(&[&fake], &[]).await;
        let got = ask(&app, "").await;
        assert!(got.body.contains(&error) && last(&got)["type"] == "response.failed", "{}", got.body);
        let row = billed(&app).await;
        assert_eq!((&row["completion_tokens"], &row["estimated_requests"]), (&json!(40), &json!(0)), "{row}");
        app.wait_for_metric(r#"vx11_provider_requests_total{model="m-a",outcome="invalid_answer",provider="a"}"#, 1.0)
            .await;
    }
}

#[tokio::test]
async fn what_a_tool_of_the_providers_has_begun_is_not_begun_again_elsewhere() {
    let fake = Fake::always([stream(&[created(""), item(2, "web_search_call")]), vec![Act::Reset]].concat()).await;
    let other = Fake::always(whole_stream()).await;
    let got = ask(&app(&[&fake, &other], &[]).await, "").await;
    assert_eq!((got.header("x-vx11-provider"), last(&got)["type"].as_str()), ("a", Some("response.failed")));
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn who_goes_away_takes_the_call_along_and_pays_for_what_came() {
    let events = [created(""), item(2, "message"), delta(3, "Hel")];
    let fake = Fake::always([stream(&events), vec![Act::Wait]].concat()).await;
    let app = app(&[&fake], &[]).await;
    let body = r#"{"model":"m","input":"Hi","stream":true}"#;
    let mut response = app.post("/v1/responses", body).send().await.unwrap();
    let mut text = String::new();
    while !text.contains("Hel") {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    drop(response);
    eventually("the provider sees its caller go", async || fake.hung_up() == 1).await;
    assert_eq!(billed(&app).await["completion_tokens"], 1);
    app.wait_for_metric(r#"vx11_provider_requests_total{model="m-a",outcome="cancelled",provider="a"}"#, 1.0).await;
}

#[tokio::test]
async fn whatever_goes_wrong_within_it_a_stream_says_how_it_ends() {
    let (mock, models) = (mock_provider(), r#"["mock*", "mock"]"#);
    let url = mock.url("/v1");
    let variables = [
        SPEAKS,
        ("VX11_SWITCH__PROVIDERS__A__BASE_URL", url.as_str()),
        ("VX11_SWITCH__PROVIDERS__A__MODELS", models),
        ("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", "1s"),
        ("VX11_SWITCH__USE_CIRCUIT_BREAKERS", "false"),
    ];
    let app = App::start(&variables).await;
    for (fault, end) in [
        ("", "completed"),
        ("+no_usage", "completed"),
        ("+malformed=2", "completed"),
        ("+cut=2", "failed"),
        ("+stall=2", "failed"),
        ("+garbled=2", "failed"),
        ("+error_frame=2", "failed"),
        // Asked again for a chat, the end is there.
        ("+no_done", "completed"),
    ] {
        let body = json!({"model": format!("a/mock{fault}"), "input": "echo: one two three", "stream": true});
        let got = Answer::of(app.post("/v1/responses", body.to_string())).await;
        assert_eq!(got.status, 200, "{fault}: {}", got.body);
        let events: Vec<Value> = got.events().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
        let (first, last) = (&events[0], &events[events.len() - 1]);
        assert_eq!(last["type"], format!("response.{end}"), "{fault}: {}", got.body);
        assert_eq!(last["response"]["id"], first["response"]["id"], "{fault}");
        assert_eq!(last["response"]["status"], end, "{fault}");
        let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{fault}: {numbers:?}");
    }
}

#[tokio::test]
async fn what_was_begun_as_a_chat_is_finished_as_one() {
    let chats = Fake::always([stream_head(), chunk("Hel"), Act::Reset]).await;
    let speaks = Fake::always(whole_stream()).await;
    let variables = [("VX11_SWITCH__PROVIDERS__B__RESPONSES", "true")];
    let app = App::in_front_of(&[&chats.url, &speaks.url], &variables).await;
    let got = ask(&app, "").await;
    let last = last(&got);
    assert_eq!(last["type"], "response.completed", "{}", got.body);
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Hello");
    assert!(speaks.requests()[0].starts_with(CHAT));
}
