//! The list of models, and the key.

use serde_json::json;

use crate::mock::{Answer, Mock};

#[tokio::test]
async fn every_listed_model_is_there_and_answers() {
    let mock = Mock::start().await;
    let list = Answer::of(mock.get("/v1/models")).await.json();
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap();
    assert!(models.iter().any(|model| model["id"] == "mock"));
    for model in models {
        let id = model["id"].as_str().unwrap();
        assert_eq!(&Answer::of(mock.get(&format!("/v1/models/{id}"))).await.json(), model);
        assert_eq!(model["object"], "model");
        assert_eq!(mock.chat(json!({ "model": id })).await.json()["model"], id);
    }
    let got = Answer::of(mock.get("/v1/models/gpt-9")).await;
    assert_eq!(got.refusal(), (404, "model_not_found".to_owned()));
}

#[tokio::test]
async fn a_configured_key_is_asked_for_and_not_remembered() {
    let mock = Mock::with(&[("VX11_MOCK_PROVIDER__API_KEY", "sk-right")]).await;
    for path in ["/v1/models", "/v1/models/mock"] {
        assert_eq!(Answer::of(mock.get(path)).await.refusal(), (401, "invalid_api_key".to_owned()));
        assert_eq!(Answer::of(mock.get(path).bearer_auth("sk-wrong")).await.status, 401);
        assert_eq!(Answer::of(mock.get(path).bearer_auth("sk-right")).await.status, 200);
    }
    let chat = || mock.completion(&json!({}));
    let embed = || mock.post("/v1/embeddings", r#"{"model":"mock","input":"x"}"#);
    for (without, with) in [(chat(), chat()), (embed(), embed())] {
        assert_eq!(Answer::of(without).await.refusal(), (401, "invalid_api_key".to_owned()));
        assert_eq!(Answer::of(with.bearer_auth("sk-right")).await.status, 200);
    }
    let log = Answer::of(mock.get("/admin/requests")).await;
    assert!(log.json()[0]["key_hash"].as_str().is_some_and(|hash| hash.len() == 8), "{}", log.body);
    assert!(!log.body.contains("sk-right"), "{}", log.body);
}
