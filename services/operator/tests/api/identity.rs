//! Who may call what: keys, organisations, and every cell of the table of routes.

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::app::{Answer, App};

const ROLES: [&str; 3] = ["ADMIN", "OPERATOR", "VIEWER"];
const SCOPES: [&str; 6] = ["gateway", "chat", "read", "agent", "pilot", "admin"];

/// A key that was made with the shared token.
pub(crate) async fn key(app: &App, org: &str, role: &str, scopes: &[&str]) -> (String, String) {
    let body = json!({"name": "a test's", "org": org, "role": role, "scopes": scopes});
    let made = app.post("/operator/api/keys", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("cache-control"), "no-store");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made["data"]["key"]["id"]), text(&made["data"]["secret"]))
}

pub(crate) async fn org(app: &App, id: &str) {
    let made = app.post("/operator/api/orgs", json!({ "id": id })).await;
    assert_eq!((made.status, &made["data"]["name"]), (201, &json!(id)), "{}", made.body);
}

pub(crate) async fn with(key: &str, request: RequestBuilder) -> Answer {
    Answer::of(request.bearer_auth(key)).await
}

/// The table as it is checked in: method, address, and what each role reads there.
pub(crate) fn table() -> Vec<(Method, String, Vec<String>)> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/route-permissions.md");
    let text = std::fs::read_to_string(file).expect("a file");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (method, path) = cells[0].trim_matches('`').split_once(' ').expect("a method and an address");
        let cells = cells[2..].iter().map(|cell| (*cell).to_owned()).collect();
        (method.parse().expect("a method"), path.replace(['{', '}'], ""), cells)
    };
    rows.map(row).collect()
}

#[tokio::test]
async fn each_cell_of_the_table_of_routes_is_what_a_key_of_that_role_meets() {
    let app = App::with(&[
        ("VX11_OPERATOR__OPERATOR_CONTROL", "true"),
        ("VX11_OPERATOR__INSIGHTS__ANOMALIES", "true"),
        ("VX11_OPERATOR__INSIGHTS__ROUTING", "true"),
        ("VX11_OPERATOR__INSIGHTS__PERFORMANCE", "true"),
    ])
    .await;
    org(&app, "acme").await;
    let mut keys = Vec::new();
    for (place, role) in ROLES.into_iter().enumerate() {
        for of in ["default", "acme"] {
            keys.push((place, of, key(&app, of, role, &SCOPES).await.1));
        }
    }
    let table = table();
    assert!(table.len() > 40, "{}", table.len());
    for (method, path, cells) in &table {
        let request = || app.anyone(method.clone(), path).json(&json!({}));
        for (place, of, key) in &keys {
            let is_open = match cells[*place].as_str() {
                "yes" => true,
                "**platform**" => *of == "default",
                "no" => false,
                other => panic!("{other}"),
            };
            let answer = with(key, request()).await;
            let cell = format!("{method} {path} as {} of {of}: {} {}", ROLES[*place], answer.status, answer.body);
            if is_open {
                assert!(!matches!(answer.status, 401 | 403), "{cell}");
            } else {
                assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{cell}");
            }
        }
        let without = Answer::of(request()).await;
        let is_open = cells[ROLES.len()] == "yes";
        assert_eq!(without.status != 401, is_open, "{method} {path} without a token: {}", without.body);
    }
}

