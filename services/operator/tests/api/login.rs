//! People come in, stay and leave, as their browsers see it.

use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use vx11_contracts::identity::{Principal, Role};
use vx11_identity::{AccessTokens, SigningKeys, StoredKey};

use crate::app::{Answer, App, eventually};
use crate::issuer::{Issuer, SECRET, unsigned};

const ORIGIN: &str = "http://localhost:8000";
const AUTH: &str = "/operator/api/auth";

/// An operator whose people have accounts at `issuer`.
async fn app(issuer: &Issuer, more: &[(&str, &str)]) -> App {
    let variables = [
        ("VX11_OPERATOR__LOGIN__PUBLIC_URL", ORIGIN),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__KIND", "oidc"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__ISSUER", &issuer.url),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__CLIENT_ID", "vx11"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__ALLOWED_DOMAINS", r#"["example.com"]"#),
        ("VX11_LOGIN_CORP_SECRET", SECRET),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__HUB__KIND", "github"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__HUB__URL", &issuer.url),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__HUB__CLIENT_ID", "vx11"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__HUB__ALLOWED_LOGINS", r#"["octocat"]"#),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__HUB__ROLE", "VIEWER"),
        ("VX11_LOGIN_HUB_SECRET", SECRET),
    ];
    App::with(&[&variables, more].concat()).await
}

/// A browser's login that is under way.
struct Begun {
    cookie: String,
    state: String,
    nonce: String,
}

/// The value of a parameter of an address.
fn parameter(location: &str, name: &str) -> String {
    let url = url::Url::parse(location).expect("an address");
    let found = url.query_pairs().find(|(found, _)| found == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The pair of a cookie that an answer sets; `None` where it takes it away, or says nothing of it.
fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("ASCII"));
    let pair = set.filter_map(|set| set.split(';').next()).find(|pair| pair.starts_with(&format!("{name}=")))?;
    (!pair.ends_with('=')).then(|| pair.to_owned())
}

async fn begin(app: &App, issuer: &Issuer, provider: &str) -> Begun {
    let path = format!("{AUTH}/login/{provider}?return_to=%2Finterventions%3Fid%3D1");
    let begun = Answer::of(app.anyone(Method::GET, &path)).await;
    assert_eq!(begun.status, 302, "{}", begun.body);
    let location = begun.header("location").to_owned();
    assert_eq!(parameter(&location, "redirect_uri"), format!("{ORIGIN}{AUTH}/callback/{provider}"));
    assert_eq!(parameter(&location, "code_challenge_method"), "S256");
    let (state, nonce) = (parameter(&location, "state"), parameter(&location, "nonce"));
    issuer.says(|says| {
        says.challenge = parameter(&location, "code_challenge");
        says.claims = issuer.claims(&nonce);
        says.token = None;
    });
    Begun { cookie: cookie(&begun, "vx11_login").expect("a cookie"), state, nonce }
}

async fn finish(app: &App, begun: &Begun, provider: &str) -> Answer {
    let path = format!("{AUTH}/callback/{provider}?code=the-code&state={}&session_state=x", begun.state);
    Answer::of(app.anyone(Method::GET, &path).header("cookie", &begun.cookie)).await
}

/// A login that succeeds: the session's cookie.
async fn log_in(app: &App, issuer: &Issuer, provider: &str) -> String {
    let begun = begin(app, issuer, provider).await;
    let done = finish(app, &begun, provider).await;
    assert_eq!((done.status, done.header("location")), (302, "/interventions?id=1"), "{}", done.body);
    assert_eq!(cookie(&done, "vx11_login"), None, "it is good for one login");
    cookie(&done, "vx11_refresh").expect("a session")
}

async fn refresh(app: &App, session: &str) -> Answer {
    let request = app.anyone(Method::POST, &format!("{AUTH}/refresh")).header("sec-fetch-site", "same-origin");
    Answer::of(request.header("cookie", session)).await
}

/// An access token of a session that goes on, and the session's next cookie.
async fn access(app: &App, session: &str) -> (String, String) {
    let answer = refresh(app, session).await;
    let token = answer.data()["access_token"].as_str().expect("a token").to_owned();
    (token, cookie(&answer, "vx11_refresh").expect("the next one"))
}

async fn whoami(app: &App, token: &str) -> Answer {
    Answer::of(app.anyone(Method::GET, "/operator/api/whoami").bearer_auth(token)).await
}

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

