//! API keys and access tokens of the operator's at the gateway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use vx11_identity::NewApiKey;

use super::{BODY, app_in, ask, ledger, spending, usage};
use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, answer, completion};

/// Believed for as long as a test takes.
pub(super) const LONG: (&str, &str) = ("VX11_SWITCH__IDENTITIES__BELIEVED_FOR", "1m");
/// Asked about for every request.
pub(super) const SHORT: (&str, &str) = ("VX11_SWITCH__IDENTITIES__BELIEVED_FOR", "1ns");
/// A token of this form; whose it is, the operator says.
const JWT: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";

/// An operator that knows these secrets, unless it is away.
pub(super) struct Operator {
    fake: Fake,
    told: Arc<Mutex<HashMap<String, Value>>>,
    away: Arc<Mutex<bool>>,
}

impl Operator {
    pub(super) async fn start() -> Self {
        let (told, away) = (Arc::new(Mutex::new(HashMap::<String, Value>::new())), Arc::new(Mutex::new(false)));
        let (known, is_away) = (told.clone(), away.clone());
        let fake = Fake::replying(move |request| {
            if *is_away.lock().unwrap() {
                return vec![Act::Close];
            }
            let question: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
            let nobody = json!({"caller": null, "expired": false});
            let said = known.lock().unwrap().get(question["token"].as_str().unwrap()).cloned().unwrap_or(nobody);
            let body = json!({"ok": true, "data": said, "timestamp": "2026-11-22T00:00:00.000Z"});
            vec![answer(200, "", &body.to_string())]
        });
        Self { fake: fake.await, told, away }
    }

    /// Knows a new key of `org` with these scopes.
    pub(super) fn key(&self, org: &str, scopes: &[&str]) -> (String, String) {
        let key = NewApiKey::make();
        let subject = format!("key:{}", key.id);
        let caller = json!({"org": org, "subject": subject, "role": "OPERATOR", "scopes": scopes, "expires_at": null});
        let secret = key.plain.expose_secret().to_owned();
        self.says(&secret, json!({"caller": caller, "expired": false}));
        (subject, secret)
    }

    fn says(&self, secret: &str, said: Value) {
        self.told.lock().unwrap().insert(secret.to_owned(), said);
    }

    /// Says these limits of a key that it knows.
    pub(super) fn limit(&self, secret: &str, limits: Value) {
        self.told.lock().unwrap().get_mut(secret).unwrap()["caller"]["limits"] = limits;
    }

    fn revoke(&self, secret: &str) {
        self.told.lock().unwrap().remove(secret);
    }

    pub(super) fn is_away(&self, away: bool) {
        *self.away.lock().unwrap() = away;
    }

    fn questions(&self) -> usize {
        self.fake.requests().len()
    }
}

pub(super) async fn gateway(provider: &Fake, operator: &Operator, config: &str, more: &[(&str, &str)]) -> App {
    let variables = [&[("VX11_OPERATOR_URL", &*operator.fake.url)], more].concat();
    app_in(provider, config, &variables).await
}

/// Asks in Anthropic's wire.
async fn message(app: &App, secret: &str) -> Answer {
    let body = r#"{"model":"m","max_tokens":10,"messages":[{"role":"user","content":"hello"}]}"#;
    Answer::of(app.stranger("/v1/messages").header("x-api-key", secret).body(body)).await
}

pub(super) async fn complete(app: &App, secret: &str) -> Answer {
    Answer::of(ask(app, secret, BODY)).await
}

#[tokio::test]
async fn a_key_of_the_operators_opens_v1_and_nothing_else_and_is_asked_about_once() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "", &[LONG]).await;
    let (subject, secret) = operator.key("acme", &["gateway"]);
    let bearer = format!("Bearer {secret}");
    for (name, value) in [("authorization", &bearer), ("x-api-key", &secret), ("x-vx11-token", &secret)] {
        let got = Answer::of(app.stranger("/v1/chat/completions").header(name, value).body(BODY)).await;
        assert_eq!(got.status, 200, "{name}: {}", got.body);
    }
    assert_eq!(message(&app, &secret).await.status, 200);
    assert_eq!(Answer::of(app.get_as(&secret, "/v1/models")).await.status, 200);
    assert_eq!(Answer::of(app.get_as(&secret, "/v1/models/m")).await.status, 200);
    assert_eq!((operator.questions(), operator.fake.header("x-vx11-token")), (1, vec!["test".to_owned()]));
    assert!(operator.fake.last().starts_with("POST /operator/api/introspect "), "{}", operator.fake.last());
    for path in ["/switch/usage", "/switch/providers"] {
        let got = Answer::of(app.get_as(&secret, path)).await;
        assert_eq!((got.status, got.code()), (403, "forbidden"), "{path}: one organisation hears nothing of another");
    }
    let got = Answer::of(app.stranger("/switch/chat").bearer_auth(&secret).body(BODY)).await;
    assert_eq!((got.status, got.code()), (403, "forbidden"));
    ledger(&app, 4).await;
    for (by, expected) in [("key", &*subject), ("org", "acme")] {
        let rows = usage(&app, &format!("group_by={by}")).await;
        assert_eq!((&rows[0]["group"], &rows[0]["requests"], rows.len()), (&json!(expected), &json!(4), 1), "{by}");
    }
}

