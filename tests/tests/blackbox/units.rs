//! An agent's unit of work through real processes and the edge: registered, parked, resumed, and stopped.

use reqwest::Method;
use serde_json::{Value, json};
use vx11_tests::{Answer, Caller, Chain, send};

/// A key of its own for each: an agent's, a pilot's, an ADMIN's.
async fn key(edge: &Caller, role: &str, scope: &str) -> String {
    let body = json!({ "name": scope, "role": role, "scopes": [scope, "read"] });
    let made = edge.post("/operator/api/keys", &body).await;
    made.body["data"]["secret"].as_str().expect("a secret").to_owned()
}

async fn with(edge: &Caller, key: &str, path: &str, body: Value) -> Answer {
    let request = edge.with_token(None).request(Method::POST, path).bearer_auth(key);
    send(request.json(&body)).await.expect("an answer")
}

#[tokio::test]
async fn an_agent_goes_as_far_as_people_let_it() {
    let mut chain = Chain::start().expect("starts");
    let edge = chain.edge();
    let agent = key(&edge, "OPERATOR", "agent").await;
    let (pilot, admin) = (key(&edge, "OPERATOR", "pilot").await, key(&edge, "ADMIN", "pilot").await);
    let rule = json!({
        "rule_id": "look",
        "guardian": { "type": "DIRECTIONAL_FILTER", "deny": [{ "from": "*", "to": "deploy" }] },
        "otherwise": "park",
    });
    let unit = json!({ "uow_id": "ship-1", "instance_id": "agent-7", "title": "Ship it", "rules": [rule] });
    assert_eq!(with(&edge, &agent, "/operator/api/units", unit).await.status, 201);
    let step =
        async |step: &str| with(&edge, &agent, "/operator/api/units/ship-1/transitions", json!({ "step": step })).await;
    assert_eq!(step("build").await.status, 200);
    let beat = with(&edge, &agent, "/operator/api/units/ship-1/heartbeat", json!({})).await;
    assert_eq!(beat.body["data"]["status"], "ACTIVE", "{}", beat.body);

    let parked = step("deploy").await;
    assert_eq!(parked.status, 202, "{}", parked.body);
    let request = parked.header("location").to_owned();
    // Nothing of it is lost with the process.
    chain.kill9("operator").expect("it ran");
    chain.restart("operator").expect("starts again");
    let edge = chain.edge();
    let wait_path = format!("{request}/wait?timeout_seconds=30");
    let waiting = edge.with_token(None).request(Method::GET, &wait_path).bearer_auth(&agent);
    let resuming = with(&edge, &pilot, "/operator/api/pilot/resume/ship-1", json!({ "reason": "go" }));
    let (waited, resumed) = tokio::join!(send(waiting), resuming);
    let waited = waited.expect("an answer");
    assert_eq!((resumed.status, &resumed.body["data"]["status"]), (200, &json!("ACTIVE")), "{}", resumed.body);
    assert_eq!(waited.body["data"]["status"], "COMPLETED", "{}", waited.body);
    let step =
        async |step: &str| with(&edge, &agent, "/operator/api/units/ship-1/transitions", json!({ "step": step })).await;
    assert_eq!(step("deploy").await.status, 200);

    let kill = json!({ "instance_id": "agent-7", "reason": "it deploys too much" });
    assert_eq!(with(&edge, &pilot, "/operator/api/pilot/kill-switch", kill.clone()).await.status, 403);
    let killed = with(&edge, &admin, "/operator/api/pilot/kill-switch", kill).await;
    assert_eq!(killed.body["data"]["paused"], 1, "{}", killed.body);
    let stopped = step("verify").await;
    assert_eq!((stopped.status, &stopped.body["error"]["unit"]["status"]), (409, &json!("PAUSED")), "{}", stopped.body);
    let waive = json!({ "reason": "it was meant to" });
    let waived = with(&edge, &admin, "/operator/api/pilot/waive/ship-1/kill_switch", waive).await;
    assert_eq!(waived.body["data"]["status"], "ACTIVE", "{}", waived.body);
    assert_eq!(step("verify").await.status, 200);
}
