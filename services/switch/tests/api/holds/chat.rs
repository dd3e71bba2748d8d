//! `/switch/chat`, whose callers are services: held at once, and never left to somebody else.

use serde_json::{Value, json};

use super::desk::Desk;
use super::{app, outcome, sent, well};
use crate::app::{Answer, App};
use crate::fake::{Fake, whole_stream};

const RULE: &str =
    "[switch.models.default]\ntargets = [\"a/m\"]\n[[switch.holds]]\nname = \"pay\"\npattern = \"pay\"\n";

fn chat(app: &App, correlation_id: &str, stream: bool) -> reqwest::RequestBuilder {
    let body = json!({
        "messages": [{"role": "user", "content": "pay"}], "session_id": "s", "correlation_id": correlation_id,
        "stream": stream,
    });
    app.post("/switch/chat", body.to_string())
}

#[tokio::test]
async fn a_chat_is_held_at_once_and_comes_back() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, RULE).await;
    let held = Answer::of(chat(&app, "c-1", false)).await;
    let id = desk.asked(0).await;
    assert_eq!((held.status, &held["intervention"]["id"]), (202, &json!(id)), "{held:?}");
    assert_eq!(held["correlation_id"], "c-1");
    let args = desk.request(&id)["action"]["args"].clone();
    assert_eq!((&args["session_id"], &args["correlation_id"]), (&json!("s"), &Value::Null));

    desk.edit(&id, |args| args["messages"][0]["content"] = json!("do not pay"));
    let answer = Answer::of(chat(&app, "c-2", false).header("x-vx11-intervention", &id)).await;
    assert_eq!((answer.status, &answer["reply"]), (200, &json!("done")), "{answer:?}");
    assert_eq!(sent(&provider)["messages"][0]["content"], "do not pay");
    let again = Answer::of(chat(&app, "c-3", false).header("x-vx11-intervention", &id)).await;
    assert_eq!((again.status, again.code()), (409, "conflict"));
    assert_eq!(outcome(&app, "edited").await, 1.0);
}

#[tokio::test]
async fn all_of_a_chat_that_waits_counts() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, &format!("{RULE}[switch.hold_limits]\nwaiting_bytes = 1000\n")).await;
    let waiting = |metadata: Value| {
        let body = json!({
            "messages": [{"role": "user", "content": "pay"}], "session_id": "s", "correlation_id": "c",
            "metadata": metadata,
        });
        app.post("/switch/chat", body.to_string()).header("prefer", "wait=30")
    };
    let small = tokio::spawn(Answer::of(waiting(json!({}))));
    let id = desk.asked(0).await;
    app.wait_for_metric("vx11_held_requests_waiting", 1.0).await;
    let large = Answer::of(waiting(json!({ "note": "n".repeat(900) }))).await;
    assert_eq!(large.status, 202, "there is no room for it: {large:?}");
    desk.reject(&id, "no");
    let small = small.await.unwrap();
    assert_eq!((small.status, small.code()), (403, "held_rejected"));
}

#[tokio::test]
async fn a_streamed_chat_says_so_in_a_frame() {
    let (provider, desk) = (Fake::always(whole_stream()).await, Desk::open());
    let app = app(&provider, &desk, RULE).await;
    let held = Answer::of(chat(&app, "c-1", true)).await;
    let id = desk.asked(0).await;
    let frames = held.chunks();
    assert_eq!((held.status, frames.len(), &frames[0]["type"]), (200, 1, &json!("held")), "{held:?}");
    assert_eq!(frames[0]["intervention"]["id"], json!(id));
    desk.approve(&id);
    let answer = Answer::of(chat(&app, "c-2", true).header("x-vx11-intervention", &id)).await;
    assert_eq!(answer.chunks().last().unwrap()["reply"], "Hello", "{answer:?}");

    let waiting = tokio::spawn(Answer::of(chat(&app, "c-3", true).header("prefer", "wait=30")));
    desk.reject(&desk.asked(1).await, "no");
    let frames = waiting.await.unwrap().chunks();
    assert_eq!((&frames[0]["type"], &frames[0]["error"]["code"]), (&json!("error"), &json!("held_rejected")));
}

#[tokio::test]
async fn what_cannot_be_put_to_a_person_is_told_as_nobody_elses_to_answer() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, RULE).await;
    let large = json!({"messages": [{"role": "user", "content": "pay ".repeat(20_000)}]});
    let answer = app.chat(large).await;
    assert_eq!((answer.status, answer.code()), (503, "hold_unavailable"), "{answer:?}");
    desk.set_away(true);
    let answer = Answer::of(chat(&app, "c-1", false)).await;
    assert_eq!((answer.status, answer.code()), (503, "hold_unavailable"));
    assert!(provider.requests().is_empty());
}
