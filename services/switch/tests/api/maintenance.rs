//! The upkeep of the ledger, as madre asks for it.

use serde_json::json;

use crate::app::{Answer, App, eventually};
use crate::fake::{Fake, completion};

async fn upkeep(app: &App, body: serde_json::Value) -> Answer {
    Answer::of(app.post("/switch/maintenance", body.to_string())).await
}

#[tokio::test]
async fn the_ledger_is_checked_counted_and_backed_up() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[("VX11_RETENTION_USAGE_LEDGER_DAYS", "7")]).await;
    assert_eq!(app.complete().await.status, 200);
    eventually("the row is written", async || {
        upkeep(&app, json!({})).await.json()["counts"]["usage_ledger"] == json!(1)
    })
    .await;
    let report = upkeep(&app, json!({ "reason": "a test", "log_days": 1 })).await.json();
    assert_eq!(report["integrity"]["state"], "ok", "{report}");
    let table = &report["retention"]["tables"][0];
    assert_eq!((&table["table"], &table["days"], &table["rows"]), (&json!("usage_ledger"), &json!(7), &json!(0)));
    let sums = &report["retention"]["tables"][1];
    assert_eq!((&sums["table"], &sums["days"], &sums["error"]), (&json!("usage_days"), &json!(800), &json!(null)));
    let backup = report["backup_rotation"]["created"]["path"].as_str().unwrap();
    assert!(std::path::Path::new(backup).exists(), "{backup}");
}

#[tokio::test]
async fn upkeep_is_no_affair_of_callers_with_a_key() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let stranger = Answer::of(app.stranger("/switch/maintenance").bearer_auth("sk-alice").body("{}")).await;
    assert_eq!(stranger.status, 403);
    assert_eq!(upkeep(&app, json!({ "log_days": 0 })).await.status, 422);
}
