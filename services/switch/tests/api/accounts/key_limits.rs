//! Limits that the operator has given with a key.

use serde_json::{Value, json};

use super::identities::{LONG, Operator, SHORT, complete, gateway};
use super::{BODY, ask, ledger, spending};
use crate::app::{Answer, App};
use crate::fake::{Fake, completion};

async fn left(app: &App, secret: &str) -> (u16, String, String) {
    let got = complete(app, secret).await;
    let header = |name: &str| got.header(name).to_owned();
    (got.status, header("x-ratelimit-limit-requests"), header("x-ratelimit-remaining-requests"))
}

fn is(status: u16, limit: &str, remaining: &str) -> (u16, String, String) {
    (status, limit.to_owned(), remaining.to_owned())
}

#[tokio::test]
async fn a_keys_own_limit_holds_beside_that_of_its_organisation_and_for_no_other_key() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "[switch.orgs.acme]\nrequests_per_day = 5", &[LONG]).await;
    let (subject, one) = operator.key("acme", &["gateway"]);
    operator.limit(&one, json!({"requests_per_day": 2}));
    let (_, two) = operator.key("acme", &["gateway"]);
    assert_eq!(left(&app, &one).await, is(200, "2", "1"));
    assert_eq!(left(&app, &one).await, is(200, "2", "0"));
    let got = complete(&app, &one).await;
    assert_eq!((got.status, got.code()), (429, "rate_limit_exceeded"), "{}", got.body);
    assert_eq!((got.header("x-ratelimit-limit-requests"), got.header("x-ratelimit-remaining-requests")), ("2", "0"));
    assert!(got.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(got.body.contains(&format!("key `{subject}` reached its limit of 2 requests a day")), "{}", got.body);
    for remaining in ["2", "1", "0"] {
        assert_eq!(left(&app, &two).await, is(200, "5", remaining), "what was refused counts for nobody");
    }
    let got = complete(&app, &two).await;
    assert!(got.status == 429 && got.body.contains("org `acme`"), "{}", got.body);
    assert_eq!(fake.requests().len(), 5);
}

#[tokio::test]
async fn a_changed_limit_holds_once_the_operator_is_asked_again_and_what_was_used_stays_used() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "", &[SHORT]).await;
    let (_, secret) = operator.key("acme", &["gateway"]);
    operator.limit(&secret, json!({"requests_per_day": 2}));
    for remaining in ["1", "0"] {
        assert_eq!(left(&app, &secret).await, is(200, "2", remaining));
    }
    assert_eq!(complete(&app, &secret).await.status, 429);
    operator.limit(&secret, json!({"requests_per_day": 3}));
    assert_eq!(left(&app, &secret).await, is(200, "3", "0"));
    assert_eq!(complete(&app, &secret).await.status, 429);
    operator.limit(&secret, Value::Null);
    assert_eq!(left(&app, &secret).await, is(200, "", ""));
    ledger(&app, 4).await;
    operator.limit(&secret, json!({"requests_per_day": 6}));
    assert_eq!(left(&app, &secret).await, is(200, "6", "1"), "nor is forgotten what it used without a limit");
    operator.is_away(true);
    assert_eq!(left(&app, &secret).await, is(200, "6", "0"), "its limits stay while the operator is away");
    assert_eq!(complete(&app, &secret).await.status, 429);
}

#[tokio::test]
async fn a_keys_budget_is_spent_by_it_alone_and_survives_a_restart() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":0,"completion_tokens":100}"#)]).await;
    let (operator, data) = (Operator::start().await, tempfile::tempdir().unwrap());
    let config = "[switch.orgs.acme]\nbudget = { usd = 0.006 }";
    let variables = [LONG, ("VX11_DATA_DIR", data.path().to_str().unwrap())];
    let (subject, one) = operator.key("acme", &["gateway"]);
    operator.limit(&one, json!({"budget": {"usd": 0.003, "period": "total"}}));
    let (_, two) = operator.key("acme", &["gateway"]);
    // Each costs 0.001, and reserves a little more because of its prompt.
    let body = BODY.replace(":10", ":100");
    let pay = async |app: &App, secret: &str| Answer::of(ask(app, secret, &body)).await;
    let app = gateway(&fake, &operator, config, &variables).await;
    for request in 1..=2 {
        assert_eq!(pay(&app, &one).await.status, 200);
        ledger(&app, request).await;
    }
    let is_spent = async |app: &App| {
        let got = pay(app, &one).await;
        assert_eq!((got.status, got.code()), (429, "insufficient_quota"), "{}", got.body);
        assert!(got.body.contains(&format!("the budget of key `{subject}` is spent")), "{}", got.body);
    };
    is_spent(&app).await;
    app.stop().await;
    let app = gateway(&fake, &operator, config, &variables).await;
    is_spent(&app).await;
    for request in 3..=5 {
        assert_eq!(pay(&app, &two).await.status, 200, "the organisation has more");
        ledger(&app, request).await;
    }
    let got = pay(&app, &two).await;
    assert!(got.code() == "insufficient_quota" && got.body.contains("org `acme`"), "{}", got.body);
}

#[tokio::test]
async fn a_key_asks_for_the_models_that_it_was_given() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "", &[LONG]).await;
    let (_, secret) = operator.key("acme", &["gateway"]);
    operator.limit(&secret, json!({"models": ["n", "x*"]}));
    let got = complete(&app, &secret).await;
    assert_eq!((got.status, got.code()), (403, "model_not_allowed"));
    assert!(got.body.contains("x*"), "{}", got.body);
    assert_eq!(Answer::of(ask(&app, &secret, &BODY.replace("\"m\"", "\"n\""))).await.status, 200);
    let listed = Answer::of(app.get_as(&secret, "/v1/models")).await.json();
    let ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert!(ids.contains(&&json!("n")) && !ids.contains(&&json!("m")), "{ids:?}");
}