#[tokio::test]
async fn a_key_is_shown_once_lets_in_and_is_revoked() {
    let app = App::start().await;
    let (id, secret) = key(&app, "default", "VIEWER", &["read"]).await;
    let whoami = async || with(&secret, app.anyone(Method::GET, "/operator/api/whoami")).await;
    let me = whoami().await;
    assert_eq!((me.status, &me.data()["role"], &me.data()["org"]), (200, &json!("VIEWER"), &json!("default")));
    assert_eq!(me.data()["subject"], format!("key:{id}"));
    assert_eq!(me.data()["scopes"], json!(["read"]));
    assert!(me.data()["permissions"].as_array().expect("a list").contains(&json!("interventions.read")));

    let listed = app.get("/operator/api/keys").await;
    assert_eq!(listed.data()["items"][0]["id"], id);
    assert!(!listed.body.contains(&secret) && !listed.body.contains("hash"), "{}", listed.body);

    let path = format!("/operator/api/keys/{id}");
    let revoked = Answer::of(app.request(Method::DELETE, &path)).await;
    assert!(revoked.status == 200 && revoked.data()["revoked_at"].is_string(), "{}", revoked.body);
    let out = whoami().await;
    assert_eq!((out.status, out.code()), (403, "invalid_token"));
    assert_eq!(Answer::of(app.request(Method::DELETE, "/operator/api/keys/unknown")).await.status, 404);
}

