//! What a session is worth, and to whom.

use reqwest::Method;
use serde_json::{Value, json};
use vx11_contracts::identity::{Principal, Role};
use vx11_identity::{AccessTokens, SigningKeys, StoredKey};

use crate::app::{Answer, App, eventually};
use crate::browser::{AUTH, ORIGIN, access, app, begin, cookie, finish, log_in, logged, refresh, whoami};
use crate::issuer::{Issuer, unsigned};
use crate::login::hmac_signed;

#[tokio::test]
async fn who_logs_in_for_the_first_time_is_a_pilot_and_stays_until_it_leaves() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let ways = Answer::of(app.anyone(Method::GET, &format!("{AUTH}/providers"))).await;
    assert_eq!(ways.data()["providers"][0]["login"], format!("{AUTH}/login/corp"));
    assert_eq!(ways.data()["passwords"], false);
    for (name, value) in
        [("cache-control", "no-store"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")]
    {
        assert_eq!(ways.header(name), value);
    }

    let session = log_in(&app, &issuer, "corp").await;
    let (token, session) = access(&app, &session).await;
    let me = whoami(&app, &token).await;
    assert_eq!(me.data()["subject"], "corp:ada@example.com");
    assert_eq!((&me.data()["role"], &me.data()["org"]), (&json!("OPERATOR"), &json!("default")));
    let pilots = app.get("/operator/api/pilots").await;
    let pilot = &pilots.data()["items"][0];
    assert_eq!((&pilot["name"], &pilot["email"]), (&json!("Ada"), &json!("ada@example.com")));
    assert_eq!((&pilot["oauth_provider"], &pilot["oauth_id"]), (&json!("corp"), &json!("S-1")));

    let leave = app.anyone(Method::POST, &format!("{AUTH}/logout")).header("origin", ORIGIN).bearer_auth(&token);
    let left = Answer::of(leave.header("cookie", &session)).await;
    assert_eq!((left.status, cookie(&left, "vx11_refresh")), (204, None), "{}", left.body);
    assert!(left.header("set-cookie").contains("Max-Age=0"), "{}", left.header("set-cookie"));
    assert_eq!(whoami(&app, &token).await.code(), "invalid_token");
    let over = refresh(&app, &session).await;
    assert_eq!((over.status, over.code()), (401, "login_failed"));
    assert!(over.header("set-cookie").contains("Max-Age=0"), "{}", over.header("set-cookie"));
    assert_eq!(over.header("cache-control"), "no-store");

    app.written().await;
    let rows = |condition: &str| app.count(&format!("SELECT count(*) FROM copilot_actions_log WHERE {condition}"));
    let ada = "target = 'corp:ada@example.com'";
    assert_eq!(rows(&format!("action = 'login' AND status = 'ok' AND {ada} AND notes LIKE '%127.0.0.1%'")), 1);
    assert_eq!(rows(&format!("action = 'logout' AND status = 'ok' AND {ada}")), 1);
    assert_eq!(
        rows(&format!("action = 'refresh' AND status = 'login_failed' AND {ada} AND notes LIKE '%revoked%'")),
        1
    );
    assert_eq!(rows("notes LIKE '%the-code%' OR notes LIKE '%the-access-token%'"), 0);
    let long = "x".repeat(2000);
    let nowhere = Answer::of(app.anyone(Method::GET, &format!("{AUTH}/callback/{long}?code=a&state=b"))).await;
    assert_eq!((nowhere.status, nowhere.code()), (404, "not_found"), "{}", nowhere.body);
    app.written().await;
    assert_eq!(rows("notes LIKE '%xxxx%' OR status = 'not_found'"), 0, "strangers write nothing of theirs");
    for (action, outcome) in [("pilot.login", "allowed"), ("pilot.logout", "allowed"), ("pilot.refresh", "refused")] {
        eventually(action, async || logged(&app, action, outcome).await == 1).await;
    }
}

#[tokio::test]
async fn a_refresh_token_that_comes_again_ends_the_session() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let first = log_in(&app, &issuer, "corp").await;
    let (token, second) = access(&app, &first).await;
    // Another tab, at once: a token, and no cookie.
    let tab = refresh(&app, &first).await;
    assert!(tab.status == 200 && cookie(&tab, "vx11_refresh").is_none());
    // The grace is over, as far as the database knows.
    age(&app);
    let stolen = refresh(&app, &first).await;
    assert_eq!((stolen.status, stolen.code()), (401, "login_failed"), "{}", stolen.body);
    assert_eq!(refresh(&app, &second).await.status, 401, "nobody knows which of them is the thief");
    assert_eq!(whoami(&app, &token).await.code(), "token_expired", "nor whose the tokens are");
    assert!(logged(&app, "pilot.refresh", "refused").await >= 1);
    // Who logs in anew is not held back.
    let (token, _) = access(&app, &log_in(&app, &issuer, "corp").await).await;
    assert_eq!(whoami(&app, &token).await.status, 200);
}

/// Makes every replacement of a refresh token a minute older.
fn age(app: &App) {
    use diesel::connection::SimpleConnection;
    use diesel::prelude::*;
    let path = app.data_dir().join("control.sqlite3");
    let mut conn = diesel::SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a connection");
    conn.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
    let earlier = "strftime('%Y-%m-%dT%H:%M:%fZ', replaced_at, '-1 minute')";
    conn.batch_execute(&format!("UPDATE refresh_tokens SET replaced_at = {earlier} WHERE replaced_at IS NOT NULL"))
        .expect("older");
}

