//! Held requests whose answers are streams.

use reqwest::Response;
use serde_json::{Value, json};

use super::desk::Desk;
use super::{PAY, app_with, ask, body};
use crate::app::{Answer, App};
use crate::fake::{Fake, whole_stream};

const SOON: [(&str, &str); 1] = [("VX11_SWITCH__PING_INTERVAL", "10ms")];

fn streamed(text: &str) -> Value {
    let mut body = body("m", text);
    body["stream"] = json!(true);
    body
}

/// What has come until a ping has.
async fn until_a_ping(response: &mut Response) -> String {
    let mut text = String::new();
    while !text.contains(": ping\n\n") {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    text
}

/// Its answer, once this was done about it.
async fn after(app: &App, desk: &Desk, path: &str, body: &Value, act: impl FnOnce(&str)) -> (String, Answer) {
    let number = desk.requests().len();
    let mut response = app.post(path, body.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let said = until_a_ping(&mut response).await;
    let id = desk.asked(number).await;
    assert!(said.starts_with(&format!(": held by {id} at /operator/api/interventions/{id}\n\n")), "{said}");
    assert_eq!(response.headers()["x-vx11-intervention"], id.as_str());
    act(&id);
    (id, Answer::read(response).await)
}

#[tokio::test]
async fn a_stream_is_kept_open_and_then_goes_on() {
    let (provider, desk) = (Fake::always(whole_stream()).await, Desk::open());
    let app = app_with(&provider, &desk, PAY, &SOON).await;
    let (id, answer) = after(&app, &desk, "/v1/chat/completions", &streamed("pay"), |id| desk.approve(id)).await;
    let text: String = answer
        .chunks()
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!((text.as_str(), answer.events().last()), ("Hello", Some(&"[DONE]")), "{}", answer.body);
    assert_eq!(desk.request(&id)["status"], "COMPLETED");
}

#[tokio::test]
async fn a_stream_that_is_not_approved_ends_in_the_words_of_its_wire() {
    let (provider, desk) = (Fake::always(whole_stream()).await, Desk::open());
    let app = app_with(&provider, &desk, PAY, &SOON).await;
    let message =
        json!({"model": "m", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "pay"}]});
    let response = json!({"model": "m", "input": "pay", "stream": true});
    for (path, body, words) in [
        ("/v1/chat/completions", streamed("pay"), r#""code":"held_rejected""#),
        ("/v1/messages", message, r#"event: error"#),
        ("/v1/responses", response, "event: response.failed"),
    ] {
        let (_, answer) = after(&app, &desk, path, &body, |id| desk.reject(id, "no way")).await;
        assert!(answer.body.contains(words) && answer.body.contains("no way"), "{path}: {}", answer.body);
        assert!(!answer.body.contains("[DONE]"));
    }
    assert!(provider.requests().is_empty());
}

#[tokio::test]
async fn a_stream_whose_wait_is_over_says_where_it_is_decided() {
    let (provider, desk) = (Fake::always(whole_stream()).await, Desk::open());
    let app = app_with(&provider, &desk, PAY, &SOON).await;
    let answer = Answer::of(ask(&app, &streamed("pay")).header("prefer", "wait=1")).await;
    let id = desk.asked(0).await;
    let last: Value = serde_json::from_str(answer.events().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "held_pending", "{}", answer.body);
    assert!(last["error"]["message"].as_str().unwrap().contains(&id), "{last}");
    desk.approve(&id);
    let back = Answer::of(ask(&app, &streamed("pay")).header("x-vx11-intervention", &id)).await;
    assert_eq!(back.events().last(), Some(&"[DONE]"), "{}", back.body);
    let later = Answer::of(ask(&app, &streamed("pay")).header("prefer", "respond-async")).await;
    assert_eq!((later.status, &later["status"]), (202, &json!("held")));
}

#[tokio::test]
async fn a_provider_that_fails_after_the_wait_is_told_as_an_error() {
    let (provider, desk) = (Fake::always([crate::fake::error(500, "")]).await, Desk::open());
    let app = app_with(&provider, &desk, PAY, &SOON).await;
    let (id, answer) = after(&app, &desk, "/v1/chat/completions", &streamed("pay"), |id| desk.approve(id)).await;
    let last: Value = serde_json::from_str(answer.events().last().unwrap()).unwrap();
    assert!(last["error"]["message"].is_string(), "{}", answer.body);
    assert_eq!(desk.request(&id)["status"], "COMPLETED", "the provider was asked");
    let edit = |id: &str| desk.edit(id, |args| args["model"] = json!("nobody's"));
    let (id, answer) = after(&app, &desk, "/v1/chat/completions", &streamed("pay"), edit).await;
    assert!(answer.body.contains(r#""code":"model_not_found""#), "{}", answer.body);
    assert_eq!((&desk.request(&id)["status"], provider.requests().len()), (&serde_json::json!("APPROVED"), 1));
}
