//! The chat of last resort.

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::fixture::{Answer, Home};

#[tokio::test]
async fn what_harms_nothing_is_answered_at_once_and_always_alike() {
    let madre = Home::new().start().await;
    for (name, message) in [
        ("help", "help"),
        ("status", "what is the system status?"),
        ("metrics", "show me the metrics"),
        ("agents", "list agents"),
        ("question", "Who wrote Don Quixote?"),
        ("code", "write a python function that deletes duplicates"),
        ("about_deletion", "how do I delete the logs?"),
        ("deploy", "despliega la versión 2"),
    ] {
        let answer = madre.chat_kept(message).await;
        assert_eq!(answer.status, 200, "{message}");
        assert_eq!(answer["status"], "DONE", "{message}");
        assert_json_snapshot!(name, answer.json());
        assert_eq!(madre.chat_kept(message).await.json(), answer.json(), "{message}");
    }
}

#[tokio::test]
async fn what_could_do_harm_waits_and_says_what_would_happen() {
    let home = Home::new();
    let madre = home.start().await;
    for (name, message) in [
        ("stop_switch", "stop the switch"),
        ("restart_operator", "reinicia el operador"),
        ("stop_madre", "stop madre"),
        ("delete_logs", "delete the logs"),
    ] {
        let answer = madre.chat_kept(message).await;
        assert_eq!((answer.status, &answer["status"]), (200, &json!("WAITING")), "{message}");
        let plan_id = answer["plan_id"].as_str().expect("an id").to_owned();
        let mut shown = answer.json();
        let response = shown["response"].as_str().expect("a text").replace(&plan_id, "[id]");
        shown["response"] = response.into();
        assert_json_snapshot!(name, shown, {
            ".plan_id" => "[id]", ".confirm_token" => "[token]", ".intervention_id" => "plan:[id]"
        });
    }
    assert!(home.driver.take_calls().is_empty(), "nothing runs unconfirmed");
}

#[tokio::test]
async fn what_waits_is_counted_by_its_risk() {
    let madre = Home::new().start().await;
    for message in ["stop the switch", "reinicia el operador", "stop madre", "delete the logs"] {
        madre.waiting(message).await;
    }
    assert_eq!(madre.metric("vx11_madre_plans_total{risk=\"HIGH\",status=\"WAITING\"}").await, 3.0);
    assert_eq!(madre.metric("vx11_madre_plans_total{risk=\"MEDIUM\",status=\"WAITING\"}").await, 1.0);
}

#[tokio::test]
async fn a_chat_leaves_its_trail_under_the_bodys_correlation_id() {
    let madre = Home::new().start().await;
    let answer = madre
        .post(
            "/madre/chat",
            json!({ "message": "top secret question", "session_id": "s1", "correlation_id": "c-1", "new_field": 1 }),
        )
        .await;
    assert_eq!((answer.status, answer.header("x-correlation-id")), (200, "c-1"));

    madre.written().await;
    let trail = madre.get("/madre/audit/c-1").await;
    assert_json_snapshot!("trail", trail.json(), { ".actions[].timestamp" => "[time]" });
    assert!(!trail.body.contains("secret"), "a trail tells what was done, not what was said");
    assert_eq!(madre.get("/madre/audit/never").await.json(), json!({ "actions": [] }));
}

#[tokio::test]
async fn bad_requests_get_the_documented_errors() {
    let madre = Home::new().start().await;
    let long = "a".repeat(10_001);
    for (body, status, code) in [
        (json!({}), 422, "invalid_field"),
        (json!({ "message": "  \n" }), 422, "invalid_field"),
        (json!({ "message": 7 }), 422, "invalid_field"),
        (json!({ "message": long }), 413, "message_too_long"),
        (json!({ "message": "hi", "session_id": "with space" }), 422, "invalid_field"),
        (json!({ "message": "hi", "correlation_id": "" }), 422, "invalid_field"),
    ] {
        let answer = madre.post("/madre/chat", body.clone()).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{body}");
    }
    let half = madre.request(Method::POST, "/madre/chat").body("{\"message\": ");
    assert_eq!(Answer::of(half).await.status, 400);
    assert_eq!(madre.chat(&"borra ".repeat(1600)).await["status"], "WAITING", "the longest message is understood");
}

#[tokio::test]
async fn without_the_token_nobody_is_let_in() {
    let madre = Home::new().start().await;
    for path in ["/madre/plans", "/madre/power/state", "/madre/audit/x", "/madre/power/token"] {
        assert_eq!(Answer::of(madre.anyone(Method::GET, path)).await.status, 401, "{path}");
        let wrong = madre.anyone(Method::GET, path).header("x-vx11-token", "wrong");
        assert_eq!(Answer::of(wrong).await.status, 403, "{path}");
    }
}
