//! `POST /v1/responses` in front of providers that speak it: forwarded as bytes, both ways, and watched.

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, answer, completion, error};

/// Provider `a` has Responses.
const SPEAKS: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__RESPONSES", "true");

/// A request that no chat can say, and that has more than any client knows today.
const ASKED: &str = r#"{ "model":"m", "input":"Hi","previous_response_id":"resp_0","store":true,"include":["reasoning.encrypted_content"],"reasoning":{"summary":"auto"},"tools":[{"type":"web_search"}],"temperature":1.50,"what_is_new":[1.0,{}]}"#;
const USAGE: &str = r#"{"input_tokens":90,"input_tokens_details":{"cached_tokens":60},"output_tokens":40,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":130}"#;

/// A response that ended so, with `output`.
fn response(status: &str, output: &str, more: &str) -> String {
    format!(
        r#"{{ "id":"resp_1","object":"response","created_at":7,"status":"{status}","model":"gpt-5-codex","what_is_new":1.50,"output":[{output}],{more}"usage":{USAGE}}}"#
    )
}

const OUTPUT: &str = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},{"type":"web_search_call","id":"ws_1","status":"completed"},{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hello","annotations":[]}]}"#;

fn whole() -> Act {
    answer(200, "x-request-id: req-1\r\n", &response("completed", OUTPUT, ""))
}

async fn app(providers: &[&Fake], more: &[(&str, &str)]) -> App {
    let urls: Vec<&str> = providers.iter().map(|fake| fake.url.as_str()).collect();
    App::in_front_of(&urls, &[&[SPEAKS], more].concat()).await
}

async fn ask(app: &App, body: impl Into<String>) -> Answer {
    Answer::of(app.post("/v1/responses", body.into())).await
}

/// What is asked for in words that a chat has, too.
fn plain(more: Value) -> String {
    let mut body = json!({"model": "m", "input": "Hi"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

/// The first line and the body of each request.
fn requests(fake: &Fake) -> Vec<(String, String)> {
    let split = |request: String| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    };
    fake.requests().into_iter().map(split).collect()
}

/// The row of the ledger's days, once it has one request.
async fn billed(app: &App) -> Value {
    let row = async || Answer::of(app.get("/switch/usage")).await.json()["rows"][0].clone();
    eventually("the bill is written", async || row().await["requests"] == 1).await;
    row().await
}

#[tokio::test]
async fn a_response_passes_byte_for_byte_both_ways_and_is_billed() {
    let fake = Fake::always([whole()]).await;
    let app = app(&[&fake], &[]).await;
    let got = ask(&app, ASKED).await;
    assert_eq!((got.status, got.body.as_str()), (200, response("completed", OUTPUT, "").as_str()));
    assert_eq!((got.header("x-vx11-provider"), got.header("x-request-id")), ("a", "req-1"));
    let renamed = ASKED.replacen("\"m\"", "\"m-a\"", 1);
    assert_eq!(requests(&fake), [("POST /v1/responses HTTP/1.1".to_owned(), renamed)]);
    let row = billed(&app).await;
    assert_eq!((&row["prompt_tokens"], &row["completion_tokens"]), (&json!(90), &json!(40)), "{row}");
    assert_eq!((&row["cached_tokens"], &row["reasoning_tokens"]), (&json!(60), &json!(30)), "{row}");
    assert_eq!(app.metric(r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#).await, 40.0);
}

#[tokio::test]
async fn azure_is_asked_at_its_own_address() {
    let fake = Fake::always([whole()]).await;
    let azure = [
        ("VX11_SWITCH__PROVIDERS__A__KIND", "azure-openai"),
        ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENV", "A_KEY"),
        ("A_KEY", "sk-a"),
    ];
    let got = ask(&app(&[&fake], &azure).await, ASKED).await;
    assert_eq!((got.status, got.body.as_str()), (200, response("completed", OUTPUT, "").as_str()));
    let request = fake.requests().pop().unwrap();
    assert!(request.starts_with("POST /v1/openai/v1/responses HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("api-key: sk-a\r\n") && request.contains(r#""model":"m-a""#), "{request}");
}

#[tokio::test]
async fn who_only_chats_takes_over_what_a_chat_can_say() {
    let (bad, chats) = (Fake::always([error(503, "")]).await, Fake::always([completion("Hello")]).await);
    let app = app(&[&bad, &chats], &[]).await;
    let got = ask(&app, plain(json!({"instructions": "Be kind."}))).await;
    assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")), (200, "b", "2"));
    let response = got.json();
    assert_eq!(
        (&response["object"], &response["output"][0]["content"][0]["text"], &response["instructions"]),
        (&json!("response"), &json!("Hello"), &json!("Be kind."))
    );
    assert_eq!(requests(&bad)[0].0, "POST /v1/responses HTTP/1.1");
    let (line, body) = requests(&chats).pop().unwrap();
    let messages = json!([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]);
    assert_eq!(line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({"model": "m-b", "messages": messages}));
}

#[tokio::test]
async fn what_no_chat_can_say_is_asked_of_nobody_who_only_chats() {
    let (bad, chats) = (Fake::always([error(503, "")]).await, Fake::always([completion("Hello")]).await);
    let app = app(&[&bad, &chats], &[]).await;
    let got = ask(&app, ASKED).await;
    assert_eq!((got.status, got.header("x-vx11-attempts")), (503, "1"), "{}", got.body);
    assert!(chats.requests().is_empty());
    let alone = ask(&app, ASKED.replacen("\"m\"", "\"b/m-b\"", 1)).await;
    assert_eq!((alone.status, alone.json()["error"]["param"].as_str()), (400, Some("previous_response_id")));
    for (field, value) in [("background", json!(true)), ("stream", json!("yes"))] {
        let got = ask(&app, plain(json!({field: value}))).await;
        assert_eq!((got.status, got.json()["error"]["param"].as_str()), (400, Some(field)), "{}", got.body);
    }
}

#[tokio::test]
async fn what_the_provider_has_against_a_request_is_the_callers_answer() {
    let refused = r#"{"error":{"message":"Previous response with id 'resp_0' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}"#;
    let (first, second) = (Fake::always([answer(400, "", refused)]).await, Fake::always([completion("x")]).await);
    let app = app(&[&first, &second], &[]).await;
    let got = ask(&app, plain(json!({}))).await;
    assert_eq!((got.status, got.body.as_str()), (400, refused));
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0);
    assert!(second.requests().is_empty(), "nobody is asked in its place");
}

#[tokio::test]
async fn a_key_that_is_refused_is_followed_by_the_next_one() {
    let script = |request: usize| if request == 0 { vec![error(401, "")] } else { vec![whole()] };
    let fake = Fake::start(script).await;
    let keys = [
        ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENVS", r#"["FIRST_KEY","SECOND_KEY"]"#),
        ("FIRST_KEY", "sk-first"),
        ("SECOND_KEY", "sk-second"),
    ];
    let got = ask(&app(&[&fake], &keys).await, ASKED).await;
    assert_eq!((got.status, got.header("x-vx11-attempts")), (200, "2"));
    let requests = fake.requests();
    assert!(requests[0].contains("Bearer sk-first") && requests[1].contains("Bearer sk-second"), "{requests:?}");
}

#[tokio::test]
async fn an_answer_that_says_that_it_failed_is_none() {
    let failed = |code: &str| {
        answer(200, "", &response("failed", "", &format!(r#""error":{{"code":"{code}","message":"no"}},"#)))
    };
    for (code, status) in [("server_error", 500), ("rate_limit_exceeded", 429), ("invalid_prompt", 400)] {
        let fake = Fake::always([failed(code)]).await;
        let app = app(&[&fake], &[]).await;
        let got = ask(&app, ASKED).await;
        let error = &got.json()["error"];
        assert_eq!((got.status, error["code"].as_str()), (status, Some(code)), "{}", got.body);
        assert_eq!(billed(&app).await["completion_tokens"], 40, "it was paid for all the same");
    }
    let (bad, chats) = (Fake::always([failed("server_error")]).await, Fake::always([completion("Hello")]).await);
    let got = ask(&app(&[&bad, &chats], &[]).await, plain(json!({}))).await;
    assert_eq!((got.status, got.header("x-vx11-provider")), (200, "b"));
}

#[tokio::test]
async fn a_response_is_kept_by_its_provider_alone() {
    let fake = Fake::always([whole()]).await;
    let app = app(&[&fake], &[("VX11_SWITCH__CACHE__ENABLED", "true")]).await;
    for _ in 0..2 {
        let got = ask(&app, plain(json!({"store": false}))).await;
        assert_eq!((got.status, got.header("x-vx11-cache")), (200, "bypass"), "{}", got.body);
    }
    assert_eq!(fake.requests().len(), 2);
}
