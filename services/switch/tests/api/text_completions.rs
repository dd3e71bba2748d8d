//! `POST /v1/completions`: native where the provider can, by way of chat where it cannot.

use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::fake::{Act, Fake, STOP, USAGE, answer, chunk, completion, error, event, stream_head, whole_stream};

const NATIVE: &str = r#"{"id":"cmpl-1","object":"text_completion","created":7,"model":"real","choices":[{"text":"Hello","index":0,"logprobs":{"tokens":["Hello"],"token_logprobs":[-0.10]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
const ONLY_CHAT: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__TEXT_COMPLETIONS", "false");

async fn ask(app: &App, body: &str) -> Answer {
    Answer::of(app.post("/v1/completions", body.to_owned())).await
}

fn sent(fake: &Fake) -> (String, String) {
    let requests = fake.requests();
    let (head, body) = requests.last().unwrap().split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_provider_with_text_completions_gets_and_gives_bytes() {
    let fake = Fake::always([answer(200, "", NATIVE)]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let body = r#"{"prompt": [1,2,3],"model":"m","echo":true,"suffix":"x","logprobs":2,"best_of":3,"x":1.50}"#;
    let got = ask(&app, body).await;
    assert_eq!((got.status, got.body.as_str()), (200, NATIVE));
    assert_eq!(sent(&fake), ("POST /v1/completions HTTP/1.1".to_owned(), body.replace("\"m\"", "\"m-a\"")));

    let chunks = [
        r#"{"id":"cmpl-1","object":"text_completion","choices":[{"text":"Hel","index":0,"logprobs":null,"finish_reason":null}]}"#,
        r#"{"id":"cmpl-1","object":"text_completion","choices":[{"text":"lo","index":0,"finish_reason":"stop"}]}"#,
    ];
    let fake = Fake::always([stream_head(), event(chunks[0]), event(chunks[1]), event(USAGE), event("[DONE]")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = ask(&app, r#"{"model":"m","prompt":"Say hello","stream":true}"#).await;
    assert_eq!(got.events(), [chunks[0], chunks[1], "[DONE]"]);
    app.wait_for_metric(r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#, 2.0).await;
}

#[tokio::test]
async fn a_provider_that_only_chats_is_asked_for_chat() {
    let fake = Fake::always([completion("Hello")]).await;
    let app = App::in_front_of(&[&fake.url], &[ONLY_CHAT]).await;
    let got = ask(&app, r#"{"model":"m","prompt":"Say hello","max_tokens":5,"x":1.50}"#).await;
    let (line, body) = sent(&fake);
    assert_eq!(line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(body, r#"{"max_tokens":5,"messages":[{"content":"Say hello","role":"user"}],"model":"m-a","x":1.50}"#);
    let choice = json!({ "index": 0, "text": "Hello", "logprobs": null, "finish_reason": "stop" });
    let answer = got.json();
    assert_eq!((&answer["object"], &answer["choices"]), (&json!("text_completion"), &json!([choice])));
    assert_eq!((&answer["id"], &answer["usage"]["total_tokens"]), (&json!("c1"), &json!(5)));
}

#[tokio::test]
async fn its_stream_becomes_one_of_text() {
    let fake = Fake::always(whole_stream()).await;
    let app = App::in_front_of(&[&fake.url], &[ONLY_CHAT]).await;
    let body = r#"{"model":"m","prompt":"Say hello","stream":true,"stream_options":{"include_usage":true}}"#;
    let got = ask(&app, body).await;
    let events = got.events();
    let texts: Vec<Value> = events[..3].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let text: String = texts.iter().map(|chunk| chunk["choices"][0]["text"].as_str().unwrap()).collect();
    assert_eq!((text.as_str(), &texts[2]["choices"][0]["finish_reason"]), ("Hello", &json!("stop")));
    assert!(texts.iter().all(|chunk| chunk["object"] == "text_completion" && chunk["id"] == "c1"));
    assert_eq!((events[3], events[4]), (&*USAGE.replace("5}", "5,\"cost\":0}"), "[DONE]"));
}

#[tokio::test]
async fn a_stream_that_breaks_is_never_whole() {
    for native in ["true", "false"] {
        let fake = Fake::always([stream_head(), chunk("Hel"), Act::Reset]).await;
        let app = App::in_front_of(&[&fake.url], &[(ONLY_CHAT.0, native)]).await;
        let got = ask(&app, r#"{"model":"m","prompt":"Say hello","stream":true}"#).await;
        assert!(got.events()[1].starts_with(r#"{"error":"#) && !got.body.contains("[DONE]"), "{}", got.body);
    }
}

#[tokio::test]
async fn several_prompts_need_several_endings() {
    let second = STOP.replace(r#""index":0"#, r#""index":1"#);
    for (acts, whole) in [(vec![event(STOP)], false), (vec![event(STOP), event(&second)], true)] {
        let acts: Vec<Act> = [stream_head(), chunk("Hi")].into_iter().chain(acts).collect();
        let fake = Fake::always(acts).await;
        let app = App::in_front_of(&[&fake.url], &[]).await;
        let got = ask(&app, r#"{"model":"m","prompt":["a","b"],"stream":true}"#).await;
        assert_eq!(got.events().last() == Some(&"[DONE]"), whole, "{}", got.body);
    }
}

#[tokio::test]
async fn what_a_chat_cannot_do_goes_to_who_can_or_is_refused_by_name() {
    let (chats, writes) = (Fake::always([completion("x")]).await, Fake::always([answer(200, "", NATIVE)]).await);
    let app = App::in_front_of(&[&chats.url, &writes.url], &[ONLY_CHAT]).await;
    let got = ask(&app, r#"{"model":"m","prompt":"x","suffix":"y"}"#).await;
    assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")), (200, "b", "1"));
    assert!(chats.requests().is_empty());

    let app = App::in_front_of(&[&chats.url], &[ONLY_CHAT]).await;
    for (body, param) in [
        (r#"{"model":"m","prompt":"x","suffix":"y"}"#, "suffix"),
        (r#"{"model":"m","prompt":[1,2]}"#, "prompt"),
        (r#"{"model":"m"}"#, "prompt"),
    ] {
        let got = ask(&app, body).await;
        assert_eq!((got.status, got.json()["error"]["param"].as_str()), (400, Some(param)), "{body}");
    }
    assert!(chats.requests().is_empty());
}

#[tokio::test]
async fn one_of_each_sort_may_cover_for_the_other() {
    let (bad, good) = (Fake::always([error(503, "")]).await, Fake::always([completion("Hello")]).await);
    let app =
        App::in_front_of(&[&bad.url, &good.url], &[("VX11_SWITCH__PROVIDERS__B__TEXT_COMPLETIONS", "false")]).await;
    let got = ask(&app, r#"{"model":"m","prompt":"Say hello"}"#).await;
    assert_eq!((got.header("x-vx11-provider"), got.json()["choices"][0]["text"].as_str()), ("b", Some("Hello")));
    assert!(bad.requests()[0].starts_with("POST /v1/completions ") && good.requests()[0].starts_with("POST /v1/chat/"));
}
