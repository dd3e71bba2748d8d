//! Budgets of keys, teams and organisations.

use super::{BODY, app, app_in, ask, ledger, spending};
use crate::app::Answer;
use crate::fake::{Fake, answer, completion};

#[tokio::test]
async fn budgets_of_key_team_and_organisation_hold_and_say_so() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":0,"completion_tokens":100}"#)]).await;
    let key = |name: &str, more: &str| {
        format!(
            "[switch.keys.{name}]\nsecret_env = \"{}_SECRET\"\norg = \"acme\"\nteam = \"red\"\n{more}\n",
            name.to_uppercase()
        )
    };
    for (whose, config) in [
        ("key", format!("{}{}[switch.orgs.acme.teams.red]", key("alice", "budget = { usd = 0.003 }"), key("bob", ""))),
        (
            "team",
            format!(
                "{}{}[switch.orgs.acme.teams.red]\nbudget = {{ usd = 0.003, period = \"total\" }}",
                key("alice", ""),
                key("bob", "")
            ),
        ),
        (
            "org",
            format!(
                "{}{}[switch.orgs.acme]\nbudget = {{ usd = 0.003, period = \"day\" }}\n[switch.orgs.acme.teams.red]",
                key("alice", ""),
                key("bob", "")
            ),
        ),
    ] {
        let app = app(&fake, &config).await;
        // Each costs 0.001, and reserves a little more because of its prompt.
        let body = BODY.replace(":10", ":100");
        for _ in 0..2 {
            assert_eq!(Answer::of(ask(&app, "sk-alice", &body)).await.status, 200, "{whose}");
        }
        ledger(&app, 2).await;
        let got = Answer::of(ask(&app, "sk-alice", &body)).await;
        assert_eq!((got.status, got.code()), (429, "insufficient_quota"), "{whose}");
        assert_eq!(got.json()["error"]["type"], "insufficient_quota");
        assert!(
            got.body.contains(&format!("budget of {whose} ")) && !got.header("retry-after").is_empty(),
            "{}",
            got.body
        );
        let shared = if whose == "key" { 200 } else { 429 };
        assert_eq!(Answer::of(ask(&app, "sk-bob", &body)).await.status, shared, "{whose}");
    }
}

#[tokio::test]
async fn a_restart_forgets_no_spending() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":0,"completion_tokens":100}"#)]).await;
    let data = tempfile::tempdir().unwrap();
    let home = [("VX11_DATA_DIR", data.path().to_str().unwrap())];
    let config = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\nrequests_per_day = 3\nbudget = { usd = 0.0025 }";
    let body = BODY.replace(":10", ":100");
    for run in 0..2 {
        let app = app_in(&fake, config, &home).await;
        let got = Answer::of(ask(&app, "sk-alice", &body)).await;
        assert_eq!((got.status, got.header("x-ratelimit-remaining-requests")), (200, ["2", "1"][run]));
        app.stop().await;
    }
    let app = app_in(&fake, config, &home).await;
    let got = Answer::of(ask(&app, "sk-alice", &body)).await;
    assert_eq!(got.json()["error"]["code"], "insufficient_quota", "two of three thousandths are spent");
    assert_eq!(ledger(&app, 2).await["cost_usd"], "0.002", "an orderly stop loses no row");
}

#[tokio::test]
async fn who_has_a_budget_is_not_let_to_what_nobody_knows_the_price_of() {
    let fake = Fake::always([completion("hi")]).await;
    let alice = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\norg = \"acme\"\nteam = \"red\"\n";
    let routes = "free = { input = 0, output = 0 }\n[switch.models.r]\ntargets = [\"a/unpriced\", \"a/m\"]\n";
    for (budget, has_one) in [
        ("tokens_per_day = 100000\n[switch.orgs.acme.teams.red]", false),
        ("budget = { usd = 1 }\n[switch.orgs.acme.teams.red]", true),
        ("[switch.orgs.acme]\nbudget = { usd = 1 }\n[switch.orgs.acme.teams.red]", true),
        ("[switch.orgs.acme.teams.red]\nbudget = { usd = 1, period = \"total\" }", true),
    ] {
        let app = app(&fake, &format!("{routes}{alice}{budget}\n")).await;
        let answered = async |secret: &str, model: &str| {
            let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}]}}"#);
            Answer::of(ask(&app, secret, &body)).await
        };
        let got = answered("sk-alice", "a/unpriced").await;
        match has_one {
            false => assert_eq!(got.status, 200, "{budget}: {}", got.body),
            true => {
                assert_eq!((got.status, got.code()), (403, "model_not_allowed"), "{budget}: {}", got.body);
                assert!(got.body.contains(r#"switch.prices.\"unpriced\""#), "{budget}: {}", got.body);
            }
        }
        let got = answered("sk-alice", "r").await;
        assert_eq!(got.header("x-vx11-model"), if has_one { "m" } else { "unpriced" }, "{budget}: {}", got.body);
        assert_eq!(answered("sk-alice", "a/free").await.status, 200, "{budget}: nothing is a price");
        assert_eq!(answered("test", "a/unpriced").await.status, 200, "{budget}: the token has no budget");
    }
}

#[tokio::test]
async fn who_has_a_budget_gets_nothing_of_a_provider_that_is_in_no_price() {
    let said = r#"{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hi","annotations":[]}]}"#;
    let usage = r#"{"input_tokens":1,"output_tokens":1,"total_tokens":2}"#;
    let response = format!(
        r#"{{"id":"resp_1","object":"response","created_at":7,"status":"completed","model":"m","output":[{said}],"usage":{usage}}}"#
    );
    let fake = Fake::always([answer(200, "", &response)]).await;
    let keys = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\nbudget = { usd = 1 }\n\
                [switch.keys.bob]\nsecret_env = \"BOB_SECRET\"\n";
    let app = app_in(&fake, keys, &[("VX11_SWITCH__PROVIDERS__A__RESPONSES", "true")]).await;
    let ask = async |secret: &str, more: &str| {
        let body = format!(r#"{{"model":"m","input":"x"{more}}}"#);
        Answer::of(app.stranger("/v1/responses").bearer_auth(secret).body(body)).await
    };
    for more in [r#","previous_response_id":"resp_0""#, r#","tools":[{"type":"web_search"}]"#] {
        assert_eq!(ask("sk-alice", more).await.status, 400, "{more}");
        assert!(fake.requests().is_empty(), "{more}");
    }
    assert_eq!(ask("sk-alice", "").await.status, 200);
    assert_eq!(ask("sk-bob", r#","previous_response_id":"resp_0""#).await.status, 200);
    assert_eq!(fake.requests().len(), 2);
}
