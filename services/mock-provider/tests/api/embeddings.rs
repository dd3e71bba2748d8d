//! Vectors.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::mock::{Answer, Mock};

async fn embed(mock: &Mock, fields: Value) -> Answer {
    let request = crate::mock::with(json!({ "model": "mock-embedding", "input": "hello" }), fields);
    Answer::of(mock.post("/v1/embeddings", request.to_string())).await
}

fn vector(answer: &Answer, at: usize) -> Vec<f32> {
    let numbers = answer.json()["data"][at]["embedding"].as_array().unwrap().clone();
    numbers.iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

#[tokio::test]
async fn each_text_gets_its_own_vector_of_length_one() {
    let mock = Mock::start().await;
    let got = embed(&mock, json!({ "input": ["hello", "hello world", "hello"] })).await;
    let body = got.json();
    assert_eq!((&body["object"], &body["model"]), (&json!("list"), &json!("mock-embedding")));
    assert_eq!(body["usage"], json!({ "prompt_tokens": 4, "total_tokens": 4 }));
    let indices: Vec<_> = body["data"].as_array().unwrap().iter().map(|item| item["index"].clone()).collect();
    assert_eq!(indices, [0, 1, 2]);
    assert_eq!(vector(&got, 0), vector(&got, 2));
    assert_ne!(vector(&got, 0), vector(&got, 1));
    let length: f32 = vector(&got, 0).iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-4, "{length}");
    assert_eq!(vector(&embed(&Mock::start().await, json!({})).await, 0), vector(&got, 0), "the same everywhere");
}

#[tokio::test]
async fn sizes_and_encodings_can_be_asked_for() {
    let mock = Mock::start().await;
    for (asked, numbers) in [(json!({}), 64), (json!({ "dimensions": 1 }), 1), (json!({ "dimensions": 4096 }), 4096)] {
        assert_eq!(vector(&embed(&mock, asked).await, 0).len(), numbers);
    }
    let floats = vector(&embed(&mock, json!({})).await, 0);
    let encoded = embed(&mock, json!({ "encoding_format": "base64" })).await.json();
    let bytes = BASE64_STANDARD.decode(encoded["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let decoded: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(decoded, floats);
    for (input, tokens) in [(json!([1, 2, 3]), 3), (json!([[1, 2], [3]]), 3), (json!("a b"), 2)] {
        assert_eq!(embed(&mock, json!({ "input": input })).await.json()["usage"]["prompt_tokens"], tokens);
    }
}

#[tokio::test]
async fn what_cannot_be_embedded_is_refused_by_name() {
    let mock = Mock::start().await;
    for (fields, param) in [
        (json!({ "input": [] }), "input"),
        (json!({ "input": vec!["x"; 2049] }), "input"),
        (json!({ "input": { "text": "x" } }), "input"),
        (json!({ "dimensions": 0 }), "dimensions"),
        (json!({ "dimensions": 4097 }), "dimensions"),
        (json!({ "dimensions": -1 }), "dimensions"),
        (json!({ "encoding_format": "hex" }), "encoding_format"),
        (json!({ "model": "mock+nonsense" }), "model"),
    ] {
        let got = embed(&mock, fields).await;
        assert_eq!(got.refusal(), (400, "invalid_request".to_owned()), "{}", got.body);
        assert_eq!(got.json()["error"]["param"], param, "{}", got.body);
    }
    assert_eq!(embed(&mock, json!({ "model": "ada" })).await.refusal(), (404, "model_not_found".to_owned()));
}

#[tokio::test]
async fn embeddings_fail_as_chats_do() {
    let mock = Mock::start().await;
    let got = embed(&mock, json!({ "model": "mock-embedding+status=429,retry_after=3" })).await;
    assert_eq!((got.status, got.header("retry-after")), (429, "3"));
    let cut = mock.post("/v1/embeddings", r#"{"model":"mock-embedding+truncate","input":"x"}"#).send().await.unwrap();
    assert!(cut.text().await.is_err());
    assert_eq!(mock.last().await["outcome"], "cut");
    let broken = embed(&mock, json!({ "model": "mock-embedding+malformed=1" })).await;
    assert!(serde_json::from_str::<Value>(&broken.body).is_err());
}
