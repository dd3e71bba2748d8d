//! The breaker of a provider, as callers see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, chunk, completion, error, stream_head, whole_stream};

#[tokio::test]
async fn after_three_failures_a_provider_is_left_alone() {
    let (bad, good) = (Fake::always([error(503, "")]).await, Fake::always([completion("hi")]).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    for _ in 0..5 {
        assert_eq!(app.complete().await.status, 200);
    }
    assert_eq!((bad.requests().len(), good.requests().len()), (3, 5));
    let breaker = app.provider("a").await["breaker"].clone();
    assert_eq!((breaker["state"].as_str(), breaker["failure_count"].as_u64()), (Some("open"), Some(3)));
    assert_eq!(app.metric(r#"vx11_circuit_breaker_state{target="a/m-a"}"#).await, 1.0);
    assert_eq!(app.metric(r#"vx11_fallbacks_total{reason="circuit_open"}"#).await, 2.0);
    let ready = Answer::of(app.get("/ready")).await;
    assert_eq!((ready.status, ready.json()["status"].as_str()), (200, Some("degraded")));
    assert_eq!(ready.json()["dependencies"]["a"]["status"], "degraded");
    assert_eq!(ready.json()["dependencies"]["deepseek_r1"]["status"], "up", "no key is no fault");
}

#[tokio::test]
async fn with_every_breaker_open_callers_hear_when_to_come_back() {
    let bad = Fake::always([error(500, "")]).await;
    let app = App::in_front_of(&[&bad.url], &[("VX11_SWITCH__PROVIDERS__A__BREAKER__FAILURE_THRESHOLD", "1")]).await;
    assert_eq!(app.complete().await.status, 500, "the provider's own answer");
    for got in [app.complete().await, app.stream().await] {
        assert_eq!((got.status, got.code()), (503, "service_unavailable"));
        assert!((1..=30).contains(&got.header("retry-after").parse::<u64>().unwrap()));
    }
    let got = app.chat(serde_json::json!({})).await;
    assert_eq!((got.status, got.code()), (503, "service_unavailable"));
    assert!(
        got.json()["retry_after"].is_u64() && got.json()["detail"].as_str().unwrap().contains("a/m-a: circuit_open")
    );
    assert_eq!(bad.requests().len(), 1);
}

#[tokio::test]
async fn one_good_answer_after_the_pause_closes_it_again() {
    for streamed in [false, true] {
        let script = move |request: usize| match (request, streamed) {
            (0, _) => vec![error(500, "")],
            (_, false) => vec![completion("hi")],
            (_, true) => whole_stream(),
        };
        let fake = Fake::start(script).await;
        let limits = [
            ("VX11_SWITCH__PROVIDERS__A__BREAKER__FAILURE_THRESHOLD", "1"),
            ("VX11_SWITCH__PROVIDERS__A__BREAKER__OPEN_FOR", "100ms"),
        ];
        let app = App::in_front_of(&[&fake.url], &limits).await;
        assert_eq!(app.complete().await.status, 500);
        eventually("the pause is over", async || app.provider("a").await["breaker"]["state"] == "half_open").await;
        assert_eq!(app.metric(r#"vx11_circuit_breaker_state{target="a/m-a"}"#).await, 2.0);
        let got = if streamed { app.stream().await } else { app.complete().await };
        assert_eq!(got.status, 200);
        assert_eq!(app.provider("a").await["breaker"]["state"], "closed");
    }
}

#[tokio::test]
async fn a_stream_that_has_begun_is_proof_enough_while_it_goes_on() {
    let script = |request: usize| match request {
        0 => vec![error(500, "")],
        1 => vec![stream_head(), chunk("Hel"), Act::Wait],
        _ => vec![completion("hi")],
    };
    let fake = Fake::start(script).await;
    let limits = [
        ("VX11_SWITCH__PROVIDERS__A__BREAKER__FAILURE_THRESHOLD", "1"),
        ("VX11_SWITCH__PROVIDERS__A__BREAKER__OPEN_FOR", "50ms"),
    ];
    let app = App::in_front_of(&[&fake.url], &limits).await;
    app.complete().await;
    eventually("the pause is over", async || app.provider("a").await["breaker"]["state"] == "half_open").await;
    let probe = app.post("/v1/chat/completions", r#"{"model":"m","messages":[],"stream":true}"#).send().await.unwrap();
    assert_eq!(probe.status(), 200);
    assert_eq!(app.complete().await.status, 200, "nobody waits for the end of the first stream");
}

#[tokio::test]
async fn one_model_of_a_provider_may_fail_while_another_is_asked() {
    let script = |request: usize| if request < 3 { vec![error(503, "")] } else { vec![completion("hi")] };
    let fake = Fake::start(script).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for _ in 0..3 {
        assert_eq!(app.complete().await.status, 503);
    }
    assert_eq!(app.complete().await.json()["error"]["code"], "service_unavailable", "open for a lone deployment too");
    let other = app.post("/v1/chat/completions", r#"{"model":"any-other","messages":[]}"#);
    assert_eq!(Answer::of(other).await.status, 200);
    let live = app.provider("a").await["live"].clone();
    assert_eq!((live[0]["model"].as_str(), live[0]["breaker"]["state"].as_str()), (Some("any-other"), Some("closed")));
    assert_eq!((live[1]["model"].as_str(), live[1]["breaker"]["state"].as_str()), (Some("m-a"), Some("open")));
    assert!(live[1]["error_rate"].as_f64().unwrap() > 0.0);
}

/// A provider, and the status that it answers with.
async fn told_what_to_say() -> (Fake, Arc<AtomicU16>) {
    let says = Arc::new(AtomicU16::new(200));
    let said = says.clone();
    let script = move |_| match said.load(Ordering::SeqCst) {
        200 => vec![completion("hi")],
        status => vec![error(status, "")],
    };
    (Fake::start(script).await, says)
}

async fn ask(app: &App, model: &str) -> Answer {
    Answer::of(app.post("/v1/chat/completions", format!(r#"{{"model":"{model}","messages":[]}}"#))).await
}

/// The state of the breaker of one model at `a`, by the name that is asked for.
async fn state(app: &App, model: &str) -> Option<String> {
    let provider = app.provider("a").await;
    let row = provider["live"].as_array().unwrap().iter().find(|row| row["model"] == model)?.clone();
    Some(row["breaker"]["state"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn models_of_one_pattern_have_a_breaker_each() {
    let (fake, says) = told_what_to_say().await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    says.store(500, Ordering::SeqCst);
    for way in ["any-bad", "a/any-bad", "any-bad"] {
        assert_eq!(ask(&app, way).await.status, 500);
    }
    assert_eq!(ask(&app, "any-bad").await.json()["error"]["code"], "service_unavailable");
    assert_eq!(fake.requests().len(), 3, "it is not asked any more, whichever way leads to it");
    says.store(200, Ordering::SeqCst);
    assert_eq!(ask(&app, "any-good").await.status, 200);
    says.store(404, Ordering::SeqCst);
    assert_eq!(ask(&app, "any-made-up").await.status, 404, "what is not there says nothing");
    assert_eq!(state(&app, "any-bad").await.as_deref(), Some("open"));
    assert_eq!(state(&app, "any-good").await.as_deref(), Some("closed"));

    assert_eq!(app.provider("a").await["health"], "degraded");
    assert_eq!(app.metric(r#"vx11_circuit_breaker_state{target="a/any-*"}"#).await, 1.0, "the worst of its models");
    let metrics = Answer::of(app.get("/metrics")).await.body;
    assert!(!metrics.contains("any-bad") && !metrics.contains("any-made-up"), "no label is a caller's word");
    let ready = Answer::of(app.get("/ready")).await.body;
    assert!(ready.contains("for any-* is open") && !ready.contains("any-bad"), "{ready}");
}

#[tokio::test]
async fn names_that_are_made_up_do_not_make_an_open_breaker_forgotten() {
    let (fake, says) = told_what_to_say().await;
    let once = [("VX11_SWITCH__PROVIDERS__A__BREAKER__FAILURE_THRESHOLD", "1")];
    let app = App::in_front_of(&[&fake.url], &once).await;
    assert_eq!(ask(&app, "any-good").await.status, 200);
    says.store(500, Ordering::SeqCst);
    assert_eq!(ask(&app, "any-bad").await.status, 500);
    says.store(404, Ordering::SeqCst);
    for number in 0..300 {
        assert_eq!(ask(&app, &format!("any-made-up-{number}")).await.status, 404);
    }
    let before = fake.requests().len();
    assert_eq!(ask(&app, "any-bad").await.json()["error"]["code"], "service_unavailable");
    assert_eq!(fake.requests().len(), before);
    assert_eq!(state(&app, "any-good").await.as_deref(), Some("closed"), "what was answered is known");
    assert_eq!(app.provider("a").await["live"].as_array().unwrap().len(), 256);
}

#[tokio::test]
async fn a_large_share_of_failures_opens_it_too() {
    let script = |request: usize| if request.is_multiple_of(2) { vec![completion("hi")] } else { vec![error(500, "")] };
    let fake = Fake::start(script).await;
    let rate = [("VX11_SWITCH__PROVIDERS__A__BREAKER__FAILURE_RATE", r#"{percent=50,min_calls=6,window="60s"}"#)];
    let app = App::in_front_of(&[&fake.url], &rate).await;
    for _ in 0..6 {
        app.complete().await;
    }
    assert_eq!(app.complete().await.json()["error"]["code"], "service_unavailable");
    assert_eq!(fake.requests().len(), 6);
}

#[tokio::test]
async fn with_the_flag_off_a_provider_is_asked_however_often_it_fails() {
    let fake = Fake::always([error(500, "")]).await;
    let off = [("VX11_SWITCH__USE_CIRCUIT_BREAKERS", "false")];
    let app = App::in_front_of(&[&fake.url], &off).await;
    for _ in 0..5 {
        assert_eq!(app.complete().await.status, 500);
    }
    let breaker = app.provider("a").await["breaker"].clone();
    assert_eq!((breaker["state"].as_str(), breaker["failure_count"].as_u64()), (Some("closed"), Some(5)));
    assert_eq!(fake.requests().len(), 5);
}
