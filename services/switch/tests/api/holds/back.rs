//! Callers that were answered 202, and come back with the intervention.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::desk::Desk;
use super::{PAY, app, ask, body, outcome, sent, well};
use crate::app::{Answer, App};

const INTERVENTION: &str = "x-vx11-intervention";

fn later(app: &App, body: &Value) -> RequestBuilder {
    ask(app, body).header("prefer", "respond-async")
}

#[tokio::test]
async fn who_does_not_wait_hears_where_it_is_decided_and_comes_back() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let held = Answer::of(later(&app, &body("m", "pay"))).await;
    let id = desk.asked(0).await;
    assert_eq!((held.status, held.header(INTERVENTION)), (202, id.as_str()));
    assert_eq!(held.header("location"), format!("/operator/api/interventions/{id}"));
    assert_eq!((held.header("preference-applied"), held.header("retry-after")), ("respond-async", "5"));
    assert_eq!((&held["status"], &held["intervention"]["status"]), (&json!("held"), &json!("PENDING")));
    assert_eq!(
        (&held["intervention"]["id"], &held["intervention"]["href"]),
        (&json!(id), &json!(held.header("location")))
    );

    let back = || later(&app, &body("m", "pay")).header(INTERVENTION, &id);
    assert_eq!(Answer::of(back()).await.status, 202, "nobody has decided");
    desk.approve(&id);
    let answer = Answer::of(back()).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"), "{answer:?}");
    assert_eq!(sent(&provider), body("m", "pay"));
    let again = Answer::of(back()).await;
    assert_eq!(again.refusal(), (409, "conflict".to_owned()), "an approval is for once");
    assert_eq!((provider.requests().len(), desk.requests().len()), (1, 1));
    assert_eq!(outcome(&app, "pending").await, 2.0);
}

#[tokio::test]
async fn of_two_that_come_back_at_once_one_goes_on() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    Answer::of(later(&app, &body("m", "pay"))).await;
    let id = desk.asked(0).await;
    desk.approve(&id);
    let back = || Answer::of(ask(&app, &body("m", "pay")).header(INTERVENTION, &id));
    let answers = futures_util::future::join_all((0..8).map(|_| back())).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn an_approval_is_for_its_request_and_its_caller_alone() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let by = |secret: &str, body: &Value| {
        let request = app.stranger("/v1/chat/completions").bearer_auth(secret).body(body.to_string());
        request.header("prefer", "respond-async")
    };
    let held = body("m", "pay Ann");
    Answer::of(by("sk-alice", &held)).await;
    let id = desk.asked(0).await;
    desk.approve(&id);
    let with = |request: RequestBuilder| Answer::of(request.header(INTERVENTION, &id));
    assert_eq!(with(by("sk-alice", &body("m", "pay Bob"))).await.refusal(), (409, "conflict".to_owned()));
    assert_eq!(with(by("sk-alice", &held).header("x-vx11-provider", "a")).await.status, 409, "whoever is to answer");
    let mut more = held.clone();
    more["max_tokens"] = json!(5);
    assert_eq!(with(by("sk-alice", &more)).await.status, 409);
    for stranger in ["sk-bob", "test"] {
        assert_eq!(with(by(stranger, &held)).await.refusal(), (404, "not_found".to_owned()), "{stranger}");
    }
    for unknown in ["hold:nobody", "../keys", "a b"] {
        let back = by("sk-alice", &held).header(INTERVENTION, unknown);
        assert_eq!(Answer::of(back).await.refusal(), (404, "not_found".to_owned()), "{unknown}");
    }
    assert!(provider.requests().is_empty());
    assert_eq!(with(by("sk-alice", &held)).await.status, 200);
}

#[tokio::test]
async fn a_service_says_who_asks_and_each_is_a_caller() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, &format!("{PAY}[switch.hold_limits]\nopened_per_minute = 1\n")).await;
    let by = |subject: &str| later(&app, &body("m", "pay")).header("x-vx11-subject", subject);
    assert_eq!(Answer::of(by("github:ann").header("x-vx11-org", "acme")).await.status, 202);
    let id = desk.asked(0).await;
    let hold = desk.request(&id)["context"]["hold"].clone();
    assert_eq!((&hold["caller"], &hold["subject"]), (&json!("internal:acme/github:ann"), &json!("github:ann")));
    assert_eq!(Answer::of(by("github:ann").header("x-vx11-org", "acme")).await.status, 429);
    assert_eq!(Answer::of(by("github:bob").header("x-vx11-org", "acme")).await.status, 202, "nobody else's turn");
    desk.approve(&id);
    let back = |subject: &str| Answer::of(by(subject).header("x-vx11-org", "acme").header(INTERVENTION, &id));
    assert_eq!(back("github:bob").await.refusal(), (404, "not_found".to_owned()));
    assert_eq!(back("github:ann").await.status, 200);

    // What a caller with a key says of itself counts for nothing.
    let request = app.stranger("/v1/chat/completions").bearer_auth("sk-alice").header("x-vx11-subject", "github:ann");
    let request = request.body(body("m", "pay").to_string()).header("prefer", "respond-async");
    assert_eq!(Answer::of(request).await.status, 202);
    let hold = desk.requests()[2]["context"]["hold"].clone();
    assert_eq!((&hold["caller"], &hold["subject"]), (&json!("key:alice"), &Value::Null));
}

#[tokio::test]
async fn the_address_is_part_of_what_is_approved() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    // A body that both addresses take.
    let both = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "pay"}]});
    let to = |path: &str| app.post(path, both.to_string()).header("prefer", "respond-async");
    assert_eq!(Answer::of(to("/v1/chat/completions")).await.status, 202);
    let id = desk.asked(0).await;
    desk.approve(&id);
    let elsewhere = Answer::of(to("/v1/messages").header(INTERVENTION, &id)).await;
    assert_eq!(elsewhere.status, 409, "{elsewhere:?}");
    assert!(provider.requests().is_empty());
    assert_eq!(Answer::of(to("/v1/chat/completions").header(INTERVENTION, &id)).await.status, 200);
}

#[tokio::test]
async fn the_model_of_a_header_is_part_of_what_is_approved() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let by_header = |model: &str| later(&app, &body("m", "pay")).header("x-vx11-model", model);
    Answer::of(by_header("n")).await;
    let id = desk.asked(0).await;
    assert_eq!(desk.request(&id)["action"]["args"]["model"], "n");
    desk.edit(&id, |args| args["model"] = json!("m"));
    assert_eq!(Answer::of(later(&app, &body("m", "pay")).header(INTERVENTION, &id)).await.status, 409);
    let answer = Answer::of(by_header("n").header(INTERVENTION, &id)).await;
    assert_eq!((answer.status, answer.header("x-vx11-model")), (200, "m"), "the pilot's word counts");
}

#[tokio::test]
async fn what_means_two_things_is_not_put_to_a_person() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let twice = r#"{"model":"m","messages":[{"role":"user","content":"pay","content":"hello"}]}"#;
    assert_eq!(Answer::of(app.post("/v1/chat/completions", twice)).await.status, 400);
    let large = Answer::of(ask(&app, &body("m", &"pay ".repeat(20_000)))).await;
    assert_eq!(large.refusal(), (413, "payload_too_large".to_owned()));
    assert!(provider.requests().is_empty() && desk.requests().is_empty());
    assert_eq!(outcome(&app, "refused").await, 1.0);
}
