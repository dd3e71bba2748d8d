//! The configuration is read again while the gateway runs.

use std::path::Path;

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, chunk, completion, error, stream_head};

/// One model `m` at these providers, `a`, `b`, … in this order.
fn write(file: &Path, fakes: &[&Fake]) {
    let mut text = String::from("[switch.retries]\nattempts = 0\n");
    let names: Vec<char> = ('a'..).take(fakes.len()).collect();
    for (name, fake) in names.iter().zip(fakes) {
        text += &format!("[switch.providers.{name}]\nbase_url = \"{}/v1\"\nmodels = [\"m-{name}\"]\n", fake.url);
    }
    let targets: Vec<String> = names.iter().rev().map(|name| format!("\"{name}/m-{name}\"")).collect();
    text += &format!("[switch.models.m]\ntargets = [{}]\n", targets.join(","));
    // At once, so that no half of it is read.
    let whole = file.with_extension("new");
    std::fs::write(&whole, text).unwrap();
    std::fs::rename(whole, file).unwrap();
}

async fn answering() -> Fake {
    Fake::always([completion("hi")]).await
}

#[tokio::test]
async fn a_changed_file_comes_into_force_and_requests_under_way_are_not_disturbed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vx11.toml");
    let script = |request: usize| match request {
        0 => vec![stream_head(), chunk("Hel"), Act::Wait],
        _ => vec![completion("hi")],
    };
    let (a, b) = (Fake::start(script).await, answering().await);
    write(&file, &[&a]);
    let app = App::start_with(Some(&file), &[]).await;
    let mut stream =
        app.post("/v1/chat/completions", r#"{"model":"m","messages":[],"stream":true}"#).send().await.unwrap();
    assert_eq!(stream.status(), 200);

    write(&file, &[&a, &b]);
    eventually("the new target answers", async || app.complete().await.header("x-vx11-provider") == "b").await;
    assert_eq!(app.metric(r#"vx11_config_reloads_total{outcome="applied"}"#).await, 1.0);
    assert_eq!(a.hung_up(), 0, "the stream goes on");
    assert!(stream.chunk().await.unwrap().is_some());
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vx11.toml");
    let (a, b) = (answering().await, answering().await);
    write(&file, &[&a]);
    let app = App::start_with(Some(&file), &[]).await;
    for bad in ["[switch.models.m]\ntargets = [\"nobody/m\"]", "[switch", "[switch]\nbnd = 1"] {
        let refused = app.metric(r#"vx11_config_reloads_total{outcome="refused"}"#).await;
        std::fs::write(&file, bad).unwrap();
        eventually("it is refused", async || {
            app.metric(r#"vx11_config_reloads_total{outcome="refused"}"#).await > refused
        })
        .await;
        assert_eq!(app.metric("vx11_config_refused").await, 1.0);
        assert_eq!(app.complete().await.header("x-vx11-provider"), "a", "{bad}");
    }
    write(&file, &[&a, &b]);
    eventually("the good one comes into force", async || app.complete().await.header("x-vx11-provider") == "b").await;
    assert_eq!(app.metric("vx11_config_refused").await, 0.0);
}

#[tokio::test]
async fn what_was_learnt_about_a_provider_outlives_a_change_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vx11.toml");
    let (a, b) = (Fake::always([error(503, "")]).await, answering().await);
    write(&file, &[&a]);
    let app = App::start_with(Some(&file), &[]).await;
    for _ in 0..3 {
        app.complete().await;
    }
    assert_eq!(app.provider("a").await["breaker"]["state"], "open");
    write(&file, &[&a, &b]);
    eventually("the new target answers", async || app.complete().await.header("x-vx11-provider") == "b").await;
    assert_eq!(app.provider("a").await["breaker"]["state"], "open");
    let ready = Answer::of(app.get("/ready")).await;
    assert_eq!(ready.json()["dependencies"]["a"]["status"], "degraded");
}
