//! What an edit cannot get round, and how many may wait.

use serde_json::json;

use super::desk::Desk;
use super::{PAY, app, app_with, ask, body, outcome, silent, well};
use crate::app::{Answer, eventually};
use crate::fake::Fake;

#[tokio::test]
async fn an_edit_gets_round_neither_the_keys_models_nor_its_budget() {
    let (provider, desk) = (well().await, Desk::open());
    let rules = format!("requests_per_minute = 1\n{PAY}");
    let app = app(&provider, &desk, &rules).await;
    let by = |secret: &str| app.stranger("/v1/chat/completions").bearer_auth(secret).body(body("m", "pay").to_string());
    let asking = tokio::spawn(Answer::of(by("sk-alice")));
    let id = desk.asked(0).await;
    desk.edit(&id, |args| args["model"] = json!("n"));
    assert_eq!(asking.await.unwrap().refusal(), (403, "model_not_allowed".to_owned()));
    assert_eq!(desk.request(&id)["status"], "APPROVED", "it was not taken for nothing");

    let hello = app.stranger("/v1/chat/completions").bearer_auth("sk-bob").body(body("m", "hello").to_string());
    assert_eq!(Answer::of(hello).await.status, 200);
    let asking = tokio::spawn(Answer::of(by("sk-bob")));
    let id = desk.asked(1).await;
    desk.approve(&id);
    assert_eq!(asking.await.unwrap().status, 429, "its limit was reached before");
    assert_eq!(desk.request(&id)["status"], "APPROVED");
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn an_edit_makes_nothing_of_a_request_that_a_higher_role_decides() {
    let (provider, desk) = (well().await, Desk::open());
    let rules = format!("{PAY}[[switch.holds]]\nname = \"admins\"\nmodels = [\"n\"]\nrequired_role = \"ADMIN\"\n");
    let app = app(&provider, &desk, &rules).await;
    let asking = tokio::spawn(Answer::of(ask(&app, &body("m", "pay"))));
    let id = desk.asked(0).await;
    desk.edit(&id, |args| args["model"] = json!("n"));
    assert_eq!(asking.await.unwrap().refusal(), (403, "held_rejected".to_owned()));
    assert!(provider.requests().is_empty());
    let asking = tokio::spawn(Answer::of(ask(&app, &body("n", "pay"))));
    let id = desk.asked(1).await;
    assert_eq!(desk.request(&id)["required_role"], "ADMIN", "of two rules the stricter one");
    desk.approve(&id);
    assert_eq!(asking.await.unwrap().status, 200);
}

#[tokio::test]
async fn pilots_of_a_tenant_edit_nothing_past_the_platforms() {
    let (provider, desk) = (well().await, Desk::open());
    let rules = "[[switch.holds]]\nname = \"own\"\npattern = \"pay\"\nrequired_role = \"ADMIN\"\ndecided_by = \"caller\"\n\
                 [[switch.holds]]\nname = \"platforms\"\npattern = \"wire\"\n";
    let app = app(&provider, &desk, rules).await;
    let by = |text: &str| {
        let request = app.stranger("/v1/chat/completions").bearer_auth("sk-alice");
        tokio::spawn(Answer::of(request.body(body("m", text).to_string())))
    };
    let asking = by("pay");
    let id = desk.asked(0).await;
    assert_eq!((desk.org(&id), &desk.request(&id)["required_role"]), ("acme".to_owned(), &json!("ADMIN")));
    desk.edit(&id, |args| args["messages"][0]["content"] = json!("wire it"));
    assert_eq!(asking.await.unwrap().refusal(), (403, "held_rejected".to_owned()));
    assert!(provider.requests().is_empty());

    let asking = by("pay, and wire it");
    let id = desk.asked(1).await;
    assert_eq!((desk.org(&id), &desk.request(&id)["context"]["hold"]["rule"]), (String::new(), &json!("platforms")));
    desk.approve(&id);
    assert_eq!(asking.await.unwrap().status, 200);
}

#[tokio::test]
async fn an_edit_that_is_no_request_is_refused_as_one() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let asking = tokio::spawn(Answer::of(ask(&app, &body("m", "pay"))));
    desk.edit(&desk.asked(0).await, |args| args["messages"] = json!("nothing"));
    assert_eq!(asking.await.unwrap().status, 400);
    let asking = tokio::spawn(Answer::of(ask(&app, &body("m", "pay"))));
    desk.edit(&desk.asked(1).await, |args| args["stream"] = json!(true));
    let answer = asking.await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"), "its caller reads no stream");
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn so_many_wait_and_the_next_one_comes_back() {
    let (provider, desk) = (well().await, Desk::open());
    let rules = format!("{PAY}[switch.hold_limits]\nwaiting = 1\nopened_per_minute = 3\n");
    let app = app(&provider, &desk, &rules).await;
    let first = tokio::spawn(Answer::of(ask(&app, &body("m", "pay"))));
    let id = desk.asked(0).await;
    assert_eq!(Answer::of(ask(&app, &body("m", "pay"))).await.status, 202);
    let mut stream = body("m", "pay");
    stream["stream"] = json!(true);
    assert_eq!(Answer::of(ask(&app, &stream)).await.refusal(), (503, "hold_unavailable".to_owned()));
    desk.approve(&id);
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(Answer::of(ask(&app, &body("m", "pay")).header("prefer", "respond-async")).await.status, 202);
    let refused = Answer::of(ask(&app, &body("m", "pay"))).await;
    assert_eq!(refused.refusal(), (429, "rate_limit_exceeded".to_owned()), "pilots are not flooded");
    assert_eq!(desk.requests().len(), 3);
}

#[tokio::test]
async fn one_caller_does_not_take_all_places_and_who_is_approved_needs_none() {
    let (provider, desk) = (well().await, Desk::open());
    let rules = format!("{PAY}[switch.hold_limits]\nwaiting = 2\nwaiting_per_caller = 1\n");
    let app = app(&provider, &desk, &rules).await;
    let by = |secret: &str, stream: bool| {
        let mut body = body("m", "pay");
        body["stream"] = json!(stream);
        app.stranger("/v1/chat/completions").bearer_auth(secret).body(body.to_string())
    };
    let first = tokio::spawn(Answer::of(by("sk-alice", false)));
    desk.asked(0).await;
    app.wait_for_metric("vx11_held_requests_waiting", 1.0).await;
    assert_eq!(Answer::of(by("sk-alice", true)).await.refusal(), (503, "hold_unavailable".to_owned()));
    let second = tokio::spawn(Answer::of(by("sk-bob", false)));
    desk.asked(1).await;
    app.wait_for_metric("vx11_held_requests_waiting", 2.0).await;

    let later = Answer::of(by("sk-alice", true).header("prefer", "respond-async")).await;
    assert_eq!(later.status, 202);
    let id = desk.asked(2).await;
    let back = || by("sk-alice", true).header("x-vx11-intervention", &id);
    assert_eq!(Answer::of(back()).await.refusal(), (503, "hold_unavailable".to_owned()), "it would wait");
    desk.reject(&id, "no");
    assert_eq!(Answer::of(back()).await.refusal(), (403, "held_rejected".to_owned()));
    assert_eq!(app.metric("vx11_held_requests_waiting").await, 2.0);
    first.abort();
    second.abort();
}

#[tokio::test]
async fn what_waits_keeps_so_many_bytes() {
    let (provider, desk) = (well().await, Desk::open());
    let rules = format!("{PAY}[switch.hold_limits]\nwaiting_bytes = 1050\n");
    let app = app(&provider, &desk, &rules).await;
    let large = body("m", &"pay ".repeat(240));
    let first = tokio::spawn(Answer::of(ask(&app, &large)));
    let id = desk.asked(0).await;
    app.wait_for_metric("vx11_held_requests_waiting", 1.0).await;
    assert_eq!(Answer::of(ask(&app, &body("m", "pay"))).await.status, 202, "there is a place, and no room");
    desk.approve(&id);
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_request_that_waits_takes_no_place_at_its_provider() {
    let provider = Fake::always(silent()).await;
    let desk = Desk::open();
    let one = ["INITIAL", "MIN", "MAX"].map(|limit| format!("VX11_SWITCH__PROVIDERS__A__CONCURRENCY__{limit}"));
    let one: Vec<(&str, &str)> = one.iter().map(|name| (name.as_str(), "1")).collect();
    let app = app_with(&provider, &desk, PAY, &one).await;
    let waiting = tokio::spawn(Answer::of(ask(&app, &body("m", "pay"))));
    desk.asked(0).await;
    let asking = tokio::spawn(ask(&app, &body("m", "hello")).send());
    eventually("the provider is asked", async || provider.requests().len() == 1).await;
    asking.abort();
    waiting.abort();
}

#[tokio::test]
async fn a_deadline_ends_the_wait_before_it_has_passed() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let answer = Answer::of(ask(&app, &body("m", "pay")).header("x-vx11-timeout-ms", "600")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(outcome(&app, "pending").await, 1.0);
    assert_eq!(desk.requests()[0]["status"], "PENDING");
}

#[tokio::test]
async fn who_stops_keeps_nobody_waiting() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let waiting = tokio::spawn(Answer::of(ask(&app, &body("m", "pay"))));
    desk.asked(0).await;
    app.wait_for_metric("vx11_held_requests_waiting", 1.0).await;
    app.stop().await;
    assert_eq!(waiting.await.unwrap().status, 202);
}
