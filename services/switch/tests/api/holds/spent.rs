//! When an approval is spent: with the first request that is sent to a provider, and not before.

use serde_json::json;

use super::desk::Desk;
use super::{PAY, app, app_with, ask, body, outcome, sent, well};
use crate::app::{Answer, eventually};
use crate::fake::{Fake, answer, error};

const INTERVENTION: &str = "x-vx11-intervention";

/// Rules, and a model `both` that `second` answers where the first provider does not.
fn both(second: &Fake) -> String {
    format!(
        "[switch.providers.b]\nbase_url = \"{}/v1\"\nmodels = [\"m2\"]\n\
         [switch.models.both]\ntargets = [\"a/m\", \"b/m2\"]\n{PAY}",
        second.url
    )
}

#[tokio::test]
async fn an_approval_outlasts_a_breaker_that_is_open() {
    let provider = Fake::always([error(500, "")]).await;
    let desk = Desk::open();
    let open_soon = [
        ("VX11_SWITCH__PROVIDERS__A__BREAKER__FAILURE_THRESHOLD", "1"),
        ("VX11_SWITCH__PROVIDERS__A__BREAKER__OPEN_FOR", "10m"),
    ];
    let app = app_with(&provider, &desk, PAY, &open_soon).await;
    assert_eq!(Answer::of(ask(&app, &body("m", "hello"))).await.status, 500);
    for (number, stream) in [false, true].into_iter().enumerate() {
        let mut held = body("m", "pay");
        held["stream"] = json!(stream);
        assert_eq!(Answer::of(ask(&app, &held).header("prefer", "respond-async")).await.status, 202);
        let id = desk.asked(number).await;
        desk.approve(&id);
        assert_eq!(Answer::of(ask(&app, &held).header(INTERVENTION, &id)).await.status, 503);
        assert_eq!(desk.request(&id)["status"], "APPROVED", "nobody was asked");
    }
    assert_eq!((provider.requests().len(), outcome(&app, "refused").await), (1, 2.0));
}

#[tokio::test]
async fn a_provider_that_fails_was_asked_and_the_approval_is_spent() {
    let (provider, desk) = (Fake::always([error(500, "")]).await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let asking = tokio::spawn(Answer::of(ask(&app, &body("m", "pay"))));
    let id = desk.asked(0).await;
    desk.approve(&id);
    assert_eq!(asking.await.unwrap().status, 500);
    assert_eq!((&desk.request(&id)["status"], provider.requests().len()), (&json!("COMPLETED"), 1));
}

#[tokio::test]
async fn nothing_goes_on_where_the_operator_does_not_say_that_the_approval_is_taken() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    assert_eq!(Answer::of(ask(&app, &body("m", "pay")).header("prefer", "respond-async")).await.status, 202);
    let id = desk.asked(0).await;
    desk.approve(&id);
    desk.set_redeems(false);
    let back = || Answer::of(ask(&app, &body("m", "pay")).header(INTERVENTION, &id));
    assert_eq!(back().await.refusal(), (503, "hold_unavailable".to_owned()));
    assert!(provider.requests().is_empty());
    assert_eq!(outcome(&app, "unavailable").await, 1.0);
    desk.set_redeems(true);
    assert_eq!(back().await.status, 200);
}