/// How often this is in the audit log of Ada.
async fn logged(app: &App, action: &str, outcome: &str) -> usize {
    let query = format!("target=corp:ada@example.com&action={action}&outcome={outcome}");
    let rows = app.get(&format!("/operator/api/audit-log?{query}")).await;
    rows.data()["items"].as_array().map_or(0, Vec::len)
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
async fn an_identity_token_that_proves_nothing_lets_nobody_in() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let now = jiff::Timestamp::now().as_second();
    let (es256, other) = (json!({"alg": "ES256", "kid": "k1"}), Issuer::start());
    // Good claims and how they become a token, for a login with this nonce.
    type Forge<'a> = Box<dyn Fn(Value) -> String + 'a>;
    let with = |change: Value| -> Forge<'_> {
        let es256 = es256.clone();
        let issuer = &issuer;
        Box::new(move |mut claims| {
            claims.as_object_mut().expect("one").extend(change.as_object().expect("one").clone());
            issuer.sign(&es256, &claims)
        })
    };
    let forged: Vec<(&str, Forge<'_>)> = vec![
        ("another issuer's", with(json!({"iss": "https://evil.example"}))),
        ("for another client", with(json!({"aud": "another"}))),
        ("for several, made for another", with(json!({"aud": ["vx11", "b"], "azp": "b"}))),
        ("expired", with(json!({"exp": now - 61, "iat": now - 361}))),
        ("from the future", with(json!({"iat": now + 300, "exp": now + 600}))),
        ("of another login", with(json!({"nonce": "another"}))),
        ("of no login", with(json!({"nonce": null}))),
        ("of nobody", with(json!({"sub": ""}))),
        ("not signed", Box::new(|claims| format!("{}.", unsigned(&json!({"alg": "none"}), &claims)))),
        ("signed by somebody else", Box::new(|claims| other.sign(&es256, &claims))),
        (
            "signed with the public key as the secret",
            Box::new(|claims| {
                let message = unsigned(&json!({"alg": "HS256", "kid": "k1"}), &claims);
                hmac_signed(&message, &issuer.public_key())
            }),
        ),
        (
            "signed with our own secret",
            Box::new(|claims| hmac_signed(&unsigned(&json!({"alg": "HS256"}), &claims), SECRET.as_bytes())),
        ),
        (
            "changed",
            Box::new(|claims| {
                let good = issuer.sign(&es256, &claims);
                let mut evil = claims;
                evil["email"] = json!("root@example.com");
                format!("{}.{}", unsigned(&es256, &evil), good.rsplit('.').next().expect("a signature"))
            }),
        ),
        ("no token", Box::new(|_| "nonsense".to_owned())),
    ];
    for (what, forge) in forged {
        let begun = begin(&app, &issuer, "corp").await;
        issuer.says(|says| says.token = Some(forge(issuer.claims(&begun.nonce))));
        let out = finish(&app, &begun, "corp").await;
        assert_eq!((out.status, out.code()), (401, "login_failed"), "{what}: {}", out.body);
        assert_eq!(cookie(&out, "vx11_refresh"), None, "{what}");
        assert!(out.header("set-cookie").starts_with("vx11_login=;"), "{what}: the login is over");
    }
    assert_eq!(app.get("/operator/api/pilots").await.data()["items"], json!([]));
    log_in(&app, &issuer, "corp").await;
}

fn hmac_signed(message: &str, secret: &[u8]) -> String {
    use base64::Engine;
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

#[tokio::test]
async fn an_answer_to_another_login_or_from_another_provider_is_refused() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let (one, two) = (begin(&app, &issuer, "corp").await, begin(&app, &issuer, "corp").await);
    let call = async |provider: &str, query: String, cookie: &str| {
        let path = format!("{AUTH}/callback/{provider}?{query}");
        Answer::of(app.anyone(Method::GET, &path).header("cookie", cookie)).await
    };
    let right = format!("code=the-code&state={}", two.state);
    for (what, provider, query, cookie) in [
        ("another login's state", "corp", format!("code=the-code&state={}", one.state), &two.cookie),
        ("another browser", "corp", right.clone(), &one.cookie),
        ("no cookie", "corp", right.clone(), &String::new()),
        ("a made-up cookie", "corp", right.clone(), &"vx11_login=AAAA".to_owned()),
        ("another provider", "hub", right.clone(), &two.cookie),
        ("no state", "corp", "code=the-code".to_owned(), &two.cookie),
        ("another issuer (RFC 9207)", "corp", format!("{right}&iss=https%3A%2F%2Fevil.example"), &two.cookie),
        ("another code", "corp", right.replace("the-code", "another"), &two.cookie),
        ("no code", "corp", format!("state={}", two.state), &two.cookie),
        ("refused there", "corp", format!("error=access_denied&state={}", two.state), &two.cookie),
    ] {
        let out = call(provider, query, cookie).await;
        assert_eq!((out.status, out.code()), (401, "login_failed"), "{what}: {}", out.body);
        assert!(self::cookie(&out, "vx11_refresh").is_none() && out.header("location").is_empty(), "{what}");
    }
    assert_eq!(call("nobody", right.clone(), &two.cookie).await.status, 404);
    // A code goes along with what it was asked with, and with nothing else.
    issuer.says(|says| says.challenge = "x".repeat(43));
    assert_eq!(call("corp", right, &two.cookie).await.status, 401);
    assert_eq!(app.get("/operator/api/pilots").await.data()["items"], json!([]));
}

