//! A caller that goes away takes its provider call along.

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};

use crate::app::{Answer, App, eventually};
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

#[tokio::test]
async fn going_away_before_there_is_a_connection_costs_nothing() {
    // It takes a connection, and never shakes hands.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let patient =
        [("VX11_SWITCH__PROVIDERS__A__CONNECT_TIMEOUT", "20s"), ("VX11_SWITCH__PROVIDERS__A__TIMEOUT", "20s")];
    let app = App::in_front_of(&[&url], &patient).await;
    let mut connections = Vec::new();
    for stream in ["false", "true"] {
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"one two three"}}],"stream":{stream}}}"#);
        let request = tokio::spawn(app.post("/v1/chat/completions", body).send());
        connections.push(listener.accept().await.unwrap());
        request.abort();
    }
    let cancelled = r#"vx11_provider_requests_total{model="m-a",outcome="cancelled",provider="a"}"#;
    app.wait_for_metric(cancelled, 2.0).await;
    let usage = async || Answer::of(app.get("/switch/usage")).await.json()["rows"][0].clone();
    eventually("both are in the ledger", async || usage().await["requests"] == 2).await;
    let usage = usage().await;
    assert_eq!((usage["prompt_tokens"].as_u64(), usage["estimated_requests"].as_u64()), (Some(0), Some(0)), "{usage}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_caller_that_reads_nothing_and_goes_on_answering_is_given_up() {
    // More than the buffers between the two hold.
    let mut acts = vec![stream_head()];
    acts.extend(std::iter::repeat_with(|| chunk(&"x".repeat(100_000))).take(200));
    acts.push(Act::Wait);
    let fake = Fake::always(acts).await;
    let app = App::in_front_of(&[&fake.url], &[("VX11_HTTP__SEND_TIMEOUT", "1s")]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut caller = socket.connect(app.address()).await.unwrap();
    let body = r#"{"model":"m","messages":[],"stream":true}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer test\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    caller.write_all(request.as_bytes()).await.unwrap();
    app.wait_for_metric("vx11_streams_active", 1.0).await;
    app.wait_for_metric("vx11_streams_active", 0.0).await;
    let cancelled = r#"vx11_provider_requests_total{model="m-a",outcome="cancelled",provider="a"}"#;
    assert_eq!(app.metric(cancelled).await, 1.0);
    drop(caller);
}
