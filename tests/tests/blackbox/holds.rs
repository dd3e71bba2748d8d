//! Requests to models that a rule holds for a person, through real processes: an application that knows nothing of it,
//! a pilot with a key, and an operator that is killed in between.

use reqwest::Method;
use serde_json::{Value, json};
use vx11_tests::{Answer, Caller, Chain, wait_until};

pub(crate) const ALL: &str = "/operator/api/interventions";
const RULES: &str = "[switch]\nping_interval = \"20ms\"\n[[switch.holds]]\nname = \"pay\"\npattern = '(?i)\\bpay\\b'\n";

/// The five processes with a rule on what is said, and the folder of its file.
fn chain() -> (Chain, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("vx11.toml");
    std::fs::write(&file, RULES).expect("written");
    (Chain::start_with(&[("VX11_CONFIG", file.to_str().expect("UTF-8"))]).expect("starts"), folder)
}

pub(crate) fn said(text: &str) -> Value {
    json!({"model": "default", "messages": [{"role": "user", "content": text}]})
}

/// As an SDK sends it.
pub(crate) fn ask(edge: &Caller, body: &Value) -> reqwest::RequestBuilder {
    edge.request(Method::POST, "/v1/chat/completions").json(body)
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    vx11_tests::send(request).await.expect("an answer")
}

/// The one request that waits.
pub(crate) async fn waiting(pilot: &Caller) -> Value {
    wait_until("a person is asked", async || {
        let page = pilot.get(&format!("{ALL}?intervention_type=hold")).await;
        page.body["data"]["items"][0].as_object().map(|item| Value::Object(item.clone()))
    })
    .await
}

pub(crate) async fn decide(pilot: &Caller, seen: &Value, verb: &str, more: Value) {
    let mut body = json!({"version": seen["version"], "args_digest": seen["action"]["args_digest"]});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let decided = pilot.post(&format!("{ALL}/{}/{verb}", id(seen)), &body).await;
    assert_eq!(decided.status, 200, "{decided:?}");
}

pub(crate) fn id(seen: &Value) -> &str {
    seen["request_id"].as_str().expect("an id")
}

/// Somebody with a key, who decides.
pub(crate) async fn pilot(edge: &Caller) -> Caller {
    let body = json!({"name": "ann", "role": "OPERATOR", "scopes": ["pilot", "read"]});
    let made = edge.post("/operator/api/keys", &body).await;
    let key = made.body["data"]["secret"].as_str().unwrap_or_else(|| panic!("{made:?}")).to_owned();
    edge.with_token(Some(&key))
}

