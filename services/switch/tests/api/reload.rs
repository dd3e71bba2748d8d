//! The configuration is read again while the gateway runs.

use std::path::Path;

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, chunk, completion, error, stream_head};

/// One model `m` at these providers, `a`, `b`, … in this order.
fn write(file: &Path, fakes: &[&Fake]) {
    write_with(file, fakes, "");
}

/// The same, and what `more` says.
fn write_with(file: &Path, fakes: &[&Fake], more: &str) {
    let mut text = String::from("[switch.retries]\nattempts = 0\n");
    let names: Vec<char> = ('a'..).take(fakes.len()).collect();
    for (name, fake) in names.iter().zip(fakes) {
        text += &format!("[switch.providers.{name}]\nbase_url = \"{}/v1\"\nmodels = [\"m-{name}\"]\n", fake.url);
    }
    let targets: Vec<String> = names.iter().rev().map(|name| format!("\"{name}/m-{name}\"")).collect();
    text += &format!("[switch.models.m]\ntargets = [{}]\n{more}", targets.join(","));
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
    let ask_unlisted =
        async || Answer::of(app.post("/v1/chat/completions", r#"{"model":"a/unlisted","messages":[]}"#)).await;
    for _ in 0..3 {
        app.complete().await;
        ask_unlisted().await;
    }
    assert_eq!(app.provider("a").await["breaker"]["state"], "open");
    write(&file, &[&a, &b]);
    eventually("the new target answers", async || app.complete().await.header("x-vx11-provider") == "b").await;
    assert_eq!(app.provider("a").await["breaker"]["state"], "open");
    assert_eq!(ask_unlisted().await.json()["error"]["code"], "service_unavailable");
    assert_eq!(a.requests().len(), 6, "nor is a model asked that only a caller named");
    let ready = Answer::of(app.get("/ready")).await;
    assert_eq!(ready.json()["dependencies"]["a"]["status"], "degraded");
}

/// The calls that `key` may still make in its day, as the gateway says on an answer; its status where it is refused.
async fn remaining(app: &App, key: &str) -> Result<u64, u16> {
    let body = r#"{"model":"m","messages":[],"max_tokens":1}"#;
    let answer = Answer::of(app.stranger("/v1/chat/completions").bearer_auth(key).body(body)).await;
    match answer.status {
        200 => Ok(answer.header("x-ratelimit-remaining-requests").parse().expect("a number")),
        refused => Err(refused),
    }
}

#[tokio::test]
async fn keys_come_and_go_while_the_counters_of_the_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vx11.toml");
    let a = answering().await;
    let write_keys = |keys: &[(&str, u32)]| {
        let key = |(name, per_day): &(&str, u32)| {
            let secret = format!("secret_env = \"{}_SECRET\"", name.to_uppercase());
            format!("[switch.keys.{name}]\norg = \"acme\"\n{secret}\nrequests_per_day = {per_day}\n")
        };
        write_with(&file, &[&a], &keys.iter().map(key).collect::<String>());
    };
    write_keys(&[("alice", 10), ("bob", 10)]);
    let app =
        App::start_with(Some(&file), &[("ALICE_SECRET", "sk-a"), ("BOB_SECRET", "sk-b"), ("CAROL_SECRET", "sk-c")])
            .await;
    assert_eq!(remaining(&app, "sk-a").await, Ok(9));
    assert_eq!(remaining(&app, "sk-b").await, Ok(9));
    assert_eq!(remaining(&app, "sk-c").await, Err(401));

    write_keys(&[("alice", 20), ("carol", 5)]);
    eventually("carol is let in", async || remaining(&app, "sk-c").await == Ok(4)).await;
    assert_eq!(remaining(&app, "sk-b").await, Err(401));
    assert_eq!(remaining(&app, "sk-a").await, Ok(18), "its limit is another one, and what it used is known");

    write_keys(&[("alice", 20), ("bob", 10)]);
    eventually("bob is back", async || remaining(&app, "sk-b").await == Ok(8)).await;
    assert_eq!(remaining(&app, "sk-c").await, Err(401));
}

#[tokio::test]
async fn kept_answers_outlive_a_change_that_does_not_concern_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vx11.toml");
    let (a, b) = (answering().await, answering().await);
    let cached = async |app: &App| app.complete().await.header("x-vx11-cache").to_owned();
    let applied = async |app: &App, times: f64| {
        let applied = r#"vx11_config_reloads_total{outcome="applied"}"#;
        eventually("it comes into force", async || app.metric(applied).await == times).await;
    };
    let on = "[switch.cache]\nenabled = true\n";
    write_with(&file, &[&a], on);
    let app = App::start_with(Some(&file), &[]).await;
    assert_eq!((cached(&app).await, cached(&app).await), ("miss".to_owned(), "hit".to_owned()));

    write_with(&file, &[&a], &format!("{on}[switch.prices]\nm = {{ input = 1, output = 1 }}\n"));
    applied(&app, 1.0).await;
    assert_eq!(cached(&app).await, "hit");

    write_with(&file, &[&b], on);
    applied(&app, 2.0).await;
    assert_eq!(cached(&app).await, "miss", "another provider under the same name");

    write_with(&file, &[&b], &format!("{on}ttl = \"9m\"\n"));
    applied(&app, 3.0).await;
    assert_eq!(cached(&app).await, "miss", "another cache");
}

/// One key `alice`, whose secret is in a file, as a configuration and as variables.
const ALICE: &str = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\nrequests_per_day = 1000\n";
const ALICE_VARIABLE: (&str, &str) = ("VX11_SWITCH__KEYS__ALICE__SECRET_ENV", "ALICE_SECRET");
const ALICE_LIMIT: (&str, &str) = ("VX11_SWITCH__KEYS__ALICE__REQUESTS_PER_DAY", "1000");

#[tokio::test]
async fn a_callers_key_is_rotated_by_its_file_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (file, secret) = (directory.path().join("vx11.toml"), directory.path().join("alice"));
    let a = answering().await;
    write_with(&file, &[&a], ALICE);
    let secret_file = ("ALICE_SECRET_FILE", secret.to_str().unwrap());
    let target = format!("{}/v1", a.url);
    let by_variables = [
        ("VX11_SWITCH__PROVIDERS__A__BASE_URL", target.as_str()),
        ("VX11_SWITCH__PROVIDERS__A__MODELS", "[\"m\"]"),
        ALICE_VARIABLE,
        ALICE_LIMIT,
        secret_file,
    ];
    for (file, variables) in [(Some(file.as_path()), &[secret_file][..]), (None, &by_variables)] {
        std::fs::write(&secret, "sk-1\n").unwrap();
        let app = App::start_with(file, variables).await;
        assert_eq!(remaining(&app, "sk-1").await, Ok(999));
        std::fs::write(&secret, "sk-2\n").unwrap();
        eventually("the new key is let in", async || remaining(&app, "sk-2").await == Ok(998)).await;
        assert_eq!(remaining(&app, "sk-1").await, Err(401));

        std::fs::remove_file(&secret).unwrap();
        eventually("it is missed", async || app.metric("vx11_config_refused").await == 1.0).await;
        assert_eq!(remaining(&app, "sk-2").await, Ok(997), "the one before stays");
        std::fs::write(&secret, "sk-3\n").unwrap();
        eventually("it is back", async || remaining(&app, "sk-3").await == Ok(996)).await;
        assert_eq!(app.metric("vx11_config_refused").await, 0.0);
    }
}
