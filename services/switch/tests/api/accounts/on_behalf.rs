//! What VX11's own services ask for an organisation, as the operator's chats are.

use serde_json::{Value, json};

use super::{BODY, app, ask, ledger, spending, usage};
use crate::app::{Answer, App};
use crate::fake::Fake;

const ACME: &str = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\norg = \"acme\"\n[switch.orgs.acme]\n";

async fn chat(app: &App, org: Option<&str>) -> Answer {
    chat_with(app, org, "m").await
}

async fn chat_with(app: &App, org: Option<&str>, model: &str) -> Answer {
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let body = json!({ "messages": messages, "session_id": "s", "correlation_id": "c", "model": model });
    let request = app.post("/switch/chat", body.to_string());
    Answer::of(match org {
        Some(org) => request.header("x-vx11-org", org),
        None => request,
    })
    .await
}

#[tokio::test]
async fn it_counts_against_the_organisations_limits_with_its_keys() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":1,"completion_tokens":1}"#)]).await;
    let app = app(&fake, &format!("{ACME}requests_per_day = 2")).await;
    assert_eq!(chat(&app, Some("acme")).await.status, 200);
    assert_eq!(Answer::of(ask(&app, "sk-alice", BODY)).await.status, 200);
    let refused = chat(&app, Some("acme")).await;
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"), "{}", refused.body);
    assert_eq!(refused.json()["error"]["limit_of"], "org:acme");
    assert_eq!(Answer::of(ask(&app, "sk-alice", BODY)).await.status, 429);
    for other in [Some("globex"), Some("default"), None] {
        assert_eq!(chat(&app, other).await.status, 200, "{other:?}");
    }
    assert_eq!(chat(&app, Some("No org")).await.status, 400);
}

/// The same on `/v1`, which a service reaches with the same token.
async fn complete(app: &App, org: Option<&str>, model: &str) -> Answer {
    let request = app.post("/v1/chat/completions", BODY.replace(r#""m""#, &json!(model).to_string()));
    Answer::of(match org {
        Some(org) => request.header("x-vx11-org", org),
        None => request,
    })
    .await
}

#[tokio::test]
async fn a_budget_holds_on_every_address() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":0,"completion_tokens":100}"#)]).await;
    let app = app(&fake, &format!("{ACME}budget = {{ usd = 0.0015, period = \"total\" }}")).await;
    assert_eq!(complete(&app, Some("acme"), "m").await.status, 200);
    // What has no price would never be on the budget.
    let unpriced = complete(&app, Some("acme"), "a/unpriced").await;
    assert_eq!((unpriced.status, unpriced.code()), (403, "model_not_allowed"), "{}", unpriced.body);
    let response = r#"{"model":"m","input":"hello","previous_response_id":"resp_1"}"#;
    let beyond = Answer::of(app.post("/v1/responses", response.to_owned()).header("x-vx11-org", "acme")).await;
    assert_eq!(beyond.status, 400, "what a provider keeps is in no price: {}", beyond.body);
    assert_eq!(complete(&app, Some("acme"), "m").await.status, 200);
    let spent = complete(&app, Some("acme"), "m").await;
    assert_eq!((spent.status, spent.code()), (429, "insufficient_quota"), "{}", spent.body);
    assert_eq!(complete(&app, None, "a/unpriced").await.status, 200);
    assert_eq!(complete(&app, Some("No org"), "m").await.status, 400);
}

#[tokio::test]
async fn it_is_in_the_ledger_as_the_organisations_and_a_budget_knows_of_it_after_a_restart() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":0,"completion_tokens":100}"#)]).await;
    let data = tempfile::tempdir().unwrap();
    let home = [("VX11_DATA_DIR", data.path().to_str().unwrap())];
    // A chat names no limit, so 100 tokens are reserved for its answer.
    let variables = [home[0], ("VX11_SWITCH__ASSUMED_OUTPUT_TOKENS", "100")];
    let config = format!("{ACME}budget = {{ usd = 0.0015, period = \"total\" }}");
    let app = super::app_in(&fake, &config, &variables).await;
    assert_eq!(chat(&app, Some("acme")).await.status, 200);
    assert_eq!(chat(&app, None).await.status, 200);
    ledger(&app, 2).await;
    let mut rows = usage(&app, "group_by=org").await;
    rows.sort_by_key(|row| row["group"].to_string());
    let requests: Vec<(&Value, &Value)> = rows.iter().map(|row| (&row["group"], &row["requests"])).collect();
    assert_eq!(requests, [(&json!(""), &json!(1)), (&json!("acme"), &json!(1))]);
    let unpriced = chat_with(&app, Some("acme"), "a/unpriced").await;
    assert_eq!((unpriced.status, unpriced.code()), (403, "model_not_allowed"), "{}", unpriced.body);
    assert_eq!(chat_with(&app, None, "a/unpriced").await.status, 200);
    app.stop().await;

    let app = super::app_in(&fake, &config, &variables).await;
    let spent = chat(&app, Some("acme")).await;
    assert_eq!((spent.status, spent.code()), (429, "insufficient_quota"), "{}", spent.body);
}
