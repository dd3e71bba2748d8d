//! A provider that has as much work as it takes: who waits, who goes first, who is refused.

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, chunk, completion, stream_head};

/// One call at a time.
const ONE: &str = r#"{initial=1, min=1, max=1, queue=2, queue_timeout="20s"}"#;
const BODY: &str = r#"{"model":"m","messages":[]}"#;
const STREAM: &str = r#"{"model":"m","messages":[],"stream":true}"#;

/// A provider that is busy with its first request until the caller goes, and answers all others.
async fn busy() -> Fake {
    Fake::start(
        |request| if request == 0 { vec![stream_head(), chunk("Hel"), Act::Wait] } else { vec![completion("hi")] },
    )
    .await
}

async fn waiting(app: &App, priority: &str, count: u64) {
    eventually("they wait", async || app.provider("a").await["queue"][priority].as_u64() == Some(count)).await;
}

#[tokio::test]
async fn the_urgent_go_first_and_a_caller_that_leaves_makes_room() {
    let fake = busy().await;
    let app = App::in_front_of(&[&fake.url], &[("VX11_SWITCH__PROVIDERS__A__CONCURRENCY", ONE)]).await;
    let first = app.post("/v1/chat/completions", STREAM).send().await.unwrap();
    assert_eq!(app.provider("a").await["concurrency"], serde_json::json!({"limit": 1, "in_flight": 1}));
    let ask = |priority: &'static str| {
        let body = BODY.replace("[]", &format!(r#"[{{"role":"user","content":"{priority}"}}]"#));
        tokio::spawn(Answer::of(app.post("/v1/chat/completions", body).header("x-vx11-priority", priority)))
    };
    let batch = ask("batch");
    waiting(&app, "batch", 1).await;
    let interactive = ask("interactive");
    waiting(&app, "interactive", 1).await;
    assert_eq!(app.metric(r#"vx11_provider_queue_depth{priority="batch",provider="a"}"#).await, 1.0);
    drop(first);
    assert_eq!((batch.await.unwrap().status, interactive.await.unwrap().status), (200, 200));
    let requests = fake.requests();
    assert!(requests[1].contains("interactive") && requests[2].contains("batch"), "{requests:?}");
    eventually("every place is free", async || app.provider("a").await["concurrency"]["in_flight"] == 0).await;
}

#[tokio::test]
async fn who_finds_no_room_is_refused_at_once_and_hears_when_to_come_back() {
    let fake = busy().await;
    let none = r#"{initial=1, min=1, max=1, queue=0}"#;
    let app = App::in_front_of(&[&fake.url], &[("VX11_SWITCH__PROVIDERS__A__CONCURRENCY", none)]).await;
    let _first = app.post("/v1/chat/completions", STREAM).send().await.unwrap();
    let got = app.complete().await;
    assert_eq!((got.status, got.code()), (503, "overloaded"));
    assert!(got.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_busy_provider_is_left_for_the_next_target() {
    let (busy, free) = (busy().await, Fake::always([completion("hi")]).await);
    let short = r#"{initial=1, min=1, max=1, queue=5, queue_timeout="50ms"}"#;
    let app = App::in_front_of(&[&busy.url, &free.url], &[("VX11_SWITCH__PROVIDERS__A__CONCURRENCY", short)]).await;
    let _first = app.post("/v1/chat/completions", STREAM).send().await.unwrap();
    let got = app.complete().await;
    assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")), (200, "b", "1"));
    assert_eq!(app.metric(r#"vx11_fallbacks_total{reason="overloaded"}"#).await, 1.0);
}

#[tokio::test]
async fn one_tenants_flood_is_that_tenants_wait_however_urgent_it_is() {
    let fake = busy().await;
    let app = App::in_front_of(&[&fake.url], &[("VX11_SWITCH__PROVIDERS__A__CONCURRENCY", ONE)]).await;
    let first = app.post("/v1/chat/completions", STREAM).send().await.unwrap();
    let ask = |org: &'static str, priority: &'static str| {
        let request = app.post("/v1/chat/completions", BODY).header("x-vx11-org", org);
        tokio::spawn(Answer::of(request.header("x-vx11-priority", priority)))
    };
    let one = ask("flood", "interactive");
    waiting(&app, "interactive", 1).await;
    let two = ask("flood", "interactive");
    waiting(&app, "interactive", 2).await;
    let other = ask("small", "normal");
    assert_eq!(two.await.unwrap().status, 503, "the newest of whoever has most gives way, however urgent");
    drop(first);
    assert_eq!((one.await.unwrap().status, other.await.unwrap().status), (200, 200));
}

#[tokio::test]
async fn a_caller_that_leaves_the_queue_leaves_no_trace() {
    let fake = busy().await;
    let app = App::in_front_of(&[&fake.url], &[("VX11_SWITCH__PROVIDERS__A__CONCURRENCY", ONE)]).await;
    let _first = app.post("/v1/chat/completions", STREAM).send().await.unwrap();
    let gone = tokio::spawn(app.post("/v1/chat/completions", BODY).send());
    waiting(&app, "normal", 1).await;
    gone.abort();
    waiting(&app, "normal", 0).await;
    assert_eq!(fake.requests().len(), 1);
}
