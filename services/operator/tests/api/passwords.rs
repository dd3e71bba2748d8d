//! Logins with a name and a password, where they are on.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use vx11_chassis::config::Settings;
use vx11_contracts::identity::{OrgId, Role};
use vx11_operator::Admin;

use crate::app::{Answer, App, eventually};

const PASSWORD: &str = "correct horse battery staple";
const PATH: &str = "/operator/api/auth/login";

async fn app() -> App {
    App::with(&[
        ("VX11_OPERATOR__LOGIN__PUBLIC_URL", "https://vx11.example"),
        ("VX11_OPERATOR__LOGIN__PASSWORDS", "true"),
    ])
    .await
}

/// Sets a password as the command line does, while the operator runs.
async fn set(app: &App, login: &str, password: &str) -> Result<(), String> {
    let variables = [("VX11_DATA_DIR".to_owned(), app.data_dir().display().to_string())];
    let common = Settings::load(None, variables).and_then(|settings| settings.common()).expect("fits");
    let admin = tokio::task::spawn_blocking(move || Admin::open(&common)).await.expect("ends").expect("opens");
    let set = admin.set_password(&OrgId::platform(), login, Role::Admin, SecretString::from(password)).await;
    set.map(|pilot| assert_eq!(pilot.pilot_id, format!("local:{login}"))).map_err(|error| error.to_string())
}

async fn log_in(app: &App, from: &str, body: Value) -> Answer {
    Answer::of(app.anyone(Method::POST, PATH).header("x-vx11-client-address", from).json(&body)).await
}

#[tokio::test]
async fn the_right_password_lets_in_and_a_wrong_one_does_not_say_what_was_wrong() {
    let app = app().await;
    set(&app, "root", PASSWORD).await.expect("set");
    assert!(set(&app, "root", "short").await.expect_err("refused").contains("15 characters"));
    assert!(set(&app, "no name", PASSWORD).await.expect_err("refused").contains("letters"));

    let right = log_in(&app, "10.0.0.1", json!({"login": "root", "password": PASSWORD})).await;
    assert_eq!((&right.data()["role"], &right.data()["subject"]), (&json!("ADMIN"), &json!("local:root")));
    let cookie = right.header("set-cookie");
    assert!(
        cookie.starts_with("__Secure-vx11_refresh=") && cookie.ends_with("HttpOnly; SameSite=Strict; Secure"),
        "{cookie}"
    );
    let token = right.data()["access_token"].as_str().expect("a token");
    let pilots = Answer::of(app.anyone(Method::GET, "/operator/api/pilots").bearer_auth(token)).await;
    assert_eq!(pilots.data()["items"][0]["pilot_id"], "local:root");
    assert!(!pilots.body.contains("argon2"), "{}", pilots.body);

    let wrong = |body: Value| log_in(&app, "10.0.0.2", body);
    let answers = [
        wrong(json!({"login": "root", "password": "wrong"})).await,
        wrong(json!({"login": "nobody", "password": PASSWORD})).await,
        wrong(json!({"login": "root", "password": PASSWORD, "org": "acme"})).await,
        wrong(json!({"login": "root", "password": "x".repeat(2000)})).await,
    ];
    for answer in &answers {
        assert_eq!((answer.status, answer.code(), &answer["detail"]), (401, "login_failed", &answers[0]["detail"]));
        assert!(answer.header("set-cookie").is_empty());
    }
    assert_eq!(wrong(json!({"login": "a b", "password": "x"})).await.field(), "login");
    app.written().await;
    let rows = "action = 'login' AND status = 'login_failed' AND target = 'local:root' AND notes LIKE '%10.0.0.2%'";
    assert_eq!(app.count(&format!("SELECT count(*) FROM copilot_actions_log WHERE {rows}")), 2);
    assert_eq!(app.count("SELECT count(*) FROM copilot_actions_log WHERE notes LIKE '%horse%'"), 0);
    let logged = async |query: &str| {
        let rows = app.get(&format!("/operator/api/audit-log?target=local:root&{query}")).await;
        rows.data()["items"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(logged("action=pilot.set_password").await, 1);
    assert_eq!(logged("action=pilot.login&outcome=allowed").await, 1);
    eventually("it is in the audit log", async || logged("action=pilot.login&outcome=refused").await > 0).await;
    let all = app.get("/operator/api/audit-log?limit=500").await;
    assert!(!all.body.contains("nobody"), "who is not there leaves nothing: {}", all.body);
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_others_do_not() {
    let app = app().await;
    set(&app, "root", PASSWORD).await.expect("set");
    for _ in 0..10 {
        assert_eq!(log_in(&app, "10.0.0.1", json!({"login": "root", "password": "guess"})).await.status, 401);
    }
    let limited = log_in(&app, "10.0.0.1", json!({"login": "root", "password": PASSWORD})).await;
    assert_eq!((limited.status, limited.code()), (429, "rate_limited"), "not even a right guess is told");
    assert!(!limited.header("retry-after").is_empty());
    assert_eq!(log_in(&app, "10.0.0.1", json!({"login": "no name", "password": "x"})).await.field(), "login");
    assert_eq!(log_in(&app, "10.0.0.2", json!({"login": "root", "password": PASSWORD})).await.status, 200);
    app.written().await;
    let rows = app.count("SELECT count(*) FROM copilot_actions_log WHERE action = 'login' AND notes LIKE '%10.0.0.1%'");
    assert_eq!(rows, 10, "who only has to wait writes nothing");
}

#[tokio::test]
async fn another_origins_page_cannot_log_its_reader_in() {
    let app = app().await;
    set(&app, "root", PASSWORD).await.expect("set");
    let body = json!({"login": "root", "password": PASSWORD});
    let call = |name: &'static str, value: &'static str| app.anyone(Method::POST, PATH).header(name, value).json(&body);
    assert_eq!(Answer::of(call("origin", "https://evil.example")).await.code(), "cross_site");
    assert_eq!(Answer::of(call("sec-fetch-site", "cross-site")).await.code(), "cross_site");
    assert_eq!(Answer::of(call("origin", "https://vx11.example")).await.status, 200);
}
