//! How the first target of a model is chosen: by weight, latency, price, condition, canary and session; and its shadow.

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, completion, error};

/// Two providers that answer, and a model `r` with these settings.
async fn with(fakes: &[&Fake], settings: &[(&str, &str)]) -> App {
    let urls: Vec<&str> = fakes.iter().map(|fake| fake.url.as_str()).collect();
    let settings: Vec<(String, &str)> =
        settings.iter().map(|(name, value)| (format!("VX11_SWITCH__MODELS__R__{name}"), *value)).collect();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    App::in_front_of(&urls, &settings).await
}

/// The provider that answers a request with this body, beside the model, and this header.
async fn asked(app: &App, body: &str, header: (&'static str, &str)) -> String {
    let body = format!(r#"{{"model":"r","messages":[]{body}}}"#);
    let got = Answer::of(app.post("/v1/chat/completions", body).header(header.0, header.1)).await;
    assert_eq!(got.status, 200, "{}", got.body);
    got.header("x-vx11-provider").to_owned()
}

const NO_HEADER: (&str, &str) = ("x-none", "1");

async fn answering() -> Fake {
    Fake::always([completion("hi")]).await
}

#[tokio::test]
async fn weights_share_requests_out_and_a_session_stays() {
    let (a, b) = (answering().await, answering().await);
    let targets = r#"["a/m-a", {target="b/m-b", weight=1}]"#;
    let app = with(&[&a, &b], &[("STRATEGY", "weighted"), ("STICKY", "true"), ("TARGETS", targets)]).await;
    for _ in 0..40 {
        asked(&app, "", NO_HEADER).await;
    }
    assert!(!a.requests().is_empty() && !b.requests().is_empty(), "both have their share");

    let mut homes = Vec::new();
    for session in 0..12 {
        let (session, user) = (format!("s{session}"), format!(r#","user":"s{session}""#));
        let home = asked(&app, "", ("x-vx11-session-id", &session)).await;
        assert_eq!(asked(&app, "", ("x-vx11-session-id", &session)).await, home);
        assert_eq!(asked(&app, &user, NO_HEADER).await, home, "the body's user is the session too");
        homes.push(home);
    }
    assert!(homes.contains(&"a".to_owned()) && homes.contains(&"b".to_owned()), "{homes:?}");
}

#[tokio::test]
async fn a_condition_leads_special_requests_elsewhere() {
    let (a, b) = (answering().await, answering().await);
    for (when, body, header) in [
        (r#"{header={x-team="blue"}}"#, "", ("x-team", "blue")),
        (r#"{tag={tier="free"}}"#, r#","metadata":{"tier":"free"}"#, NO_HEADER),
        (r#"{org=["acme"]}"#, "", ("x-vx11-org", "acme")),
        ("{min_prompt_bytes=100}", &format!(r#","x":"{}""#, "x".repeat(100)), NO_HEADER),
    ] {
        let targets = format!(r#"[{{target="b/m-b", when={when}}}, "a/m-a"]"#);
        let app = with(&[&a, &b], &[("TARGETS", &targets)]).await;
        assert_eq!(asked(&app, body, header).await, "b", "{when}");
        assert_eq!(asked(&app, "", NO_HEADER).await, "a", "{when}");
    }
}

#[tokio::test]
async fn a_condition_by_tag_holds_for_responses_whose_provider_gets_no_tags() {
    let (a, b) = (answering().await, answering().await);
    let targets = r#"[{target="b/m-b", when={tag={tier="free"}}}, "a/m-a"]"#;
    let app = with(&[&a, &b], &[("TARGETS", targets)]).await;
    for (metadata, provider) in [(r#"{"tier":"free"}"#, "b"), (r#"{"tier":"paid"}"#, "a"), ("null", "a")] {
        let body = format!(r#"{{"model":"r","input":"hello","metadata":{metadata}}}"#);
        let got = Answer::of(app.post("/v1/responses", body)).await;
        assert_eq!((got.status, got.header("x-vx11-provider")), (200, provider), "{metadata}: {}", got.body);
    }
    assert!(!b.requests()[0].contains("metadata"), "{}", b.requests()[0]);
}

#[tokio::test]
async fn the_cheapest_is_asked_first_and_the_next_one_when_it_fails() {
    let (failing, good) = (Fake::always([error(503, "")]).await, answering().await);
    let targets = r#"[{target="b/m-b", price=2.5}, {target="a/m-a", price=0.3}]"#;
    let app = with(&[&failing, &good], &[("STRATEGY", "cheapest"), ("TARGETS", targets)]).await;
    assert_eq!((asked(&app, "", NO_HEADER).await.as_str(), failing.requests().len()), ("b", 1));
}

#[tokio::test]
async fn without_prices_of_their_own_the_price_table_says_which_target_is_cheapest() {
    let (a, b) = (answering().await, answering().await);
    let settings = [("STRATEGY", "cheapest"), ("TARGETS", r#"["a/gpt-4o", "b/gpt-4o-mini"]"#)];
    let app = with(&[&a, &b], &settings).await;
    assert_eq!(asked(&app, "", NO_HEADER).await, "b");
}

#[tokio::test]
async fn a_target_that_fails_is_no_longer_the_fastest() {
    let (failing, good) = (Fake::always([error(500, "")]).await, answering().await);
    let targets = r#"["a/m-a", "b/m-b"]"#;
    let app = with(&[&failing, &good], &[("STRATEGY", "least_latency"), ("TARGETS", targets)]).await;
    // The first request measures one of them, and the other one where that failed.
    for _ in 0..3 {
        asked(&app, "", NO_HEADER).await;
    }
    let tried = failing.requests().len();
    for _ in 0..10 {
        assert_eq!(asked(&app, "", NO_HEADER).await, "b");
    }
    assert_eq!(failing.requests().len(), tried, "however fast it fails");
}

#[tokio::test]
async fn a_canary_of_all_or_nothing() {
    let (a, b) = (answering().await, answering().await);
    for (percent, expected) in [(0, "a"), (100, "b")] {
        let targets = format!(r#"[{{target="b/m-b", canary={percent}}}, "a/m-a"]"#);
        let app = with(&[&a, &b], &[("TARGETS", &targets)]).await;
        for _ in 0..5 {
            assert_eq!(asked(&app, "", NO_HEADER).await, expected);
        }
    }
}

#[tokio::test]
async fn a_canary_of_a_fifth_gets_a_fifth_of_the_sessions_and_keeps_them() {
    let (a, b) = (answering().await, answering().await);
    let targets = r#"[{target="b/m-b", canary=20}, "a/m-a"]"#;
    let app = with(&[&a, &b], &[("STICKY", "true"), ("TARGETS", targets)]).await;
    let mut homes = Vec::new();
    for session in 0..200 {
        homes.push(asked(&app, "", ("x-vx11-session-id", &format!("s{session}"))).await);
    }
    // Drawn from the session's name, so that it is the same number each time.
    let drawn = homes.iter().filter(|home| *home == "b").count();
    assert!((20..=60).contains(&drawn), "{drawn} of 200");
    for (session, home) in homes.iter().enumerate() {
        assert_eq!(asked(&app, "", ("x-vx11-session-id", &format!("s{session}"))).await, *home, "s{session}");
    }
    assert_eq!((a.requests().len(), b.requests().len()), (400 - 2 * drawn, 2 * drawn), "each is asked for its own");
}

#[tokio::test]
async fn a_shadow_gets_a_copy_and_changes_nothing() {
    for shadow_does in [vec![completion("shadow")], vec![error(500, "")], vec![Act::Wait]] {
        let (a, b) = (answering().await, Fake::always(shadow_does).await);
        let settings = [("TARGETS", r#"["a/m-a"]"#), ("SHADOW", r#"{target="b/m-b"}"#)];
        let app = with(&[&a, &b], &settings).await;
        let got = Answer::of(app.post("/v1/chat/completions", r#"{"model":"r","messages":[]}"#)).await;
        assert_eq!((got.header("x-vx11-provider"), got.header("x-vx11-attempts")), ("a", "1"));
        assert!(got.body.contains("\"hi\""), "{}", got.body);
        eventually("the shadow is asked", async || b.requests().len() == 1).await;
        assert!(b.requests()[0].contains(r#""model":"m-b""#));
        assert_eq!(app.metric(r#"vx11_tokens_generated_total{model="m-b",provider="b"}"#).await, 0.0);
        assert_eq!(app.provider("b").await["live"], serde_json::json!([]), "nothing is learnt from it");
    }
}

#[tokio::test]
async fn a_shadow_is_cast_whatever_wire_is_asked_in_by_a_target_that_can() {
    for (path, body) in [
        ("/v1/responses", r#"{"model":"r","input":"hi"}"#),
        ("/v1/completions", r#"{"model":"r","prompt":"hi"}"#),
        ("/v1/messages", r#"{"model":"r","max_tokens":9,"messages":[]}"#),
    ] {
        let (a, b) = (answering().await, Fake::always([completion("shadow")]).await);
        let settings = [("TARGETS", r#"["a/m-a"]"#), ("SHADOW", r#"{target="b/m-b"}"#)];
        let app = with(&[&a, &b], &settings).await;
        assert_eq!(Answer::of(app.post(path, body)).await.status, 200, "{path}");
        let asked = r#"vx11_shadow_requests_total{outcome="success",provider="b"}"#;
        app.wait_for_metric(asked, 1.0).await;
        assert_eq!(b.requests().len(), 1, "{path}");
    }
    let (a, b) = (answering().await, Fake::always([completion("shadow")]).await);
    let settings = [
        ("VX11_SWITCH__MODELS__R__TARGETS", r#"["a/m-a"]"#),
        ("VX11_SWITCH__MODELS__R__SHADOW", r#"{target="b/m-b"}"#),
        ("VX11_SWITCH__PROVIDERS__B__TEXT_COMPLETIONS", "false"),
    ];
    let app = App::in_front_of(&[&a.url, &b.url], &settings).await;
    assert_eq!(Answer::of(app.post("/v1/completions", r#"{"model":"r","prompt":["a","b"]}"#)).await.status, 200);
    app.wait_for_metric(r#"vx11_shadow_requests_total{outcome="not_made",provider="b"}"#, 1.0).await;
    assert!(b.requests().is_empty(), "several prompts are none of a chat");
}
