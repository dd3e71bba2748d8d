//! Two madres on one real PostgreSQL.

use serde_json::json;
use vx11_testing_servers::Postgres;

use crate::fixture::{Home, eventually};

/// Two replicas, and their database.
async fn two() -> ([Home; 2], String) {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().new_database()).await.expect("a database");
    let home = || Home::new().with("VX11_DATABASE_URL", &url);
    ([home(), home()], url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_waits_at_one_is_run_once_by_whichever_is_told() {
    let ([one, other], _) = two().await;
    let madres = [one.start().await, other.start().await];
    let (plan_id, token) = madres[0].waiting("restart the switch").await;
    let asked = (0..20).map(|number| madres[number % 2].confirm(&plan_id, &token));
    let statuses: Vec<u16> = futures_util::future::join_all(asked).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 409, 503].contains(status)), "{statuses:?}");
    let calls = [one.driver.take_calls(), other.driver.take_calls()].concat();
    assert_eq!(calls, ["stop switch", "start switch"]);
    for madre in &madres {
        eventually("both say how it ended", async || {
            madre.get(&format!("/madre/plans/{plan_id}")).await["status"] == "DONE"
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_window_is_open_at_a_time_and_either_closes_it() {
    let ([one, other], _) = two().await;
    let madres = [one.start().await, other.start().await];
    let window = json!({ "services": ["switch"], "ttl_sec": 60, "reason": "a test", "mode": "ttl" });
    let opened = madres.each_ref().map(|madre| madre.post("/madre/power/window/open", window.clone()));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(opened).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let closed = madres[1].post("/madre/power/window/close", json!({})).await;
    assert_eq!(closed.status, 200, "{}", closed.body);
    let none = madres[0].post("/madre/power/window/close", json!({})).await;
    assert_eq!(none.status, 404, "{}", none.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_another_replica_runs_is_left_and_one_that_nobody_runs_is_ended() {
    let ([one, other], url) = two().await;
    let madre = one.start().await;
    let (alive, _) = madre.waiting("restart the switch").await;
    let (dead, _) = madre.waiting("restart the switch").await;
    let run = |plan: &str, since: &str| {
        let since =
            format!("to_char(now() AT TIME ZONE 'utc' - interval '{since}', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')");
        let set = format!("SET vx11.platform = 'on'; UPDATE madre.plans SET status = 'RUNNING', updated_at = {since}");
        Postgres::execute_at(&url, &format!("{set} WHERE plan_id = '{plan}'"));
    };
    run(&alive, "10 seconds");
    run(&dead, "31 seconds");
    let started = other.start().await;
    eventually("what nobody runs is ended", async || {
        started.get(&format!("/madre/plans/{dead}")).await["status"] == "ERROR"
    })
    .await;
    assert_eq!(started.get(&format!("/madre/plans/{alive}")).await["status"], "RUNNING");
}
