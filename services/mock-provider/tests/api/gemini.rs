//! What is Gemini's own: its addresses, its two streams, its checks.

use serde_json::{Value, json};

use crate::mock::{Answer, Mock};
use crate::wire::{Scenario, Wire, user};

fn hello() -> String {
    json!({ "contents": [{ "parts": [{ "text": "Hello" }] }] }).to_string()
}

#[tokio::test]
async fn a_response_has_geminis_shape() {
    let mock = Mock::start().await;
    let body = Wire::Gemini.ask(&mock, &user("echo: one two"), "cached_tokens=3", false).await.json();
    assert_eq!(
        body["candidates"],
        json!([{ "content": { "role": "model", "parts": [{ "text": "one two" }] }, "finishReason": "STOP", "index": 0 }])
    );
    assert_eq!((&body["modelVersion"], body["responseId"].is_string()), (&json!("mock"), true));
    let usage = &body["usageMetadata"];
    assert_eq!((&usage["promptTokenCount"], &usage["cachedContentTokenCount"]), (&json!(8), &json!(3)));
    assert_eq!((&usage["candidatesTokenCount"], &usage["totalTokenCount"]), (&json!(2), &json!(10)));
    let cut_short = Scenario { thinks: true, limit: Some(5), ..user("Hello") };
    let thoughts = Wire::Gemini.ask(&mock, &cut_short, "", false).await.json();
    assert_eq!(thoughts["candidates"][0]["content"]["parts"][0]["thought"], true);
    assert_eq!(thoughts["usageMetadata"]["candidatesTokenCount"], 0, "thoughts count apart");
}

#[tokio::test]
async fn a_stream_is_events_or_the_elements_of_an_array() {
    let mock = Mock::start().await;
    let events = Wire::Gemini.ask(&mock, &user("echo: one two"), "", true).await;
    assert!(events.header("content-type").starts_with("text/event-stream"));
    assert!(events.body.split_terminator("\r\n\r\n").all(|event| event.starts_with("data: {")), "{}", events.body);
    let array = Wire::GeminiArray.ask(&mock, &user("echo: one two"), "", true).await;
    assert!(array.header("content-type").starts_with("application/json"));
    let chunks = array.json().as_array().unwrap().clone();
    let said: Vec<&Value> = chunks.iter().map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]["text"]).collect();
    assert_eq!(said, [&json!("one"), &json!(" two"), &json!("")]);
    let so_far: Vec<&Value> = chunks.iter().map(|chunk| &chunk["usageMetadata"]["candidatesTokenCount"]).collect();
    assert_eq!(so_far, [&json!(1), &json!(2), &json!(2)], "each chunk counts everything up to it");
    assert_eq!(Wire::Gemini.chunks(&events.body).len(), chunks.len());
}

#[tokio::test]
async fn candidates_differ() {
    let mock = Mock::start().await;
    let request =
        json!({ "contents": [{ "parts": [{ "text": "Hello" }] }], "generationConfig": { "candidateCount": 2 } });
    let body = Answer::of(mock.post("/v1beta/models/mock:generateContent", request.to_string())).await.json();
    let text = |at: usize| body["candidates"][at]["content"]["parts"][0]["text"].as_str().unwrap();
    assert_ne!(text(0), text(1));
}

#[tokio::test]
async fn fields_and_faults_can_be_written_in_either_way() {
    let mock = Mock::start().await;
    let contents = json!([{ "role": "user", "parts": [{ "text": "echo: one two three" }] }]);
    for (config, limit) in [("generationConfig", "maxOutputTokens"), ("generation_config", "max_output_tokens")] {
        let request = json!({ "contents": contents, config: { limit: 2 } }).to_string();
        let body = Answer::of(mock.post("/v1beta/models/mock:generateContent", request)).await.json();
        assert_eq!(body["candidates"][0]["content"]["parts"][0]["text"], "one two");
    }
    let twin = Answer::of(mock.post("/v1/models/mock:generateContent", hello())).await;
    assert_eq!(twin.json()["candidates"][0]["finishReason"], "STOP");
    for model in ["mock+status=503,retry_after=1", "mock%2Bstatus%3D503"] {
        let got = Answer::of(mock.post(&format!("/v1beta/models/{model}:generateContent"), hello())).await;
        assert_eq!(Wire::Gemini.refusal(&got).1, "UNAVAILABLE", "{model}");
    }
}