#[tokio::test]
async fn what_is_nobodys_is_refused_in_the_callers_wire_and_asked_about_at_most_once() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "", &[]).await;
    for guess in ["sk-mallory", "vx11_short", &format!("{}x", NewApiKey::make().plain.expose_secret())] {
        let got = complete(&app, guess).await;
        assert_eq!((got.status, got.code()), (401, "invalid_api_key"), "{guess}");
    }
    assert_eq!(operator.questions(), 0, "what has not the form of a key is no question");
    let made_up = NewApiKey::make().plain.expose_secret().to_owned();
    for _ in 0..3 {
        let got = complete(&app, &made_up).await;
        assert_eq!((got.status, got.code()), (401, "invalid_api_key"));
        assert_eq!(got.header("www-authenticate"), "Bearer error=\"invalid_token\"", "for the edge");
        let got = message(&app, &made_up).await;
        assert_eq!((got.status, &got.json()["error"]["type"]), (401, &json!("authentication_error")));
    }
    assert_eq!(operator.questions(), 1);
    let (_, reader) = operator.key("acme", &["read", "chat"]);
    let got = complete(&app, &reader).await;
    assert_eq!((got.status, &got.json()["error"]["type"]), (403, &json!("permission_error")), "{}", got.body);
    let got = message(&app, &reader).await;
    assert_eq!((got.status, &got.json()["error"]["type"]), (403, &json!("permission_error")), "{}", got.body);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_revoked_key_is_out_when_the_operator_is_asked_again() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "", &[SHORT]).await;
    let (_, secret) = operator.key("acme", &["gateway"]);
    assert_eq!((complete(&app, &secret).await.status, complete(&app, &secret).await.status), (200, 200));
    assert_eq!(operator.questions(), 2);
    operator.revoke(&secret);
    let got = complete(&app, &secret).await;
    assert_eq!((got.status, got.code()), (401, "invalid_api_key"));
    operator.is_away(true);
    assert_eq!(complete(&app, &secret).await.status, 401, "and stays out when the operator goes away");
}

#[tokio::test]
async fn while_the_operator_is_away_known_callers_go_on_and_others_are_asked_to_come_again() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "", &[SHORT]).await;
    let (_, known) = operator.key("acme", &["gateway"]);
    let (_, unknown) = operator.key("acme", &["gateway"]);
    let status = async || Answer::of(app.get("/ready")).await.json()["dependencies"]["identities"]["status"].clone();
    assert_eq!(complete(&app, &known).await.status, 200);
    assert_eq!(status().await, "up");
    operator.is_away(true);
    for _ in 0..2 {
        assert_eq!(complete(&app, &known).await.status, 200);
    }
    let got = complete(&app, &unknown).await;
    assert_eq!((got.status, &got.json()["error"]["type"]), (503, &json!("server_error")), "{}", got.body);
    let got = message(&app, &unknown).await;
    assert_eq!((got.status, &got.json()["error"]["type"]), (503, &json!("overloaded_error")), "{}", got.body);
    assert_eq!(status().await, "degraded");
    assert!(app.metric("vx11_identity_questions_total{answer=\"no_answer\"}").await >= 3.0);
    operator.is_away(false);
    assert_eq!(complete(&app, &unknown).await.status, 200);
    assert_eq!(status().await, "up");

    let strict = gateway(&fake, &operator, "", &[SHORT, ("VX11_SWITCH__IDENTITIES__GRACE", "0s")]).await;
    assert_eq!(complete(&strict, &known).await.status, 200);
    operator.is_away(true);
    assert_eq!(complete(&strict, &known).await.status, 503, "without a grace nobody is believed");
}

