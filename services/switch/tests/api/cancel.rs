//! A caller that goes away takes its provider call along.

use crate::app::{App, eventually};
use crate::fake::{Act, Fake, chunk, stream_head};

#[tokio::test]
async fn dropping_a_stream_closes_the_providers_connection_and_counts_what_came() {
    let fake = Fake::always([stream_head(), chunk("Hel"), chunk("lo"), Act::Wait]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for (path, body) in [
        ("/v1/chat/completions", r#"{"model":"m","messages":[],"stream":true}"#),
        (
            "/switch/chat",
            r#"{"messages":[{"role":"user","content":"x"}],"session_id":"s","correlation_id":"c","stream":true}"#,
        ),
    ] {
        let gone = fake.hung_up();
        let mut response = app.post(path, body).send().await.unwrap();
        let mut text = String::new();
        while !text.contains("lo") {
            text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
        }
        assert_eq!(app.metric("vx11_streams_active").await, 1.0);
        drop(response);
        eventually("the provider sees its caller go", async || fake.hung_up() == gone + 1).await;
        app.wait_for_metric("vx11_streams_active", 0.0).await;
    }
    let cancelled = r#"vx11_provider_requests_total{model="m-a",outcome="cancelled",provider="a"}"#;
    app.wait_for_metric(cancelled, 2.0).await;
    assert_eq!(app.metric(r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#).await, 4.0);
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0);
}

#[tokio::test]
async fn going_away_before_any_answer_closes_it_too() {
    let fake = Fake::always([Act::Wait]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for stream in ["false", "true"] {
        let gone = fake.hung_up();
        let body = format!(r#"{{"model":"m","messages":[],"stream":{stream}}}"#);
        let request = tokio::spawn(app.post("/v1/chat/completions", body).send());
        eventually("the provider is asked", async || fake.requests().len() == gone + 1).await;
        request.abort();
        eventually("the provider sees its caller go", async || fake.hung_up() == gone + 1).await;
    }
}

#[tokio::test]
async fn stopping_waits_for_nobody_who_is_gone() {
    let fake = Fake::always([stream_head(), chunk("Hel"), Act::Wait]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let body = r#"{"model":"m","messages":[],"stream":true}"#;
    drop(app.post("/v1/chat/completions", body).send().await.unwrap());
    app.stop().await;
}