#[tokio::test]
async fn tokens_are_counted_without_an_answer() {
    let mock = Mock::start().await;
    let contents = json!([{ "parts": [{ "text": "Hello" }] }]);
    for (request, tokens) in [
        (json!({ "contents": contents }), 5),
        (
            json!({ "generateContentRequest": { "contents": contents, "systemInstruction": { "parts": [{ "text": "Be brief." }] } } }),
            12,
        ),
    ] {
        let got = Answer::of(mock.post("/v1beta/models/mock:countTokens", request.to_string())).await;
        assert_eq!(got.json()["totalTokens"], tokens, "{request}");
    }
}

#[tokio::test]
async fn the_key_is_looked_at_in_header_and_query() {
    let mock = Mock::with(&[("VX11_MOCK_PROVIDER__API_KEY", "right")]).await;
    let ask = |query: &str| mock.post(&format!("/v1beta/models/mock:generateContent{query}"), hello());
    let none = Wire::Gemini.refusal(&Answer::of(ask("")).await);
    assert_eq!((none.0, none.1.as_str()), (403, "PERMISSION_DENIED"));
    let wrong = Answer::of(ask("").header("x-goog-api-key", "wrong")).await;
    assert_eq!(Wire::Gemini.refusal(&wrong).0, 400);
    assert_eq!(wrong.json()["error"]["details"][0]["reason"], "API_KEY_INVALID");
    assert_eq!(Answer::of(ask("").header("x-goog-api-key", "right")).await.status, 200);
    assert_eq!(Answer::of(ask("?key=right")).await.status, 200);
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let mock = Mock::start().await;
    for (path, body, class) in [
        ("mock:generateContent", "{", "INVALID_ARGUMENT"),
        ("mock:generateContent", "{}", "INVALID_ARGUMENT"),
        ("mock:generateContent", r#"{"contents": "Hello"}"#, "INVALID_ARGUMENT"),
        ("mock+statu=1:generateContent", &hello(), "INVALID_ARGUMENT"),
        ("gemini:generateContent", &hello(), "NOT_FOUND"),
        ("mock:dance", &hello(), "NOT_FOUND"),
    ] {
        let got = Answer::of(mock.post(&format!("/v1beta/models/{path}"), body.to_owned())).await;
        assert_eq!(Wire::Gemini.refusal(&got).1, class, "{path}: {body}");
    }
    assert!(mock.log().await.is_empty());
}

#[tokio::test]
async fn texts_become_the_vectors_that_the_other_wire_has_for_them() {
    let mock = Mock::start().await;
    let content = |text: &str| json!({ "content": { "parts": [{ "text": text }] }, "outputDimensionality": 3 });
    let batch = json!({ "requests": [content("hello"), content("hello world")] });
    let path = |method: &str| format!("/v1beta/models/mock-embedding:{method}");
    let got = Answer::of(mock.post(&path("batchEmbedContents"), batch.to_string())).await.json();
    let asked = json!({ "model": "mock-embedding", "input": ["hello", "hello world"], "dimensions": 3 });
    let other = Answer::of(mock.post("/v1/embeddings", asked.to_string())).await.json();
    for index in [0, 1] {
        assert_eq!(got["embeddings"][index]["values"], other["data"][index]["embedding"]);
    }
    assert_eq!(got["usageMetadata"]["promptTokenCount"], other["usage"]["prompt_tokens"]);
    let one = Answer::of(mock.post(&path("embedContent"), content("hello").to_string())).await.json();
    assert_eq!(one["embedding"], got["embeddings"][0]);
    let silent = path("batchEmbedContents").replace(":", "+no_usage:");
    assert_eq!(Answer::of(mock.post(&silent, batch.to_string())).await.json().get("usageMetadata"), None);
    for requests in [json!([]), vec![content("x"); 101].into()] {
        let got = Answer::of(mock.post(&path("batchEmbedContents"), json!({ "requests": requests }).to_string())).await;
        assert_eq!((got.status, got.json()["error"]["status"].as_str()), (400, Some("INVALID_ARGUMENT")));
    }
}
