//! What an organisation asks is its own: its plans, their approval, their trail. Services are nobody's but the platform's.

use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::fixture::{Answer, Home, Madre, eventually};

async fn of(madre: &Madre, org: &str, method: Method, path: &str, body: Value) -> Answer {
    Answer::of(madre.request(method, path).header("x-vx11-org", org).json(&body)).await
}

async fn chat(madre: &Madre, org: &str, message: &str) -> Answer {
    let body = json!({ "message": message, "session_id": "s1", "correlation_id": "c1" });
    of(madre, org, Method::POST, "/madre/chat", body).await
}

#[tokio::test]
async fn a_plan_is_its_organisations_and_so_are_its_approval_and_what_is_told_of_it() {
    let desk = Desk::start();
    let madre = Home::new().with("VX11_OPERATOR_URL", &desk.url).start().await;
    let waiting = chat(&madre, "acme", "delete the logs").await;
    assert_eq!(waiting["status"], "WAITING", "{}", waiting.body);
    let (plan_id, token) = (waiting["plan_id"].as_str().expect("an id"), waiting["confirm_token"].clone());
    assert_eq!(desk.opened(plan_id).await["org_id"], "acme");

    let (one, all, trail) = (format!("/madre/plans/{plan_id}"), "/madre/plans", "/madre/audit/c1");
    for other in ["globex", "default"] {
        assert_eq!(of(&madre, other, Method::GET, &one, Value::Null).await.status, 404);
        assert_eq!(of(&madre, other, Method::GET, all, Value::Null).await["items"], json!([]));
        let confirm = json!({ "confirm_token": token });
        assert_eq!(of(&madre, other, Method::POST, &format!("{one}/confirm"), confirm).await.status, 404);
        assert_eq!(of(&madre, other, Method::GET, trail, Value::Null).await["actions"], json!([]));
        let counted = chat(&madre, other, "show me the metrics").await;
        assert!(!counted.body.contains("WAITING,") && !counted.body.contains("1 WAITING"), "{}", counted.body);
    }
    assert_eq!(of(&madre, "acme", Method::GET, &one, Value::Null).await["org_id"], "acme");
    assert_eq!(of(&madre, "acme", Method::GET, trail, Value::Null).await["actions"][0]["org_id"], "acme");

    assert!(desk.approve(plan_id));
    let told = desk.told().await;
    assert_eq!((&told["org_id"], &told["session_id"]), (&json!("acme"), &json!("s1")));
    let is_done = async || of(&madre, "acme", Method::GET, &one, Value::Null).await["status"] == "DONE";
    eventually("the plan has ended", is_done).await;
}

#[tokio::test]
async fn nobody_but_the_platform_acts_on_services_however_it_is_approved() {
    let home = Home::new();
    let madre = home.start().await;
    for message in
        ["stop the switch", "restart the operator", "start mock-provider", "delete the logs and stop the switch"]
    {
        let refused = chat(&madre, "acme", message).await;
        assert_eq!((refused.status, &refused["status"]), (200, &json!("ERROR")), "{message}: {}", refused.body);
        assert_eq!((&refused["plan_id"], &refused["confirm_token"]), (&Value::Null, &Value::Null), "{message}");
    }
    for org in ["acme", "default"] {
        assert_eq!(of(&madre, org, Method::GET, "/madre/plans", Value::Null).await["items"], json!([]));
    }
    assert_eq!(chat(&madre, "default", "stop the switch").await["status"], "WAITING");
    assert!(home.driver.take_calls().is_empty());
}