#[tokio::test]
async fn an_admin_changes_roles_ends_sessions_and_shuts_out() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let (token, session) = access(&app, &log_in(&app, &issuer, "corp").await).await;
    let pilot = "/operator/api/pilots/corp:ada@example.com";
    let own = app.anyone(Method::PATCH, pilot).bearer_auth(&token).json(&json!({"role": "ADMIN"}));
    assert_eq!(Answer::of(own).await.code(), "forbidden", "nobody but an ADMIN");

    let change = async |body: Value| Answer::of(app.request(Method::PATCH, pilot).json(&body)).await;
    assert_eq!(change(json!({"role": "ADMIN"})).await.data()["role"], "ADMIN");
    assert_eq!(whoami(&app, &token).await.code(), "token_expired", "it says the role of before");
    let (token, session) = access(&app, &session).await;
    assert_eq!(whoami(&app, &token).await.data()["role"], "ADMIN");
    assert_eq!(change(json!({"role": "ROOT"})).await.field(), "role");

    let end = app.request(Method::DELETE, &format!("{pilot}/sessions"));
    assert_eq!(Answer::of(end).await.status, 200);
    assert_eq!(whoami(&app, &token).await.code(), "token_expired");
    assert_eq!(refresh(&app, &session).await.status, 401);

    let (token, session) = access(&app, &log_in(&app, &issuer, "corp").await).await;
    assert_eq!(whoami(&app, &token).await.status, 200);
    for none_left in [json!({"disabled": true}), json!({"role": "OPERATOR"})] {
        assert_eq!(change(none_left).await.code(), "conflict", "it is the last ADMIN");
    }
    let begun = begin(&app, &issuer, "corp").await;
    issuer.says(|says| (says.claims["sub"], says.claims["email"]) = (json!("S-2"), json!("bob@example.com")));
    assert_eq!(finish(&app, &begun, "corp").await.status, 302);
    let other = app.request(Method::PATCH, "/operator/api/pilots/corp:bob@example.com");
    assert_eq!(Answer::of(other.json(&json!({"role": "ADMIN"}))).await.status, 200);
    assert!(change(json!({"disabled": true})).await.data()["disabled_at"].is_string());
    assert_eq!(whoami(&app, &token).await.code(), "invalid_token");
    assert_eq!(refresh(&app, &session).await.status, 401);
    let begun = begin(&app, &issuer, "corp").await;
    let out = finish(&app, &begun, "corp").await;
    assert_eq!((out.status, out.code(), cookie(&out, "vx11_refresh")), (401, "login_failed", None));
    assert_eq!(
        Answer::of(app.request(Method::PATCH, "/operator/api/pilots/nobody").json(&json!({}))).await.status,
        404
    );
}

#[tokio::test]
async fn pages_of_others_cannot_use_the_cookie() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let session = log_in(&app, &issuer, "corp").await;
    for path in ["refresh", "logout"] {
        let call = || app.anyone(Method::POST, &format!("{AUTH}/{path}")).header("cookie", &session);
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("x-nothing", "at all"),
        ] {
            let out = Answer::of(call().header(name, value)).await;
            assert_eq!((out.status, out.code()), (403, "cross_site"), "{path} {name}: {value}");
            assert!(out.header("set-cookie").is_empty());
        }
    }
    assert_eq!(refresh(&app, &session).await.status, 200, "it is still there");
}

#[tokio::test]
async fn an_access_token_that_is_not_ours_lets_nobody_in() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let (good, _) = access(&app, &log_in(&app, &issuer, "corp").await).await;
    let public = Answer::of(app.anyone(Method::GET, "/.well-known/jwks.json")).await;
    assert!(public.header("cache-control").contains("max-age=60"), "{:?}", public.headers);
    let x = public["keys"][0]["x"].as_str().expect("a key").to_owned();
    let kid = public["keys"][0]["kid"].as_str().expect("an id").to_owned();
    use base64::Engine;
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |place: usize| good.split('.').nth(place).expect("three parts");
    let claims: Value = serde_json::from_slice(&base64.decode(part(1)).expect("base64")).expect("JSON");
    let mut admin = claims.clone();
    admin["role"] = json!("ADMIN");
    let foreign =
        SigningKeys::new([&StoredKey::first(vx11_identity::KeyKind::EdDsa, jiff::Timestamp::now())]).expect("one");
    let foreign = AccessTokens::new(foreign, "vx11", "vx11", jiff::SignedDuration::from_mins(5));
    let principal = Principal { subject: "corp:ada@example.com".into(), role: Role::Admin, ..Principal::service() };
    use secrecy::ExposeSecret;
    let foreign = foreign.grant(&principal, jiff::Timestamp::now()).expect("made").token.expose_secret().to_owned();
    let confused = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
    for (what, token) in [
        ("changed", format!("{}.{}.{}", part(0), unsigned(&json!({}), &admin).split('.').nth(1).expect("it"), part(2))),
        ("unsigned", format!("{}.", unsigned(&json!({"alg": "none"}), &admin))),
        (
            "unsigned, with a signature",
            format!("{}.{}", unsigned(&json!({"alg": "none", "kid": kid}), &admin), part(2)),
        ),
        ("by the public key", hmac_signed(&unsigned(&confused, &admin), &base64.decode(&x).expect("base64"))),
        ("by the public key's text", hmac_signed(&unsigned(&confused, &admin), x.as_bytes())),
        ("by another key", foreign),
        ("an identity token", issuer.sign(&json!({"alg": "ES256", "kid": "k1"}), &issuer.claims("n"))),
    ] {
        let out = whoami(&app, &token).await;
        assert_eq!((out.status, out.code()), (403, "invalid_token"), "{what}: {}", out.body);
    }
    eventually("the good one is", async || whoami(&app, &good).await.status == 200).await;
}
