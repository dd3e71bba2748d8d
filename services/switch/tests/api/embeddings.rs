//! `POST /v1/embeddings`.

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, answer, error};

const GEMINI: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__KIND", "gemini");

const EMBEDDINGS: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-2e-3]},{"object":"embedding","index":1,"embedding":"zczMPQ=="}],
 "model":"real","usage":{"prompt_tokens":7,"total_tokens":7},"x_vendor":1.0}"#;

#[tokio::test]
async fn bytes_go_through_and_tokens_are_counted() {
    let fake = Fake::always([answer(200, "x-request-id: req-1\r\n", EMBEDDINGS)]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let body =
        r#"{"input": ["a","b"], "model":"m","dimensions":2,"encoding_format":"float","stream":"ignored","x":1e3}"#;
    let got = Answer::of(app.post("/v1/embeddings", body)).await;
    assert_eq!((got.status, got.body.as_str()), (200, EMBEDDINGS));
    assert_eq!(
        (got.header("x-vx11-provider"), got.header("x-vx11-model"), got.header("x-request-id")),
        ("a", "m-a", "req-1")
    );
    let requests = fake.requests();
    let (head, sent) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/embeddings HTTP/1.1\r\n"), "{head}");
    assert_eq!(sent, body.replace("\"m\"", "\"m-a\""));
    assert_eq!(app.metric(r#"vx11_tokens_total{kind="prompt",model="m-a",provider="a"}"#).await, 7.0);
}

#[tokio::test]
async fn another_provider_covers_for_one_that_fails_and_a_refusal_is_passed_on() {
    for fault in [vec![error(500, "")], vec![Act::Reset], vec![answer(200, "", r#"{"object":"list","data":[]}"#)]] {
        let (bad, good) = (Fake::always(fault).await, Fake::always([answer(200, "", EMBEDDINGS)]).await);
        let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
        let got = Answer::of(app.post("/v1/embeddings", r#"{"model":"m","input":"a"}"#)).await;
        assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")), (200, "b", "2"));
    }
    let refusing = Fake::always([error(400, "")]).await;
    let app = App::in_front_of(&[&refusing.url], &[]).await;
    let got = Answer::of(app.post("/v1/embeddings", r#"{"model":"m","input":[[1,2]]}"#)).await;
    assert_eq!((got.status, got.json()["error"]["message"].as_str()), (400, Some("provider says 400")));
}

#[tokio::test]
async fn gemini_embeds_texts_in_its_own_words() {
    let vectors = |usage: &str| {
        answer(200, "", &format!(r#"{{"embeddings":[{{"values":[0.50,-2e-3]}},{{"values":[1]}}]{usage}}}"#))
    };
    for (usage, tokens) in [(r#","usageMetadata":{"promptTokenCount":7}"#, Some(7)), ("", None)] {
        let fake = Fake::always([vectors(usage)]).await;
        let app = App::in_front_of(&[&fake.url], &[GEMINI]).await;
        let body = r#"{"model":"m","input":["a","b"],"dimensions":2,"encoding_format":"float"}"#;
        let got = Answer::of(app.post("/v1/embeddings", body)).await;
        assert_eq!((got.status, got.header("x-vx11-model")), (200, "m-a"), "{}", got.body);
        assert_eq!(
            (&got.json()["data"][0]["embedding"], &got.json()["data"][1]["index"]),
            (&json!([0.5, -0.002]), &json!(1))
        );
        let requests = fake.requests();
        let (head, sent) = requests[0].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/models/m-a:batchEmbedContents HTTP/1.1\r\n"), "{head}");
        let sent: Value = serde_json::from_str(sent).unwrap();
        let one = |text: &str| json!({"model": "models/m-a", "content": {"parts": [{"text": text}]}, "outputDimensionality": 2});
        assert_eq!(sent, json!({"requests": [one("a"), one("b")]}));
        let told = got.json()["usage"]["prompt_tokens"].as_u64().unwrap();
        assert_eq!((told, &got.json()["usage"]["total_tokens"]), (tokens.unwrap_or(told), &json!(told)));
        assert!(told > 0, "estimated where Gemini does not say it");
        eventually("the row is written", async || {
            !Answer::of(app.get("/switch/usage")).await.json()["rows"][0].is_null()
        })
        .await;
        let row = Answer::of(app.get("/switch/usage")).await.json()["rows"][0].clone();
        assert_eq!(
            (&row["prompt_tokens"], &row["estimated_requests"]),
            (&json!(told), &json!(u64::from(tokens.is_none())))
        );
    }
}

#[tokio::test]
async fn what_gemini_cannot_embed_is_refused_by_name_or_goes_elsewhere() {
    let fake = Fake::always([answer(200, "", EMBEDDINGS)]).await;
    let body = r#"{"model":"m","input":[[1,2]]}"#;
    let alone = App::in_front_of(&[&fake.url], &[GEMINI]).await;
    let got = Answer::of(alone.post("/v1/embeddings", body)).await;
    assert_eq!((got.status, got.code(), got.json()["error"]["param"].as_str()), (400, "untranslatable", Some("input")));
    assert!(fake.requests().is_empty());
    let with_another = App::in_front_of(&[&fake.url, &fake.url], &[GEMINI]).await;
    let got = Answer::of(with_another.post("/v1/embeddings", body)).await;
    assert_eq!((got.status, got.header("x-vx11-provider")), (200, "b"));
}

#[tokio::test]
async fn bad_requests_reach_no_provider() {
    let fake = Fake::always([answer(200, "", EMBEDDINGS)]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for (body, status, code, param) in [
        ("{", 400, "invalid_request", None),
        (r#"{"model":"m"}"#, 400, "invalid_request", Some("input")),
        (r#"{"model":"m","input":7}"#, 400, "invalid_request", Some("input")),
        (r#"{"input":"a"}"#, 400, "invalid_request", Some("model")),
        (r#"{"model":"gpt-9","input":"a"}"#, 404, "model_not_found", None),
    ] {
        let got = Answer::of(app.post("/v1/embeddings", body)).await;
        let error = &got.json()["error"];
        assert_eq!(
            (got.status, error["code"].as_str(), error["param"].as_str()),
            (status, Some(code), param),
            "{body}"
        );
    }
    assert_eq!(Answer::of(app.get("/v1/embeddings")).await.status, 405);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_batch_of_many_megabytes_comes_through() {
    let vectors = format!(r#"{{"object":"list","data":[{{"index":0,"embedding":"{}"}}]}}"#, "A".repeat(10 << 20));
    let fake = Fake::always([answer(200, "", &vectors)]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = Answer::of(app.post("/v1/embeddings", r#"{"model":"m","input":"a"}"#)).await;
    assert_eq!((got.status, got.body.len()), (200, vectors.len()));
}
