//! What a rule says of its requests, through real processes: what becomes of them in time, whose pilots decide, that it
//! is read again, and that an approval lets nobody through who may not call any more or has nothing left to spend.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};
use vx11_tests::{Caller, Chain, wait_until};

use crate::holds::{ALL, answer, ask, decide, id, pilot, said, waiting};

/// The five processes under `rules`, and the file that these are in.
struct Held {
    chain: Chain,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Held {
    fn start(rules: &str) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("vx11.toml");
        let this = |chain| Self { chain, file: file.clone(), _folder: folder };
        std::fs::write(&file, rules).expect("written");
        this(Chain::start_with(&[("VX11_CONFIG", file.to_str().expect("UTF-8"))]).expect("starts"))
    }

    fn write(&self, rules: &str) {
        // As editors do it: it is never half there.
        let other = self.file.with_extension("new");
        std::fs::write(&other, rules).expect("written");
        std::fs::rename(&other, &self.file).expect("in its place");
    }
}

/// A rule that holds what has `word` in it, with `more` to be said of it.
fn rule(name: &str, word: &str, more: &str) -> String {
    format!("[[switch.holds]]\nname = \"{name}\"\npattern = '\\b{word}\\b'\n{more}\n")
}

async fn org(edge: &Caller, id: &str) {
    let made = edge.post("/operator/api/orgs", &json!({ "id": id })).await;
    assert_eq!(made.status, 201, "{made:?}");
}

/// A key of `org`, and its id.
async fn key(edge: &Caller, org: &str, role: &str, scopes: &[&str], limits: Value) -> (Caller, String) {
    let body = json!({"name": "a test's", "org": org, "role": role, "scopes": scopes, "limits": limits});
    let made = edge.post("/operator/api/keys", &body).await;
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{made:?}")).to_owned();
    let data = &made.body["data"];
    (edge.with_token(Some(&text(&data["secret"]))), text(&data["key"]["id"]))
}

async fn status(pilot: &Caller, seen: &Value) -> Value {
    pilot.get(&format!("{ALL}/{}", id(seen))).await.body["data"]["status"].clone()
}

