//! What one request may ask of the gateway: its own limits, its model, no fallback.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::app::{Answer, App};
use crate::fake::{Act, Fake, chunk, chunk_json, completion, error, stream_head, whole_stream};

const STREAM: &str = r#"{"model":"m","messages":[],"stream":true}"#;

#[tokio::test]
async fn a_provider_that_does_not_begin_in_time_is_left_for_the_next() {
    let (slow, good) = (Fake::always([stream_head(), Act::Wait]).await, Fake::always(whole_stream()).await);
    let app = App::in_front_of(&[&slow.url, &good.url], &[]).await;
    let request = app.post("/v1/chat/completions", STREAM).header("x-vx11-ttft-timeout-ms", "2000");
    let got = Answer::of(request).await;
    assert_eq!((got.status, got.header("x-vx11-provider"), got.events().last()), (200, "b", Some(&"[DONE]")));
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0, "a caller in a hurry proves nothing");

    let configured = [("VX11_SWITCH__PROVIDERS__A__TTFT_TIMEOUT", "300ms")];
    let app = App::in_front_of(&[&slow.url, &good.url], &configured).await;
    assert_eq!(app.stream().await.header("x-vx11-provider"), "b");
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 1);
}

#[tokio::test]
async fn a_provider_that_takes_no_connection_in_time_is_left_for_the_next() {
    // It takes connections, and shakes nobody's hand.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (silent, good) = (format!("https://{}", silent.local_addr().unwrap()), Fake::always([completion("hi")]).await);
    let long = [("VX11_SWITCH__PROVIDERS__A__CONNECT_TIMEOUT", "1h"), ("VX11_SWITCH__PROVIDERS__A__TIMEOUT", "1h")];
    let app = App::in_front_of(&[&silent, &good.url], &long).await;
    let ask = || app.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#);
    let got = Answer::of(ask().header("x-vx11-connect-timeout-ms", "100")).await;
    assert_eq!((got.status, got.header("x-vx11-provider")), (200, "b"));
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0, "a caller in a hurry proves nothing");

    let short = [("VX11_SWITCH__PROVIDERS__A__CONNECT_TIMEOUT", "100ms"), ("VX11_SWITCH__RETRIES__ATTEMPTS", "0")];
    let app = App::in_front_of(&[&silent, &good.url], &short).await;
    let ask = || app.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#);
    let got = Answer::of(ask().header("x-vx11-connect-timeout-ms", "3600000")).await;
    assert_eq!((got.status, got.header("x-vx11-provider")), (200, "b"));
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 1, "the provider's own limit is the shorter one");
}

#[tokio::test]
async fn the_limit_of_silence_holds_within_a_stream() {
    let stalling = Fake::always([stream_head(), chunk("Hel"), Act::Wait]).await;
    for (providers, callers, failures) in [("1h", "300", 0), ("300ms", "3600000", 1)] {
        let own = [("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", providers)];
        let app = App::in_front_of(&[&stalling.url], &own).await;
        let request = app.post("/v1/chat/completions", STREAM).header("x-vx11-idle-timeout-ms", callers);
        let got = Answer::of(request).await;
        assert!(got.body.contains("stalled"), "{}: {}", got.status, got.body);
        assert_eq!(app.provider("a").await["breaker"]["failure_count"], failures, "the provider has {providers}");
    }
}

#[tokio::test]
async fn the_limit_of_the_whole_holds_within_a_stream() {
    let stalling = Fake::always([stream_head(), chunk("Hel"), Act::Wait]).await;
    let app = App::in_front_of(&[&stalling.url], &[]).await;
    let request = app.post("/v1/chat/completions", STREAM).header("x-vx11-timeout-ms", "2000");
    let got = Answer::of(request).await;
    let last: serde_json::Value = serde_json::from_str(got.events().last().unwrap()).unwrap();
    assert_eq!((got.status, last["error"]["code"].as_str()), (200, Some("deadline_exceeded")));
}

#[tokio::test]
async fn the_limit_of_the_whole_holds_before_an_answer() {
    let silent = Fake::always([Act::Wait]).await;
    let app = App::in_front_of(&[&silent.url], &[]).await;
    let request = app.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#).header("x-vx11-timeout-ms", "300");
    assert_eq!(Answer::of(request).await.status, 504);
}

#[tokio::test]
async fn a_header_names_the_model_and_another_turns_fallbacks_off() {
    let (bad, good) = (Fake::always([error(503, "")]).await, Fake::always([completion("hi")]).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    let ask = |name: &'static str, value: &'static str| {
        Answer::of(app.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#).header(name, value))
    };
    let got = ask("x-vx11-model", "b/m-b").await;
    assert_eq!((got.status, got.header("x-vx11-attempts"), bad.requests().len()), (200, "1", 0));
    assert_eq!((ask("x-vx11-fallback", "off").await.status, good.requests().len()), (503, 1));
    assert_eq!(ask("x-vx11-fallback", "on").await.status, 200);
}

#[tokio::test]
async fn a_header_that_makes_no_sense_is_refused() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for (name, value) in [
        ("x-vx11-timeout-ms", "soon"),
        ("x-vx11-timeout-ms", "0"),
        ("x-vx11-ttft-timeout-ms", "-1"),
        ("x-vx11-connect-timeout-ms", "1.5"),
        ("x-vx11-idle-timeout-ms", ""),
        ("x-vx11-fallback", "maybe"),
    ] {
        let request = app.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#).header(name, value);
        let got = Answer::of(request).await;
        assert_eq!(got.status, 400, "{name}: {value}");
        assert!(got.body.contains(name), "{}", got.body);
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn comments_do_not_make_a_stream_go_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let said = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {}\n\n", chunk_json("Hel"));
    let pinging = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        // Who answers before it was asked is no server.
        assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
        connection.write_all(said.as_bytes()).await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while connection.write_all(b": still here\n\n").await.is_ok() {
            tick.tick().await;
        }
    });
    let idle = [("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", "1s")];
    let got = App::in_front_of(&[&url], &idle).await.stream().await;
    assert!(got.body.contains("stalled"), "{}: {}", got.status, got.body);
    pinging.await.unwrap();
}