#[tokio::test]
async fn services_are_told_who_comes_with_a_secret_as_it_is_now() {
    let app = App::start().await;
    org(&app, "acme").await;
    let (id, secret) = key(&app, "acme", "OPERATOR", &["gateway"]).await;
    let told = async |token: &str| app.post("/operator/api/introspect", json!({ "token": token })).await;
    for _ in 0..2 {
        let answer = told(&secret).await;
        let caller = json!({"org": "acme", "subject": format!("key:{id}"), "role": "OPERATOR", "scopes": ["gateway"],
            "expires_at": null, "limits": null});
        assert_eq!(answer.data(), &json!({"caller": caller, "expired": false}));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let own = with(&secret, app.anyone(Method::POST, "/operator/api/introspect").json(&json!({"token": secret}))).await;
    assert_eq!((own.status, own.code()), (403, "forbidden"), "not even of itself");
    let (_, admin) = key(&app, "acme", "ADMIN", &["admin"]).await;
    assert_eq!(with(&admin, app.anyone(Method::DELETE, &format!("/operator/api/keys/{id}"))).await.status, 200);
    let nobody = json!({"caller": null, "expired": false});
    for secret in [&secret, "", "sk-mallory", "a.b.c", vx11_identity::NewApiKey::make().plain.expose_secret()] {
        assert_eq!(told(secret).await.data(), &nobody, "{secret}");
    }
}

#[tokio::test]
async fn limits_are_given_with_a_key_changed_later_and_told_to_who_asks() {
    let app = App::start().await;
    org(&app, "acme").await;
    let (_, admin) = key(&app, "acme", "ADMIN", &["admin", "gateway", "read"]).await;
    let make = async |limits: Value, scopes: Value| {
        let body = json!({"name": "ci", "role": "OPERATOR", "scopes": scopes, "limits": limits});
        with(&admin, app.anyone(Method::POST, "/operator/api/keys").json(&body)).await
    };
    let limits = json!({"models": ["m*"], "requests_per_minute": 2, "budget": {"usd": 0.5, "period": "month"}});
    let made = make(limits.clone(), json!(["gateway"])).await;
    assert_eq!((made.status, &made["data"]["key"]["limits"]), (201, &limits), "{}", made.body);
    let (id, secret) = (made["data"]["key"]["id"].as_str().expect("an id"), &made["data"]["secret"]);
    let told = async || {
        let answer = app.post("/operator/api/introspect", json!({ "token": secret })).await;
        answer.data()["caller"]["limits"].clone()
    };
    assert_eq!(told().await, limits);
    let path = format!("/operator/api/keys/{id}");
    let change = async |limits: Value| {
        let request = app.anyone(Method::PATCH, &path).json(&json!({ "limits": limits }));
        with(&admin, request).await
    };
    let changed = change(json!({"requests_per_minute": 5, "models": null, "tokens_per_day": 1000})).await;
    let after = json!({"requests_per_minute": 5, "tokens_per_day": 1000, "budget": {"usd": 0.5, "period": "month"}});
    assert_eq!((changed.status, &changed.data()["limits"]), (200, &after), "{}", changed.body);
    assert_eq!(told().await, after, "at once");
    let listed = with(&admin, app.anyone(Method::GET, "/operator/api/keys")).await;
    assert_eq!(listed.data()["items"][0]["limits"], after);

    for (limits, field) in [
        (json!({"requests_per_minute": 0}), "limits.requests_per_minute"),
        (json!({"budget": {"usd": 0}}), "limits.budget.usd"),
        (json!({"models": ["a*b"]}), "limits.models"),
    ] {
        let unfit = change(limits.clone()).await;
        assert_eq!((unfit.status, unfit.field()), (422, field), "{}", unfit.body);
        let unfit = make(limits, json!(["gateway"])).await;
        assert_eq!((unfit.status, unfit.field()), (422, field), "{}", unfit.body);
    }
    assert_eq!(change(json!({"rpm": 1})).await.status, 422, "a name that is none is not ignored");
    let elsewhere = make(json!({"requests_per_minute": 1}), json!(["admin"])).await;
    assert_eq!((elsewhere.status, elsewhere.field()), (422, "limits"), "{}", elsewhere.body);
    assert_eq!(told().await, after, "what is refused changes nothing");

    let lifted = change(json!({"requests_per_minute": null, "tokens_per_day": null, "budget": null})).await;
    assert_eq!((lifted.status, &lifted.data()["limits"]), (200, &Value::Null), "{}", lifted.body);
    let theirs = app.request(Method::PATCH, &path).json(&json!({"limits": {}}));
    assert_eq!(Answer::of(theirs).await.status, 404, "of another organisation, be it the platform's");
    assert_eq!(with(&admin, app.anyone(Method::DELETE, &path)).await.status, 200);
    let late = change(json!({"requests_per_minute": 5})).await;
    assert_eq!((late.status, late.code()), (409, "conflict"));
    let log = with(&admin, app.anyone(Method::GET, "/operator/api/audit-log?action=key.change")).await;
    let rows = log.data()["items"].as_array().expect("rows");
    let done: Vec<_> = rows.iter().filter(|row| row["outcome"] == "allowed").collect();
    assert_eq!((done.len(), &done[1]["details"]["limits"]["requests_per_minute"]), (2, &json!(5)), "{}", log.body);
}

#[tokio::test]
async fn nobody_makes_a_key_that_may_more_than_oneself_or_for_another_organisation() {
    let app = App::start().await;
    org(&app, "acme").await;
    let (_, admin) = key(&app, "acme", "ADMIN", &["admin", "read"]).await;
    let make = async |body: Value| with(&admin, app.anyone(Method::POST, "/operator/api/keys").json(&body)).await;
    let asked = |change: Value| {
        let mut body = json!({"name": "ci", "role": "OPERATOR", "scopes": ["read"]});
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        body
    };
    assert_eq!(make(asked(json!({}))).await.status, 201);
    let more = make(asked(json!({"scopes": ["read", "pilot"]}))).await;
    assert_eq!((more.status, more.code()), (403, "forbidden"), "{}", more.body);
    let elsewhere = make(asked(json!({"org": "default"}))).await;
    assert_eq!((elsewhere.status, elsewhere.code()), (403, "forbidden"), "{}", elsewhere.body);
    for (change, field) in [
        (json!({"name": ""}), "name"),
        (json!({"role": "ROOT"}), "role"),
        (json!({"scopes": []}), "scopes"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"org": "No Slug"}), "org"),
        (json!({"colour": "red"}), "colour"),
    ] {
        let unfit = make(asked(change)).await;
        assert_eq!((unfit.status, unfit.field()), (422, field), "{}", unfit.body);
    }
    let nowhere = app.post("/operator/api/keys", asked(json!({"org": "nowhere"}))).await;
    assert_eq!((nowhere.status, nowhere.code()), (409, "conflict"));
    // It sees its own keys, and revokes no others.
    let (of_platform, _) = key(&app, "default", "VIEWER", &["read"]).await;
    let listed = with(&admin, app.anyone(Method::GET, "/operator/api/keys")).await;
    assert_eq!(listed.data()["items"].as_array().expect("a list").len(), 2, "{}", listed.body);
    let theirs = app.anyone(Method::DELETE, &format!("/operator/api/keys/{of_platform}"));
    assert_eq!(with(&admin, theirs).await.status, 404);
}