#[tokio::test]
async fn nobody_else_is_gone_to_without_it() {
    let (first, second, desk) = (well().await, well().await, Desk::open());
    let app = app(&first, &desk, &both(&second)).await;
    desk.set_redeems(false);
    for (number, stream) in [false, true].into_iter().enumerate() {
        let mut held = body("both", "pay");
        held["stream"] = json!(stream);
        assert_eq!(Answer::of(ask(&app, &held).header("prefer", "respond-async")).await.status, 202);
        let id = desk.asked(number).await;
        desk.approve(&id);
        assert_eq!(Answer::of(ask(&app, &held).header(INTERVENTION, &id)).await.status, 503);
    }
    let calls = async |provider: &str, model: &str, outcome: &str| {
        let labels = format!(r#"{{model="{model}",outcome="{outcome}",provider="{provider}"}}"#);
        app.metric(&format!("vx11_provider_requests_total{labels}")).await
    };
    assert_eq!((calls("a", "m", "unapproved").await, calls("b", "m2", "unapproved").await), (2.0, 0.0));
    assert_eq!((calls("a", "m", "cancelled").await, calls("b", "m2", "cancelled").await), (0.0, 0.0));
    assert_eq!(app.metric(r#"vx11_provider_duration_seconds_count{provider="a"}"#).await, 0.0, "it was not called");
}

#[tokio::test]
async fn a_silent_operator_does_not_keep_the_providers_place() {
    let (provider, desk) = (well().await, Desk::open());
    let one = ["INITIAL", "MIN", "MAX"].map(|limit| format!("VX11_SWITCH__PROVIDERS__A__CONCURRENCY__{limit}"));
    let mut one: Vec<(&str, &str)> = one.iter().map(|name| (name.as_str(), "1")).collect();
    one.push(("VX11_SWITCH__PROVIDERS__A__CONCURRENCY__QUEUE_TIMEOUT", "3s"));
    let app = app_with(&provider, &desk, PAY, &one).await;
    assert_eq!(Answer::of(ask(&app, &body("m", "pay")).header("prefer", "respond-async")).await.status, 202);
    let id = desk.asked(0).await;
    desk.approve(&id);
    desk.ignore_redeems();
    let back = tokio::spawn(Answer::of(ask(&app, &body("m", "pay")).header(INTERVENTION, &id)));
    desk.ignored(1).await;
    assert_eq!(Answer::of(ask(&app, &body("m", "hello"))).await.status, 200, "its turn comes");
    assert_eq!(back.await.unwrap().refusal(), (503, "hold_unavailable".to_owned()));
    assert_eq!(outcome(&app, "unavailable").await, 1.0);
}

#[tokio::test]
async fn one_approval_is_good_for_all_targets_of_one_call() {
    let (first, second, desk) = (Fake::always([error(500, "")]).await, well().await, Desk::open());
    let app = app(&first, &desk, &both(&second)).await;
    let asking = tokio::spawn(Answer::of(ask(&app, &body("both", "pay"))));
    let id = desk.asked(0).await;
    desk.approve(&id);
    assert_eq!(asking.await.unwrap().status, 200);
    assert_eq!((first.requests().len(), sent(&second)["model"].clone()), (1, json!("m2")));
    assert_eq!((desk.redeemed(&id), outcome(&app, "approved").await), (1, 1.0));
}

#[tokio::test]
async fn what_was_approved_is_no_copys_and_no_caches() {
    let (provider, shadow, desk) = (well().await, well().await, Desk::open());
    let rules = format!(
        "[switch.providers.s]\nbase_url = \"{}/v1\"\nmodels = [\"m2\"]\n[switch.cache]\nenabled = true\n\
         [switch.models.both]\ntargets = [\"a/m\"]\nshadow = {{ target = \"s/m2\" }}\n{PAY}",
        shadow.url
    );
    let app = app(&provider, &desk, &rules).await;
    for number in 0..2 {
        let asking = tokio::spawn(Answer::of(ask(&app, &body("both", "pay"))));
        desk.approve(&desk.asked(number).await);
        let answer = asking.await.unwrap();
        assert_eq!((answer.status, answer.header("x-vx11-cache")), (200, "bypass"), "{answer:?}");
    }
    assert_eq!(provider.requests().len(), 2);
    assert_eq!(Answer::of(ask(&app, &body("both", "hello"))).await.header("x-vx11-cache"), "miss");
    eventually("the shadow is asked", async || !shadow.requests().is_empty()).await;
    assert_eq!((shadow.requests().len(), sent(&shadow)["messages"][0]["content"].clone()), (1, json!("hello")));
}

#[tokio::test]
async fn embeddings_are_held() {
    let said = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m"}"#;
    let (provider, desk) = (Fake::always([answer(200, "", said)]).await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let asking = tokio::spawn(Answer::of(app.post("/v1/embeddings", r#"{"model":"m","input":"pay"}"#)));
    let id = desk.asked(0).await;
    assert_eq!(desk.request(&id)["action"]["name"], "/v1/embeddings");
    desk.approve(&id);
    assert_eq!(asking.await.unwrap().status, 200);
    assert_eq!(sent(&provider)["input"], "pay");
}
