//! An organisation's own key, at the public address: it chats through every service, and what it leaves is its own.

use reqwest::Method;
use serde_json::json;
use vx11_tests::{Answer, Caller, Chain, wait_until};

const LIMITS: &str = "[switch.orgs.acme]\nrequests_per_day = 3\n";

/// An organisation's caller behind the edge.
async fn caller(chain: &Chain, org: &str) -> Caller {
    let edge = chain.edge();
    let made = edge.post("/operator/api/orgs", &json!({ "id": org })).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let key = json!({ "name": "app", "org": org, "role": "ADMIN", "scopes": ["chat", "read", "pilot", "gateway"] });
    let made = edge.post("/operator/api/keys", &key).await;
    edge.with_token(made.body["data"]["secret"].as_str())
}

async fn chat(caller: &Caller, message: &str) -> Answer {
    caller.post("/operator/api/chat", &json!({ "message": message, "session_id": "s" })).await
}

#[tokio::test]
async fn a_key_chats_at_the_public_address_within_its_organisations_limits_and_sees_its_own() {
    let config = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(config.path(), LIMITS).expect("written");
    let chain = Chain::start_with(&[("VX11_CONFIG", &config.path().display().to_string())]).expect("starts");
    let (acme, globex) = (caller(&chain, "acme").await, caller(&chain, "globex").await);

    let first = chat(&acme, "hello").await;
    assert_eq!((first.status, &first.body["provider"]), (200, &json!("switch")), "{}", first.body);
    let id = first.body["correlation_id"].as_str().expect("an id").to_owned();
    let streamed =
        acme.request(Method::POST, "/operator/api/chat").json(&json!({ "message": "again", "stream": true }));
    let streamed = streamed.send().await.expect("an answer").text().await.expect("whole");
    assert!(streamed.contains("event: done"), "{streamed}");

    let session = acme.get("/operator/api/sessions/s").await;
    assert_eq!(session.body["data"]["history"][0]["message"], "hello", "{}", session.body);
    assert_eq!(acme.get(&format!("/operator/api/audit/{id}")).await.status, 200);
    assert_eq!(globex.get("/operator/api/sessions/s").await.status, 404);
    assert_eq!(globex.get(&format!("/operator/api/audit/{id}")).await.status, 404);
    assert_eq!(globex.post(&format!("/operator/api/replay/{id}"), &json!({})).await.status, 404);
    assert_eq!(globex.get("/operator/api/sessions").await.body["data"]["items"], json!([]));
    assert_eq!(globex.get("/operator/api/sessions?org=acme").await.status, 403);

    // Its chats and its gateway's requests are one account; others have theirs.
    let body = json!({ "model": "default", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(acme.post("/v1/chat/completions", &body).await.status, 200);
    let over = chat(&acme, "one more").await;
    assert_eq!((over.status, over.code()), (429, "rate_limited"), "{}", over.body);
    assert_eq!(over.body["error"]["limit_of"], "org:acme");
    assert_eq!(chat(&globex, "hello").await.status, 200);
    assert_eq!(chat(&chain.edge(), "hello").await.status, 200);
    wait_until("the ledger has its three requests", async || {
        let usage = chain.call("switch").get("/switch/usage?group_by=org").await;
        let rows = usage.body["rows"].as_array().cloned().unwrap_or_default();
        rows.iter().find(|row| row["group"] == "acme").filter(|row| row["requests"] == 3).cloned()
    })
    .await;
}

#[tokio::test]
async fn an_organisations_plan_waits_for_its_own_people_and_services_are_not_theirs() {
    let chain = Chain::start().expect("starts");
    let (acme, globex) = (caller(&chain, "acme").await, caller(&chain, "globex").await);
    let ask = async |message: &str| {
        acme.post("/operator/api/chat", &json!({ "message": message, "session_id": "s", "provider": "madre" })).await
    };
    let stop = ask("stop the switch").await;
    assert_eq!((stop.status, &stop.body["status"]), (200, &json!("ERROR")), "{}", stop.body);
    let plan = ask("delete the logs").await;
    assert_eq!(plan.body["status"], "WAITING", "{}", plan.body);
    let intervention = format!("/operator/api/interventions/plan:{}", plan.body["plan_id"].as_str().expect("an id"));
    wait_until("it is at acme's desk", async || (acme.get(&intervention).await.status == 200).then_some(())).await;
    for other in [&globex, &chain.edge()] {
        assert_eq!(other.get(&intervention).await.status, 404);
    }
    let approved = acme.post(&format!("{intervention}/approve"), &json!({ "version": 1 })).await;
    assert_eq!(approved.status, 200, "{}", approved.body);
    wait_until("acme's conversation is told", async || {
        let session = acme.get("/operator/api/sessions/s").await;
        let history = session.body["data"]["history"].as_array().cloned().unwrap_or_default();
        history.iter().any(|turn| turn["model_used"] == "madre-plan").then_some(())
    })
    .await;
}