/// What a held stream says from its beginning to its end, where `act` is done once it waits.
async fn streamed(request: reqwest::RequestBuilder, act: impl AsyncFnOnce()) -> String {
    let mut response = request.send().await.expect("a head");
    let mut text = String::new();
    while !text.contains(": ping\n\n") {
        text.push_str(std::str::from_utf8(&response.chunk().await.expect("more").expect("no end")).expect("UTF-8"));
    }
    act().await;
    text.push_str(&response.text().await.expect("an end"));
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_decides_on_goes_on_where_its_rule_says_so() {
    let held = Held::start(&rule("pay", "pay", "on_timeout = \"approve\"\nexpires_in_sec = 1"));
    let edge = held.chain.edge();
    let went_on = answer(ask(&edge, &said("pay")).header("prefer", "wait=50")).await;
    assert_eq!(went_on.status, 200, "{went_on:?}");
    let kept = edge.get(&format!("{ALL}/{}", went_on.header("x-vx11-intervention"))).await;
    let decision = &kept.body["data"]["decision"];
    assert_eq!(
        (&kept.body["data"]["status"], &decision["by"]),
        (&json!("COMPLETED"), &json!("system:timeout")),
        "{kept:?}"
    );

    held.write(&rule("pay", "pay", "expires_in_sec = 1"));
    let refused = wait_until("the rule is read again", async || {
        let answer = answer(ask(&edge, &said("pay")).header("prefer", "wait=50")).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!((refused.status, refused.code()), (403, "held_expired"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_decides_on_goes_to_an_admin_where_its_rule_says_so() {
    let held = Held::start(&rule("pay", "pay", "on_timeout = \"escalate\"\nexpires_in_sec = 1"));
    let edge = held.chain.edge();
    let operator = pilot(&edge).await;
    let (admin, _) = key(&edge, "default", "ADMIN", &["pilot", "read"], Value::Null).await;
    let asking = tokio::spawn(answer(ask(&edge, &said("pay")).header("prefer", "wait=50")));
    let seen = wait_until("it goes to an ADMIN", async || {
        let page = admin.get(&format!("{ALL}?intervention_type=hold")).await;
        let item = page.body["data"]["items"][0].clone();
        (item["escalated"] == 1).then_some(item)
    })
    .await;
    assert_eq!((&seen["status"], &seen["required_role"]), (&json!("PENDING"), &json!("ADMIN")), "{seen}");
    let body = json!({"version": seen["version"], "args_digest": seen["action"]["args_digest"]});
    let too_low = operator.post(&format!("{ALL}/{}/approve", id(&seen)), &body).await;
    assert_eq!(too_low.status, 403, "{too_low:?}");
    decide(&admin, &seen, "approve", json!({})).await;
    assert_eq!(asking.await.expect("no panic").status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_callers_own_organisation_decides_where_its_rule_says_so() {
    let held = Held::start(&rule("pay", "pay", "decided_by = \"caller\""));
    let edge = held.chain.edge();
    for name in ["acme", "globex"] {
        org(&edge, name).await;
    }
    let (caller, _) = key(&edge, "acme", "OPERATOR", &["gateway"], Value::Null).await;
    let (ours, _) = key(&edge, "acme", "OPERATOR", &["pilot", "read"], Value::Null).await;
    let (theirs, _) = key(&edge, "globex", "OPERATOR", &["pilot", "read"], Value::Null).await;
    let platforms = pilot(&edge).await;
    let asking = tokio::spawn(answer(ask(&caller, &said("pay"))));
    let seen = waiting(&ours).await;
    assert_eq!(seen["org_id"], "acme", "{seen}");
    for stranger in [&theirs, &platforms] {
        let page = stranger.get(&format!("{ALL}?intervention_type=hold")).await;
        assert_eq!(page.body["data"]["items"], json!([]), "{page:?}");
        let body = json!({"version": seen["version"], "args_digest": seen["action"]["args_digest"]});
        assert_eq!(stranger.post(&format!("{ALL}/{}/approve", id(&seen)), &body).await.status, 404);
    }
    decide(&ours, &seen, "approve", json!({})).await;
    assert_eq!(asking.await.expect("no panic").status, 200);
    assert_eq!(status(&ours, &seen).await, "COMPLETED");

    let asking = tokio::spawn(answer(ask(&edge, &said("pay"))));
    let seen = waiting(&platforms).await;
    decide(&platforms, &seen, "approve", json!({})).await;
    assert_eq!(asking.await.expect("no panic").status, 200, "who is of none asks the platform's pilots");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_read_again_and_an_approval_has_to_suffice_for_those_in_force() {
    let held = Held::start(&rule("pay", "pay", ""));
    let edge = held.chain.edge();
    let operator = pilot(&edge).await;
    let asking = tokio::spawn(answer(ask(&edge, &said("pay")).header("prefer", "wait=50")));
    let seen = waiting(&operator).await;

    held.write(&format!("{}{}", rule("pay", "pay", "required_role = \"ADMIN\""), rule("lend", "lend", "")));
    wait_until("the new rule holds", async || {
        let asked = answer(ask(&edge, &said("lend")).header("prefer", "respond-async")).await;
        (asked.status == 202).then_some(())
    })
    .await;
    decide(&operator, &seen, "approve", json!({})).await;
    let refused = asking.await.expect("no panic");
    assert_eq!((refused.status, refused.code()), (403, "held_rejected"), "{refused:?}");
    assert!(refused.body.to_string().contains("ADMIN"), "{refused:?}");
    assert_eq!(status(&operator, &seen).await, "APPROVED", "it is not taken for that");
    let back = answer(ask(&edge, &said("pay")).header("x-vx11-intervention", id(&seen))).await;
    assert_eq!((back.status, back.code()), (409, "conflict"), "{back:?}");

    held.write("[switch]\n");
    wait_until("no rule holds it", async || {
        let asked = answer(ask(&edge, &said("lend")).header("prefer", "respond-async")).await;
        (asked.status == 200).then_some(())
    })
    .await;
    assert_eq!(answer(ask(&edge, &said("pay"))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_revoked_while_its_request_is_held_does_not_go_on() {
    let held = Held::start(&format!("[switch]\nping_interval = \"20ms\"\n{}", rule("pay", "pay", "")));
    let edge = held.chain.edge();
    let (caller, key_id) = key(&edge, "default", "OPERATOR", &["gateway"], Value::Null).await;
    let asking = tokio::spawn(answer(ask(&caller, &said("pay")).header("prefer", "wait=50")));
    let seen = waiting(&edge).await;
    let revoke = async |key_id: &str, caller: &Caller| {
        let path = format!("/operator/api/keys/{key_id}");
        let revoked = answer(edge.request(Method::DELETE, &path)).await;
        assert_eq!(revoked.status, 200, "{revoked:?}");
        wait_until("the key is out", async || (answer(ask(caller, &said("hello"))).await.status == 401).then_some(()))
            .await;
    };
    revoke(&key_id, &caller).await;
    decide(&edge, &seen, "approve", json!({})).await;
    let refused = asking.await.expect("no panic");
    assert_eq!((refused.status, refused.code()), (401, "invalid_api_key"), "{refused:?}");
    assert_eq!(status(&edge, &seen).await, "APPROVED", "it is not taken for that");

    let (caller, key_id) = key(&edge, "default", "OPERATOR", &["gateway"], Value::Null).await;
    let mut body = said("pay");
    body["stream"] = json!(true);
    let text = streamed(ask(&caller, &body), async || {
        let seen = waiting(&edge).await;
        revoke(&key_id, &caller).await;
        decide(&edge, &seen, "approve", json!({})).await;
    })
    .await;
    assert!(text.contains("invalid_api_key") && !text.contains("\"choices\""), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_spent_while_a_request_is_held_is_not_there_when_it_goes_on() {
    let prices = "[switch.prices.mock]\ninput = 1000\noutput = 1000\n";
    let held = Held::start(&format!("{prices}{}", rule("pay", "pay", "")));
    let edge = held.chain.edge();
    let limits = json!({"budget": {"usd": 0.05}});
    let (caller, key_id) = key(&edge, "default", "OPERATOR", &["gateway"], limits).await;
    let small = |text: &str| {
        let mut body = said(text);
        body["max_tokens"] = json!(20);
        body
    };
    let asking = tokio::spawn(answer(ask(&caller, &small("pay")).header("prefer", "wait=50")));
    let seen = waiting(&edge).await;
    let spent = wait_until("its budget is spent", async || {
        let answer = answer(ask(&caller, &small("hello"))).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(spent.code(), "insufficient_quota", "{spent:?}");
    decide(&edge, &seen, "approve", json!({})).await;
    let refused = asking.await.expect("no panic");
    assert_eq!((refused.status, refused.code()), (429, "insufficient_quota"), "{refused:?}");
    assert_eq!(status(&edge, &seen).await, "APPROVED", "nobody pays for an approval with nothing");

    let path = format!("/operator/api/keys/{key_id}");
    let raised = edge.request(Method::PATCH, &path).json(&json!({"limits": {"budget": {"usd": 50}}}));
    assert_eq!(answer(raised).await.status, 200);
    let back = wait_until("there is money again", async || {
        let back = answer(ask(&caller, &small("pay")).header("x-vx11-intervention", id(&seen))).await;
        (back.status != 429).then_some(back)
    })
    .await;
    assert_eq!(back.status, 200, "the approval was kept for it: {back:?}");
    assert_eq!(status(&edge, &seen).await, "COMPLETED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_stream_ends_with_what_became_of_it() {
    let rules = format!(
        "[switch]\nping_interval = \"20ms\"\n{}{}",
        rule("pay", "pay", ""),
        rule("lend", "lend", "on_timeout = \"approve\"\nexpires_in_sec = 1")
    );
    let held = Held::start(&rules);
    let edge = held.chain.edge();
    let stream = |text: &str| {
        let mut body = said(text);
        body["stream"] = json!(true);
        body
    };
    let refused = streamed(ask(&edge, &stream("pay")), async || {
        decide(&edge, &waiting(&edge).await, "reject", json!({"reason": "who is Eve?"})).await;
    })
    .await;
    assert!(refused.contains("held_rejected") && refused.contains("who is Eve?"), "{refused}");
    assert!(!refused.contains("[DONE]"), "{refused}");

    let pending = streamed(ask(&edge, &stream("pay")).header("prefer", "wait=1"), async || {}).await;
    assert!(pending.contains("held_pending"), "{pending}");
    decide(&edge, &waiting(&edge).await, "approve", json!({})).await;

    let went_on = streamed(ask(&edge, &stream("lend")), async || {}).await;
    assert!(went_on.contains("\"choices\"") && went_on.ends_with("data: [DONE]\n\n"), "{went_on}");

    let mut response = ask(&edge, &stream("pay")).send().await.expect("a head");
    response.chunk().await.expect("more");
    let seen = waiting(&edge).await;
    drop(response);
    wait_until("it is withdrawn", async || (status(&edge, &seen).await == "REJECTED").then_some(())).await;
}
