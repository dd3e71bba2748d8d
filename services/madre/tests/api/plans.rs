//! Plans that wait for a person.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use insta::assert_json_snapshot;
use serde_json::json;

use crate::fixture::{Home, eventually};

#[tokio::test]
async fn a_confirmed_plan_is_run_through_the_driver_once() {
    let home = Home::new();
    let madre = home.start().await;
    let (plan_id, token) = madre.waiting("stop the switch and restart mock-provider").await;

    let done = madre.confirm(&plan_id, &token).await;
    assert_eq!(done.status, 200);
    assert_json_snapshot!("confirmed", done.json(), {
        ".plan_id" => "[id]", ".correlation_id" => "[id]", ".created_at" => "[time]", ".updated_at" => "[time]"
    });
    assert_eq!(home.driver.take_calls(), ["stop switch", "stop mock-provider", "start mock-provider"]);
    madre.written().await;
    assert_eq!(madre.get(&format!("/madre/plans/{plan_id}")).await.json(), done.json());

    let again = madre.confirm(&plan_id, &token).await;
    assert_eq!((again.status, again.code()), (409, "conflict"));
    assert!(home.driver.take_calls().is_empty());
}

#[tokio::test]
async fn of_fifty_racing_confirmations_one_wins() {
    let home = Home::new();
    let madre = Arc::new(home.start().await);
    let (plan_id, token) = madre.waiting("restart the switch").await;
    let race = (0..50).map(|_| {
        let (madre, plan_id, token) = (madre.clone(), plan_id.clone(), token.clone());
        tokio::spawn(async move { madre.confirm(&plan_id, &token).await.status })
    });
    let mut statuses = Vec::new();
    for racer in race.collect::<Vec<_>>() {
        statuses.push(racer.await.expect("an answer"));
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    // A crowd may find all connections of the store in use; who hears that has not confirmed anything.
    assert!(statuses.iter().all(|status| [200, 409, 503].contains(status)), "{statuses:?}");
    assert_eq!(home.driver.take_calls(), ["stop switch", "start switch"]);
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_spends_nothing() {
    let home = Home::new();
    let madre = home.start().await;
    let (plan_id, token) = madre.waiting("delete the logs").await;
    let (other_id, _) = madre.waiting("delete the logs").await;
    for (id, sent) in [(&plan_id, "wrong"), (&plan_id, ""), (&other_id, token.as_str())] {
        let refused = madre.confirm(id, sent).await;
        assert_eq!((refused.status, refused.code()), (403, "invalid_confirmation"));
    }
    let unknown = madre.confirm("no-such-plan", &token).await;
    assert_eq!((unknown.status, unknown.code()), (404, "not_found"));
    assert_eq!(madre.get("/madre/plans/no-such-plan").await.status, 404);
    let shape = madre.post(&format!("/madre/plans/{plan_id}/confirm"), json!({ "token": token })).await;
    assert_eq!((shape.status, shape.code()), (422, "invalid_field"));

    let done = madre.confirm(&plan_id, &token).await;
    assert_eq!((done.status, &done["status"]), (200, &json!("DONE")));
    let result = done["result"].as_str().expect("a text");
    assert!(result.contains("nothing automatic exists"), "{result}");
}

#[tokio::test]
async fn what_keeps_vx11_alive_is_not_stopped_even_when_confirmed() {
    let home = Home::new();
    let madre = home.start().await;
    for message in ["stop madre", "restart tentaculo"] {
        let (plan_id, token) = madre.waiting(message).await;
        let refused = madre.confirm(&plan_id, &token).await;
        assert_eq!((refused.status, &refused["status"]), (200, &json!("ERROR")), "{message}");
        let result = refused["result"].as_str().expect("a text");
        assert!(result.contains("never stopped by power"), "{result}");
    }
    assert!(home.driver.take_calls().is_empty());
}

#[tokio::test]
async fn a_dry_run_is_not_reported_as_done() {
    let home = Home::new();
    home.driver.pretend();
    let madre = home.start().await;
    let answer = madre.chat("stop the switch").await.json();
    assert!(answer["warnings"].to_string().contains("only pretends"), "{answer}");
    let (plan_id, token) = madre.waiting("stop the switch").await;
    assert_eq!(madre.confirm(&plan_id, &token).await["result"], "stop switch: dry run, nothing was really done.");
}

#[tokio::test]
async fn a_driver_that_fails_or_hangs_is_an_error_in_the_result() {
    let home = Home::new().with("VX11_MADRE__DRIVER_TIMEOUT", "50ms");
    let madre = home.start().await;
    home.driver.break_service("switch");
    home.driver.hang("mock-provider");
    for (message, why) in [("stop the switch", "out of order"), ("stop mock-provider", "did not stop within 50 ms")] {
        let (plan_id, token) = madre.waiting(message).await;
        let failed = madre.confirm(&plan_id, &token).await;
        assert_eq!(failed["status"], "ERROR", "{message}");
        assert!(failed["result"].as_str().expect("a text").contains(why), "{}", failed.body);
    }
}

#[tokio::test]
async fn a_plan_waits_across_a_restart_and_its_token_still_works() {
    let home = Home::new();
    let madre = home.start().await;
    let (plan_id, token) = madre.waiting("restart the switch").await;
    madre.stop().await;

    let madre = home.start().await;
    assert_eq!(madre.get(&format!("/madre/plans/{plan_id}")).await["status"], "WAITING");
    assert_eq!(madre.confirm(&plan_id, &token).await.status, 200);
}

#[tokio::test]
async fn a_plan_that_waits_is_on_disk_and_its_token_is_not() {
    let home = Home::new();
    let madre = home.start().await;
    let (plan_id, token) = madre.waiting("delete the logs").await;
    // Another connection sees only what is committed.
    let plans = stored_plans(&home);
    assert_eq!(plans.len(), 1);
    assert_eq!((plans[0].plan_id.as_str(), plans[0].status.as_str()), (plan_id.as_str(), "WAITING"));
    assert_ne!(plans[0].token_digest, token);
}

#[tokio::test]
async fn a_plan_whose_time_is_up_is_not_run() {
    let home = Home::new().with("VX11_MADRE__CONFIRM_TTL", "1ms");
    let madre = home.start().await;
    let (plan_id, token) = madre.waiting("restart the switch").await;
    let late = madre.confirm(&plan_id, &token).await;
    assert_eq!((late.status, late.code()), (409, "conflict"));
    eventually("the plan is ended", async || madre.get(&format!("/madre/plans/{plan_id}")).await["status"] == "ERROR")
        .await;
    assert!(home.driver.take_calls().is_empty());
}

#[tokio::test]
async fn a_plan_that_ran_when_madre_died_is_ended_at_the_next_start() {
    let home = Home::new();
    let madre = home.start().await;
    let (plan_id, token) = madre.waiting("restart the switch").await;
    madre.stop().await;
    home.stranger()
        .batch_execute("UPDATE plans SET status = 'RUNNING', updated_at = '2020-01-01T00:00:00.000Z'")
        .expect("updated");

    let madre = home.start().await;
    eventually("the plan is ended", async || madre.get(&format!("/madre/plans/{plan_id}")).await["status"] == "ERROR")
        .await;
    assert_eq!(madre.confirm(&plan_id, &token).await.status, 409);
}

#[tokio::test]
async fn plans_are_listed_in_pages_newest_first() {
    let home = Home::new();
    let madre = home.start().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(madre.waiting("delete the logs").await.0);
    }
    let (done, token) = madre.waiting("update it").await;
    madre.confirm(&done, &token).await;

    let mut listed = Vec::new();
    let mut path = "/madre/plans?status=WAITING&limit=2".to_owned();
    loop {
        let page = madre.get(&path).await.json();
        let items = page["items"].as_array().expect("a list");
        listed.extend(items.iter().map(|plan| plan["plan_id"].as_str().expect("an id").to_owned()));
        match page["next"].as_str() {
            Some(next) => path = format!("/madre/plans?status=WAITING&limit=2&before={next}"),
            None => break,
        }
    }
    made.reverse();
    assert_eq!(listed, made);
    assert_eq!(madre.get("/madre/plans").await["items"].as_array().map(Vec::len), Some(6));
    for bad in ["status=waiting", "limit=0", "limit=101", "before=x", "stauts=DONE"] {
        assert_eq!(madre.get(&format!("/madre/plans?{bad}")).await.status, 422, "{bad}");
    }
}

#[derive(diesel::QueryableByName)]
struct Stored {
    #[diesel(sql_type = diesel::sql_types::Text)]
    plan_id: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    status: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    token_digest: String,
}

fn stored_plans(home: &Home) -> Vec<Stored> {
    use diesel::RunQueryDsl;
    diesel::sql_query("SELECT plan_id, status, token_digest FROM plans").load(&mut home.stranger()).expect("rows")
}
