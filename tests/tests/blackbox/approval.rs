//! A plan of madre's that a person approves at the operator, through real processes.

use serde_json::{Value, json};
use vx11_tests::{Answer, Caller, Chain, wait_until};

/// A chat whose plan waits: its plan, its intervention and its session.
async fn waiting(edge: &Caller) -> (String, String, String) {
    let asked = json!({ "message": "restart the switch service", "provider": "madre" });
    let answer = edge.post("/operator/api/chat", &asked).await;
    assert_eq!(answer.body["status"], "WAITING", "{}", answer.body);
    let text = |field: &str| answer.body[field].as_str().expect("a text").to_owned();
    let plan_id = text("plan_id");
    (plan_id.clone(), format!("plan:{plan_id}"), text("session_id"))
}

/// The intervention, once it is listed.
async fn listed(edge: &Caller, id: &str) -> Value {
    wait_until("the intervention is listed", async || {
        let page = edge.get("/operator/api/interventions?intervention_type=plan").await;
        page.body["data"]["items"].as_array()?.iter().find(|item| item["request_id"] == *id).cloned()
    })
    .await
}

async fn approve(edge: &Caller, id: &str, seen: &Value) -> Answer {
    let body =
        json!({ "version": seen["version"], "args_digest": seen["action"]["args_digest"], "reason": "after lunch" });
    edge.post(&format!("/operator/api/interventions/{id}/approve"), &body).await
}

/// What the session was told of the plan.
async fn told(edge: &Caller, session: &str, id: &str) -> Vec<Value> {
    let begins = format!("{id} was approved by ");
    wait_until("the session is told", async || {
        let detail = edge.get(&format!("/operator/api/sessions/{session}")).await;
        let turns = detail.body["data"]["history"].as_array()?.clone();
        let told =
            turns.into_iter().filter(|turn| turn["message"].as_str().is_some_and(|text| text.starts_with(&begins)));
        Some(told.collect::<Vec<_>>()).filter(|told| !told.is_empty())
    })
    .await
}

#[tokio::test]
async fn an_approval_runs_the_plan_and_its_session_has_the_result() {
    let chain = Chain::start().expect("starts");
    let edge = chain.edge();
    let (plan_id, id, session) = waiting(&edge).await;
    let seen = listed(&edge, &id).await;
    assert_eq!((&seen["required_role"], &seen["status"]), (&json!("OPERATOR"), &json!("PENDING")));
    let edited = json!({ "version": seen["version"], "args": {} });
    assert_eq!(edge.post(&format!("/operator/api/interventions/{id}/edit"), &edited).await.status, 409);

    assert_eq!(approve(&edge, &id, &seen).await.status, 200);
    assert_eq!(approve(&edge, &id, &seen).await.code(), "conflict");
    let told = told(&edge, &session, &id).await;
    let plan = edge.get(&format!("/madre/plans/{plan_id}")).await.body;
    assert_eq!((&plan["status"], &told[0]["response"]), (&json!("DONE"), &plan["result"]), "{plan}");
    assert_eq!(told.len(), 1);
    let redeemed = edge.get(&format!("/operator/api/interventions/{id}")).await.body;
    assert_eq!(redeemed["data"]["status"], "COMPLETED", "{redeemed}");
}

#[tokio::test]
async fn a_plan_is_cancelled_as_the_unit_of_work_that_it_is() {
    let chain = Chain::start().expect("starts");
    let edge = chain.edge();
    let (plan_id, id, session) = waiting(&edge).await;
    listed(&edge, &id).await;
    let body = json!({ "reason": "not today" });
    let cancelled = edge.post(&format!("/operator/api/pilot/cancel/{plan_id}"), &body).await;
    assert_eq!(cancelled.body["data"]["withdrawn"], json!([id]), "{}", cancelled.body);
    let plan = wait_until("the plan ends", async || {
        let plan = edge.get(&format!("/madre/plans/{plan_id}")).await.body;
        Some(plan).filter(|plan| plan["status"] != "WAITING")
    })
    .await;
    assert_eq!(plan["status"], "ERROR", "{plan}");
    let detail = wait_until("the session is told", async || {
        let detail = edge.get(&format!("/operator/api/sessions/{session}")).await.body;
        Some(detail.to_string()).filter(|detail| detail.contains("not today"))
    });
    assert!(detail.await.contains("nothing was done"));
}

#[tokio::test]
async fn nothing_is_lost_when_the_operator_and_then_madre_are_killed() {
    let mut chain = Chain::start().expect("starts");
    chain.kill9("operator").expect("it ran");
    let asked = json!({ "message": "restart the switch service", "session_id": "s-1" });
    let answer = chain.call("madre").post("/madre/chat", &asked).await;
    assert_eq!(answer.body["status"], "WAITING", "{}", answer.body);
    let (plan_id, id) = (answer.body["plan_id"].clone(), answer.body["intervention_id"].clone());
    let (plan_id, id) = (plan_id.as_str().expect("an id"), id.as_str().expect("an id"));

    chain.restart("operator").expect("starts again");
    let edge = chain.edge();
    let seen = listed(&edge, id).await;
    chain.kill9("madre").expect("it ran");
    assert_eq!(approve(&edge, id, &seen).await.status, 200);
    chain.restart("madre").expect("starts again");
    let told = told(&edge, "s-1", id).await;
    assert_eq!((told.len(), &told[0]["status"]), (1, &json!("DONE")), "{told:?}");
    let plan = chain.call("madre").get(&format!("/madre/plans/{plan_id}")).await.body;
    assert_eq!(plan["status"], "DONE", "{plan}");
}