#[tokio::test]
async fn only_who_is_allowed_comes_in() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    for change in [
        json!({"email": "eve@evil.example"}),
        json!({"email_verified": false}),
        json!({"email": "ada@example.com.evil.example"}),
    ] {
        let begun = begin(&app, &issuer, "corp").await;
        issuer.says(|says| says.claims.as_object_mut().expect("one").extend(change.as_object().expect("one").clone()));
        let out = finish(&app, &begun, "corp").await;
        assert_eq!((out.status, out.code()), (401, "login_failed"), "{change}: {}", out.body);
        assert!(out["detail"].as_str().is_some_and(|detail| detail.contains("may not come in")), "{}", out.body);
    }
    // What the identity token leaves out, userinfo says; of the same person.
    let begun = begin(&app, &issuer, "corp").await;
    issuer.says(|says| {
        says.claims["email"] = Value::Null;
        says.userinfo = json!({"sub": "S-2", "email": "ada@example.com", "email_verified": true});
    });
    assert_eq!(finish(&app, &begun, "corp").await.status, 401);
    let begun = begin(&app, &issuer, "corp").await;
    issuer.says(|says| {
        says.claims["email"] = Value::Null;
        says.userinfo["sub"] = json!("S-1");
    });
    assert_eq!(finish(&app, &begun, "corp").await.status, 302);
}

#[tokio::test]
async fn github_says_who_it_is_to_its_access_token() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    issuer.says(|says| {
        says.github_user = json!({"id": 583231, "login": "octocat", "name": "The Octocat", "email": "x@evil.example"});
        says.github_emails = json!([
            {"email": "old@example.com", "primary": false, "verified": true},
            {"email": "new@example.com", "primary": true, "verified": true},
            {"email": "root@example.com", "primary": false, "verified": false},
        ]);
    });
    let (token, _) = access(&app, &log_in(&app, &issuer, "hub").await).await;
    let me = whoami(&app, &token).await;
    assert_eq!((&me.data()["subject"], &me.data()["role"]), (&json!("hub:octocat"), &json!("VIEWER")));
    let pilots = app.get("/operator/api/pilots").await;
    assert_eq!(pilots.data()["items"][0]["email"], "new@example.com");
    assert_eq!(pilots.data()["items"][0]["oauth_id"], "583231");
    // The name is free again and another's, or another name is none of those that may come.
    for (id, login) in [(7, "octocat"), (583_231, "renamed")] {
        let begun = begin(&app, &issuer, "hub").await;
        issuer.says(|says| says.github_user = json!({"id": id, "login": login}));
        let out = finish(&app, &begun, "hub").await;
        assert_eq!((out.status, out.code()), (401, "login_failed"), "{login}: {}", out.body);
    }
    let bodies = issuer.says(|says| says.asked.join("\n"));
    assert!(bodies.contains("code_verifier=") && bodies.contains("client_secret="), "{bodies}");
}

#[tokio::test]
async fn a_provider_that_is_away_or_answers_nonsense_is_told_from_a_refusal() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let begun = async || Answer::of(app.anyone(Method::GET, &format!("{AUTH}/login/corp"))).await;
    for change in [
        json!({"issuer": "https://evil.example"}),
        json!({"token_endpoint": "http://evil.example/token"}),
        json!({"jwks_uri": 7}),
    ] {
        issuer.says(|says| says.document = change.clone());
        let out = begun().await;
        assert_eq!((out.status, out.code()), (502, "upstream_error"), "{change}: {}", out.body);
        assert!(!out.body.contains("evil"), "the log has the rest: {}", out.body);
    }
    issuer.says(|says| says.document = json!({}));
    assert_eq!(begun().await.status, 302);
    let nowhere = App::with(&[
        ("VX11_OPERATOR__LOGIN__PUBLIC_URL", ORIGIN),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__KIND", "oidc"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__ISSUER", "http://127.0.0.1:9"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__CLIENT_ID", "vx11"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__ALLOW_EVERYBODY", "true"),
    ])
    .await;
    let out = Answer::of(nowhere.anyone(Method::GET, &format!("{AUTH}/login/corp"))).await;
    assert_eq!((out.status, out.code()), (503, "service_unavailable"), "{}", out.body);
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
async fn nobody_logs_in_where_nothing_is_configured() {
    let app = App::start().await;
    assert_eq!(Answer::of(app.anyone(Method::GET, &format!("{AUTH}/providers"))).await.data()["providers"], json!([]));
    for (method, path) in [
        (Method::GET, "login/github"),
        (Method::GET, "callback/github?code=a&state=b"),
        (Method::POST, "login"),
        (Method::POST, "refresh"),
        (Method::POST, "logout"),
    ] {
        let request = app.anyone(method, &format!("{AUTH}/{path}")).header("origin", ORIGIN);
        let out = Answer::of(request.json(&json!({"login": "root", "password": "x"}))).await;
        assert_eq!((out.status, out.code()), (404, "not_found"), "{path}: {}", out.body);
    }
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