#[tokio::test]
async fn a_closed_organisation_is_out_and_the_platforms_own_stays() {
    let app = App::start().await;
    org(&app, "acme").await;
    let (_, secret) = key(&app, "acme", "ADMIN", &SCOPES).await;
    let whoami = async || with(&secret, app.anyone(Method::GET, "/operator/api/whoami")).await.status;
    assert_eq!(whoami().await, 200);
    assert_eq!(app.post("/operator/api/orgs/acme/close", json!({})).await.status, 200);
    assert_eq!(whoami().await, 403);
    assert_eq!(app.post("/operator/api/orgs/default/close", json!({})).await.status, 409);
    assert_eq!(app.post("/operator/api/orgs/no-such/close", json!({})).await.status, 404);
    assert_eq!(app.post("/operator/api/orgs", json!({"id": "acme"})).await.status, 409, "its id is not given again");
    let listed = app.get("/operator/api/orgs?limit=1").await;
    assert_eq!((&listed.data()["items"][0]["id"], &listed.data()["next"]), (&json!("acme"), &json!("acme")));
    assert_eq!(app.get("/operator/api/orgs?after=acme").await.data()["items"][0]["id"], "default");
}

#[tokio::test]
async fn an_agents_key_reads_and_waits_for_what_it_asked_itself_and_for_nothing_else() {
    let app = App::start().await;
    let (_, agent) = key(&app, "default", "OPERATOR", &["agent"]).await;
    let all = "/operator/api/interventions";
    let own = with(&agent, app.anyone(Method::POST, all).json(&json!({"title": "May I?"}))).await;
    assert_eq!(own.status, 201, "{}", own.body);
    let theirs = app.post(all, json!({"title": "May they?"})).await;
    for (asked, status) in [(&own, 200), (&theirs, 404)] {
        let id = asked["data"]["request_id"].as_str().expect("an id");
        for rest in ["", "/wait?timeout_seconds=0"] {
            let got = with(&agent, app.anyone(Method::GET, &format!("{all}/{id}{rest}"))).await;
            assert_eq!(got.status, status, "{rest}: {}", got.body);
        }
    }
    assert_eq!(with(&agent, app.anyone(Method::GET, all)).await.status, 403, "the list is not its own");
}

#[tokio::test]
async fn every_attempt_is_in_the_audit_log() {
    let app = App::start().await;
    org(&app, "acme").await;
    let (id, viewer) = key(&app, "acme", "VIEWER", &SCOPES).await;
    let denied = app.anyone(Method::POST, "/operator/api/orgs").header("x-correlation-id", "c-denied");
    assert_eq!(with(&viewer, denied.json(&json!({"id": "mine"}))).await.status, 403);
    assert_eq!(app.post("/operator/api/orgs", json!({"id": "acme"})).await.status, 409);
    let asked = app.post("/operator/api/interventions", json!({"request_id": "r1", "title": "t"})).await;
    assert_eq!(asked.status, 201);
    let agents = key(&app, "default", "OPERATOR", &SCOPES).await.1;
    let decide = async |what: &str, version: u32| {
        let path = format!("/operator/api/interventions/r1/{what}");
        with(&agents, app.anyone(Method::POST, &path).json(&json!({ "version": version }))).await.status
    };
    assert_eq!((decide("approve", 7).await, decide("redeem", 1).await), (409, 422));
    let cancel = app.anyone(Method::POST, "/operator/api/interventions/r1/cancel").json(&json!({}));
    assert_eq!(with(&agents, cancel).await.status, 403);
    for _ in 0..100 {
        assert_eq!(decide("reject", 7).await, 409);
    }
    app.written().await;
    let rows = |condition: &str| app.count(&format!("SELECT count(*) FROM copilot_actions_log WHERE {condition}"));
    assert_eq!(rows("action = 'org_create' AND target = 'acme' AND status = 'ok'"), 1);
    assert_eq!(rows("action = 'org_create' AND target = 'acme' AND status = 'conflict'"), 1);
    assert_eq!(rows(&format!("action = 'key_create' AND target = '{id}' AND status = 'ok'")), 1);
    assert_eq!(rows("action = 'intervention_approve' AND target = 'r1' AND status = 'conflict'"), 1);
    assert_eq!(rows("action = 'intervention_cancel' AND target = 'r1' AND status = 'denied'"), 1);
    let flood = rows("action = 'intervention_reject' AND status = 'conflict'");
    assert!((1..100).contains(&flood), "{flood}");
    let who = format!("notes LIKE '%key:{id}%' AND notes LIKE '%acme%'");
    let what = "status = 'denied' AND target = 'POST /operator/api/orgs' AND correlation_id = 'c-denied'";
    assert_eq!(rows(&format!("{what} AND {who}")), 1);
    assert_eq!(rows(&format!("notes LIKE '%{viewer}%' OR target LIKE '%{viewer}%'")), 0, "never the key itself");
}

