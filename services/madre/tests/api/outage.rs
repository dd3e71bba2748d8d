//! A store that cannot be written or is gone.

use diesel::connection::SimpleConnection;
use serde_json::json;

use crate::fixture::{Home, eventually};

#[tokio::test]
async fn with_a_locked_store_chat_answers_and_nothing_risky_runs() {
    let home = Home::new();
    let madre = home.start().await;
    let mut stranger = home.stranger();
    stranger.batch_execute("BEGIN EXCLUSIVE").expect("the lock");

    let low = madre.chat("status").await;
    assert_eq!((low.status, &low["status"]), (200, &json!("DONE")));
    let warnings = low["warnings"].to_string();
    assert!(warnings.contains("not durable"), "{warnings}");

    let high = madre.chat("stop the switch").await;
    assert_eq!((high.status, &high["status"]), (200, &json!("ERROR")));
    assert!(high["warnings"].to_string().contains("could not be stored"), "{}", high.body);
    assert!(high["plan_id"].is_null() && high["confirm_token"].is_null());
    assert!(home.driver.take_calls().is_empty());

    let window = madre.post("/madre/power/window/open", json!({ "services": ["switch"] })).await;
    assert_eq!((window.status, window.code()), (503, "store_unavailable"));
    let ready = madre.get("/ready").await.json();
    assert_eq!((&ready["status"], &ready["dependencies"]["store"]["status"]), (&json!("degraded"), &json!("degraded")));

    stranger.batch_execute("ROLLBACK").expect("unlocked");
    eventually("madre is ready again", async || madre.get("/ready").await["status"] == "ready").await;
    eventually("the trail is complete", async || {
        let trail = madre.get(&format!("/madre/audit/{}", low.header("x-correlation-id"))).await.json();
        trail["actions"].as_array().is_some_and(|actions| actions.len() == 1)
    })
    .await;
    madre.waiting("stop the switch").await;
}

#[tokio::test]
async fn a_full_disk_does_not_stop_chat() {
    let home = Home::new();
    let madre = home.start().await;
    // The nearest thing to a full disk that needs no disk: SQLite refuses every row for want of room.
    home.stranger()
        .batch_execute(
            "CREATE TRIGGER full BEFORE INSERT ON plans BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END;
             CREATE TRIGGER full_log BEFORE INSERT ON copilot_actions_log BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END;",
        )
        .expect("triggers");
    assert_eq!(madre.chat("help").await["status"], "DONE");
    assert_eq!(madre.chat("delete the logs").await["status"], "ERROR");
}

#[tokio::test]
async fn what_was_answered_while_the_store_was_locked_is_written_before_madre_stops() {
    let home = Home::new();
    let madre = home.start().await;
    let mut stranger = home.stranger();
    stranger.batch_execute("BEGIN EXCLUSIVE").expect("the lock");
    let low = madre.chat("help").await;
    stranger.batch_execute("ROLLBACK").expect("unlocked");
    madre.stop().await;

    let madre = home.start().await;
    let trail = madre.get(&format!("/madre/audit/{}", low.header("x-correlation-id"))).await.json();
    assert_eq!(trail["actions"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_driver_that_hangs_costs_the_status_that_service_only() {
    let home = Home::new();
    home.driver.hang("switch");
    let madre = home.start().await;
    let answer = madre.chat("status").await;
    assert_eq!(answer["status"], "DONE");
    let response = answer["response"].as_str().expect("a text");
    assert!(response.contains("switch (unknown)") && response.contains("operator (running, core)"), "{response}");
}