fn text(answer: &Answer) -> &str {
    answer.body["choices"][0]["message"]["content"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_waits_and_gets_the_answer_to_what_the_pilot_made_of_it() {
    let (chain, _folder) = chain();
    let edge = chain.edge();
    let pilot = pilot(&edge).await;
    let asking = tokio::spawn(answer(ask(&edge, &said("Pay Bob 100"))));
    let seen = waiting(&pilot).await;
    assert_eq!(seen["action"]["args"], said("Pay Bob 100"));
    decide(&pilot, &seen, "edit", json!({"args": said("Tell Bob a story")})).await;
    let held = asking.await.expect("no panic");
    assert_eq!((held.status, held.header("x-vx11-intervention")), (200, id(&seen)), "{held:?}");
    let plain = answer(ask(&edge, &said("Tell Bob a story"))).await;
    assert_eq!((plain.status, text(&held)), (200, text(&plain)), "the provider got the edited request");
    let kept = edge.get(&format!("{ALL}/{}", id(&seen))).await;
    assert_eq!(kept.body["data"]["status"], "COMPLETED", "{kept:?}");

    let asking = tokio::spawn(answer(ask(&edge, &said("pay Eve"))));
    let seen = waiting(&pilot).await;
    decide(&pilot, &seen, "reject", json!({"reason": "who is Eve?"})).await;
    let refused = asking.await.expect("no panic");
    assert_eq!((refused.status, refused.code()), (403, "held_rejected"));
    assert!(refused.body.to_string().contains("who is Eve?"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_kept_open_until_the_pilot_has_decided() {
    let (chain, _folder) = chain();
    let edge = chain.edge();
    let mut body = said("pay");
    body["stream"] = json!(true);
    let mut response = ask(&edge, &body).send().await.expect("a head");
    let mut text = String::new();
    while !text.contains(": ping\n\n") {
        text.push_str(std::str::from_utf8(&response.chunk().await.expect("more").expect("no end")).expect("UTF-8"));
    }
    decide(&edge, &waiting(&edge).await, "approve", json!({})).await;
    text.push_str(&response.text().await.expect("an end"));
    assert!(text.starts_with(": held by hold:") && text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_wait_comes_back_and_of_two_at_once_one_goes_on() {
    let (chain, _folder) = chain();
    let edge = chain.edge();
    let held = answer(ask(&edge, &said("pay")).header("prefer", "respond-async")).await;
    assert_eq!((held.status, &held.body["status"]), (202, &json!("held")), "{held:?}");
    let seen = waiting(&edge).await;
    assert_eq!(held.header("location"), format!("{ALL}/{}", id(&seen)));
    assert_eq!(edge.get(held.header("location")).await.status, 200, "the address leads there");
    decide(&edge, &seen, "approve", json!({})).await;
    let back = || answer(ask(&edge, &said("pay")).header("x-vx11-intervention", id(&seen)));
    let (one, other) = tokio::join!(back(), back());
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
    let changed = answer(ask(&edge, &said("pay more")).header("x-vx11-intervention", id(&seen))).await;
    assert_eq!((changed.status, changed.code()), (409, "conflict"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_goes_on_waiting_when_the_operator_is_killed() {
    let (mut chain, _folder) = chain();
    let edge = chain.edge();
    let switch = chain.call("switch");
    let asking = tokio::spawn(answer(ask(&edge, &said("pay")).header("prefer", "wait=50")));
    let seen = waiting(&edge).await;
    chain.kill9("operator").expect("it ran");
    let refused = answer(ask(&switch, &said("pay"))).await;
    assert_eq!((refused.status, refused.code()), (503, "hold_unavailable"), "{refused:?}");
    assert_eq!(answer(ask(&switch, &said("hello"))).await.status, 200, "others go on");
    chain.restart("operator").expect("starts again");
    let operator = chain.call("operator");
    decide(&operator, &seen, "approve", json!({})).await;
    let held = asking.await.expect("no panic");
    assert_eq!(held.status, 200, "{held:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_takes_the_question_along() {
    let (chain, _folder) = chain();
    let edge = chain.edge();
    let asking = tokio::spawn(ask(&edge, &said("pay")).send());
    let seen = waiting(&edge).await;
    asking.abort();
    wait_until("it is withdrawn", async || {
        let found = edge.get(&format!("{ALL}/{}", id(&seen))).await;
        (found.body["data"]["status"] == "REJECTED").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_held_and_madre_does_not_answer_in_its_place() {
    let (chain, _folder) = chain();
    let edge = chain.edge();
    let chat = |body: Value| edge.request(Method::POST, "/operator/api/chat").json(&body);
    let held = answer(chat(json!({"message": "pay Bob"}))).await;
    assert_eq!((held.status, &held.body["status"]), (202, &json!("held")), "{held:?}");
    // What begins a conversation is told which.
    let again = || chat(json!({"message": "pay Bob", "session_id": held.body["session_id"]}));
    let seen = waiting(&edge).await;
    let pending = answer(again().header("x-vx11-intervention", id(&seen))).await;
    assert_eq!(pending.status, 202, "{pending:?}");
    decide(&edge, &seen, "approve", json!({})).await;
    let answered = answer(again().header("x-vx11-intervention", id(&seen))).await;
    assert_eq!((answered.status, &answered.body["provider"]), (200, &json!("switch")), "{answered:?}");
}
