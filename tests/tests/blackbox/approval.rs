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
    assert_eq!(cancelled.body["data"]["unit"]["status"], "FAILED", "{}", cancelled.body);
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

/// A plan's unit of work, once it stands there.
async fn unit_is(edge: &Caller, plan_id: &str, status: &str) -> Value {
    wait_until("the unit stands there", async || {
        let unit = edge.get(&format!("/operator/api/units/{plan_id}")).await.body["data"].clone();
        (unit["status"] == status).then_some(unit)
    })
    .await
}

#[tokio::test]
async fn a_plan_is_listed_as_a_unit_of_work_and_resumed_as_one() {
    let chain = Chain::start().expect("starts");
    let edge = chain.edge();
    let (plan_id, id, session) = waiting(&edge).await;
    listed(&edge, &id).await;
    let page = edge.get("/operator/api/units?status=PENDING&instance_id=madre").await;
    let unit = &page.body["data"]["items"][0];
    assert_eq!((&unit["uow_id"], &unit["data"]["session_id"]), (&json!(plan_id), &json!(session)), "{page:?}");
    assert_eq!(unit["data"]["intervention_id"], json!(id));

    let resume = format!("/operator/api/pilot/resume/{plan_id}");
    let resumed = edge.post(&resume, &json!({ "reason": "after lunch" })).await;
    assert_eq!((resumed.status, &resumed.body["data"]["uow_id"]), (200, &json!(plan_id)), "{resumed:?}");
    let told = told(&edge, &session, &id).await;
    assert_eq!((told.len(), &told[0]["status"]), (1, &json!("DONE")), "{told:?}");
    let over = unit_is(&edge, &plan_id, "COMPLETED").await;
    let steps: Vec<_> = over["history"].as_array().expect("events").iter().map(|event| &event["new_status"]).collect();
    assert_eq!(steps, ["COMPLETED", "ACTIVE", "PENDING"], "{over}");
    assert_eq!(edge.post(&resume, &json!({})).await.status, 409, "once");

    // A rule of the organisation's holds for plans too.
    let no_runs = json!({"guardian": {"type": "DIRECTIONAL_FILTER", "deny": [{"from": "*", "to": "run"}]}});
    let put = edge.request(reqwest::Method::PUT, "/operator/api/guard-rules/no-runs").json(&no_runs);
    assert_eq!(vx11_tests::send(put).await.expect("an answer").status, 200);
    let (plan_id, id, _) = waiting(&edge).await;
    let seen = listed(&edge, &id).await;
    assert_eq!(approve(&edge, &id, &seen).await.status, 200);
    let stopped = unit_is(&edge, &plan_id, "FAILED").await;
    assert!(stopped["reason"].as_str().expect("a reason").contains("may not run"), "{stopped}");
    let plan = edge.get(&format!("/madre/plans/{plan_id}")).await.body;
    assert_eq!(plan["status"], "ERROR", "{plan}");
    let unused = edge.get(&format!("/operator/api/interventions/{id}")).await.body;
    assert_eq!(unused["data"]["status"], "APPROVED", "{unused}");

    // A token asks no rule; and what a rule would have held does not hold the unit for good.
    let asked = json!({ "message": "restart the switch service", "provider": "madre" });
    let waits = edge.post("/operator/api/chat", &asked).await.body;
    let plan_id = waits["plan_id"].as_str().expect("an id");
    listed(&edge, &format!("plan:{plan_id}")).await;
    let confirm = json!({ "confirm_token": waits["confirm_token"] });
    let ran = edge.post(&format!("/madre/plans/{plan_id}/confirm"), &confirm).await;
    assert_eq!(ran.body["status"], "DONE", "{ran:?}");
    let outran = unit_is(&edge, plan_id, "FAILED").await;
    assert!(outran["reason"].as_str().expect("a reason").starts_with("it ran all the same: "), "{outran}");
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