#[tokio::test]
async fn an_organisations_budget_is_one_for_its_keys_of_both_kinds_and_survives_a_restart() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":0,"completion_tokens":100}"#)]).await;
    let (operator, data) = (Operator::start().await, tempfile::tempdir().unwrap());
    let config = "[switch.orgs.acme]\nrequests_per_day = 20\nbudget = { usd = 0.004 }\n\
                  [switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\norg = \"acme\"";
    let variables = [LONG, ("VX11_DATA_DIR", data.path().to_str().unwrap())];
    let app = gateway(&fake, &operator, config, &variables).await;
    let (_, one) = operator.key("acme", &["gateway"]);
    let (_, two) = operator.key("acme", &["gateway", "read"]);
    let (_, other) = operator.key("globex", &["gateway"]);
    // Each costs 0.001, and reserves a little more because of its prompt.
    let body = BODY.replace(":10", ":100");
    for (secret, left) in [(&*one, "19"), ("sk-alice", "18"), (&*two, "17")] {
        let got = Answer::of(ask(&app, secret, &body)).await;
        assert_eq!((got.status, got.header("x-ratelimit-remaining-requests")), (200, left), "{}", got.body);
    }
    ledger(&app, 3).await;
    let is_spent = async |app: &App| {
        for secret in [&*one, &two, "sk-alice"] {
            let got = Answer::of(ask(app, secret, &body)).await;
            assert_eq!((got.status, got.code()), (429, "insufficient_quota"), "{}", got.body);
            assert!(got.body.contains("budget of org `acme`"), "{}", got.body);
        }
        assert_eq!(Answer::of(ask(app, &other, &body)).await.status, 200, "another organisation's is its own");
    };
    is_spent(&app).await;
    ledger(&app, 4).await;
    app.stop().await;
    is_spent(&gateway(&fake, &operator, config, &variables).await).await;
    // Without a key of the configuration the ledger is asked when the first of the others comes.
    let config = config.split_once("[switch.keys").unwrap().0;
    let app = gateway(&fake, &operator, config, &variables).await;
    let got = Answer::of(ask(&app, &two, &body)).await;
    assert_eq!((got.status, got.code()), (429, "insufficient_quota"), "{}", got.body);
}

#[tokio::test]
async fn what_is_kept_of_one_organisation_is_no_others() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "[switch.cache]\nenabled = true", &[LONG]).await;
    let (_, one) = operator.key("acme", &["gateway"]);
    let (_, two) = operator.key("acme", &["gateway"]);
    let (_, other) = operator.key("globex", &["gateway"]);
    for (secret, asked) in [(&one, 1), (&two, 1), (&other, 2), (&one, 2)] {
        let request = ask(&app, secret, BODY).header("x-vx11-org", "acme");
        assert_eq!((Answer::of(request).await.status, fake.requests().len()), (200, asked));
    }
}

#[tokio::test]
async fn an_access_token_opens_v1_and_its_holder_is_taken_for_nobody_else() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "", &[SHORT]).await;
    let says = |subject: &str, expires_at: Value| {
        let scopes = ["gateway", "read"];
        let caller =
            json!({"org": "acme", "subject": subject, "role": "ADMIN", "scopes": scopes, "expires_at": expires_at});
        operator.says(JWT, json!({"caller": caller, "expired": false}));
    };
    says("internal", json!("2999-01-01T00:00:00Z"));
    assert_eq!(complete(&app, JWT).await.status, 200);
    ledger(&app, 1).await;
    assert_eq!(usage(&app, "group_by=key").await[0]["group"], "pilot:internal");
    operator.says(JWT, json!({"caller": null, "expired": true}));
    let got = complete(&app, JWT).await;
    assert_eq!((got.status, got.code(), got.header("www-authenticate")), (401, "token_expired", ""));
}

#[tokio::test]
async fn many_requests_of_one_caller_ask_the_operator_once() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "", &[LONG]).await;
    let (_, secret) = operator.key("acme", &["gateway"]);
    let asked: Vec<_> = (0..20).map(|_| tokio::spawn(Answer::of(ask(&app, &secret, BODY)))).collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    assert_eq!(operator.questions(), 1);
}

#[tokio::test]
async fn who_calls_steadily_is_asked_about_beside_the_requests() {
    let (fake, operator) = (Fake::always([completion("hi")]).await, Operator::start().await);
    let app = gateway(&fake, &operator, "", &[("VX11_SWITCH__IDENTITIES__BELIEVED_FOR", "200ms")]).await;
    let (_, secret) = operator.key("acme", &["gateway"]);
    assert_eq!(complete(&app, &secret).await.status, 200);
    operator.revoke(&secret);
    eventually("it is out", async || complete(&app, &secret).await.status == 401).await;
    assert!(operator.questions() >= 2);
}
