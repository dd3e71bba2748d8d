//! What is Azure's own: its addresses and its key.

use serde_json::{Value, json};

use crate::mock::{Answer, Mock, saying};

const CHAT: &str = "/openai/deployments/mock/chat/completions?api-version=2024-10-21";

#[tokio::test]
async fn the_deployment_in_the_path_is_the_model_whatever_the_body_says() {
    let mock = Mock::start().await;
    let mut body = saying("echo: hi");
    body["model"] = json!("gpt-4o");
    let got = Answer::of(mock.post(CHAT, body.to_string())).await.json();
    assert_eq!((&got["model"], &got["choices"][0]["message"]["content"]), (&json!("mock"), &json!("hi")));
    for (deployment, status) in [("mock+status=503", 503), ("nobody", 404)] {
        let got = Answer::of(mock.post(&CHAT.replace("mock", deployment), body.to_string())).await;
        assert_eq!(got.status, status, "{}", got.body);
    }
    let vectors = "/openai/deployments/mock-embedding/embeddings?api-version=2024-10-21";
    let got = Answer::of(mock.post(vectors, json!({ "input": "hello" }).to_string())).await.json();
    assert_eq!((&got["model"], &got["usage"]["prompt_tokens"]), (&json!("mock-embedding"), &json!(1)));
}

#[tokio::test]
async fn a_stream_begins_with_what_the_filter_says_of_the_prompt() {
    let mock = Mock::start().await;
    let mut body = saying("echo: hi");
    body["stream"] = json!(true);
    let got = Answer::of(mock.post(CHAT, body.to_string())).await;
    let first: Value = serde_json::from_str(got.events()[0]).unwrap();
    assert_eq!(["id", "model", "object"].map(|name| first[name].as_str()), [Some(""); 3]);
    assert_eq!((&first["choices"], first["prompt_filter_results"].as_array().map(Vec::len)), (&json!([]), Some(1)));
    let second: Value = serde_json::from_str(got.events()[1]).unwrap();
    assert!(second["id"].as_str().unwrap().starts_with("chatcmpl-"), "{}", got.body);
    let whole = Answer::of(mock.post(CHAT, saying("echo: hi").to_string())).await.json();
    assert_eq!(whole.get("prompt_filter_results"), None);
}

#[tokio::test]
async fn a_call_without_a_version_of_the_api_leads_nowhere() {
    let mock = Mock::start().await;
    for path in [CHAT.replace("2024-10-21", ""), CHAT.replace("?api-version=2024-10-21", "")] {
        let got = Answer::of(mock.post(&path, saying("hi").to_string())).await;
        assert_eq!(got.status, 404, "{path}: {}", got.body);
    }
}

#[tokio::test]
async fn the_key_is_in_its_own_header() {
    let mock = Mock::with(&[("VX11_MOCK_PROVIDER__API_KEY", "sk-mock")]).await;
    let ask = async |name: &str, value: &str| {
        let got = Answer::of(mock.post(CHAT, saying("hi").to_string()).header(name, value)).await;
        (got.status, got.json()["error"]["code"].clone())
    };
    assert_eq!(ask("api-key", "sk-mock").await, (200, Value::Null));
    assert_eq!(ask("authorization", "Bearer sk-mock").await, (200, Value::Null));
    assert_eq!(ask("api-key", "sk-other").await.0, 401);
    assert_eq!(ask("x-api-key", "sk-mock").await.0, 401);
}