#[tokio::test]
async fn the_file_with_the_keys_that_sign_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let app = App::start().await;
    org(&app, "acme").await;
    for name in ["control.sqlite3", "control.sqlite3-wal"] {
        let mode = std::fs::metadata(app.data_dir().join(name)).map(|file| file.permissions().mode() & 0o777);
        assert_eq!(mode.ok(), Some(0o600), "{name}");
    }
}

#[tokio::test]
async fn a_tenants_stream_token_opens_its_own_stream() {
    let app = App::start().await;
    org(&app, "acme").await;
    app.say("of the platform").await;
    for (of, shows) in [("default", true), ("acme", false)] {
        let (_, viewer) = key(&app, of, "VIEWER", &["read"]).await;
        let minted = with(&viewer, app.anyone(Method::POST, "/operator/api/events/sse-token")).await;
        let token = minted.data()["sse_token"].as_str().expect("a token").to_owned();
        let opened = Answer::of(app.anyone(Method::GET, &format!("/operator/api/events?token={token}"))).await;
        assert_eq!(opened.status, 200, "{of}: {}", opened.body);
        assert_eq!(opened.body.contains(r#""action":"chat""#), shows, "{of}: {}", opened.body);
    }
}

#[tokio::test]
async fn the_public_keys_are_public_and_a_token_by_the_shared_secret_lets_in() {
    let secret = "0123456789abcdef0123456789abcdef";
    let app = App::with(&[("VX11_JWT_SECRET", secret)]).await;
    let keys = Answer::of(app.anyone(Method::GET, "/operator/api/jwks")).await;
    assert_eq!((keys.status, &keys["keys"][0]["alg"]), (200, &json!("EdDSA")), "{}", keys.body);
    assert!(keys["keys"].as_array().expect("a list").len() == 1 && keys["keys"][0]["d"].is_null());

    let key = vx11_identity::StoredKey::from_configured(&SecretString::from(secret)).expect("long enough");
    let keys = vx11_identity::SigningKeys::new([&key]).expect("a key");
    let tokens = vx11_identity::AccessTokens::new(keys, "vx11", "vx11", jiff::SignedDuration::from_mins(5));
    let principal = vx11_contracts::identity::Principal {
        subject: "github:ann".into(),
        role: vx11_contracts::identity::Role::Viewer,
        ..vx11_contracts::identity::Principal::service()
    };
    use secrecy::ExposeSecret;
    let token = tokens.grant(&principal, jiff::Timestamp::now()).expect("made").token;
    let me = with(token.expose_secret(), app.anyone(Method::GET, "/operator/api/whoami")).await;
    assert_eq!((me.status, &me.data()["subject"]), (200, &json!("github:ann")), "{}", me.body);
    let denied = with(token.expose_secret(), app.anyone(Method::GET, "/operator/api/keys")).await;
    assert_eq!((denied.status, denied.code()), (403, "forbidden"));
}
