//! E-mail as a real mail server takes it.

use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use vx11_testing_servers::{SmtpServer, lasting_port};

use crate::app::{App, eventually};

const INTERVENTIONS: &str = "/operator/api/interventions";
const SUBSCRIPTIONS: &str = "/operator/api/notifications/subscriptions";
const DELIVERIES: &str = "/operator/api/notifications/deliveries";
const FROM: (&str, &str) = ("VX11_OPERATOR__EMAIL__FROM", "VX11 <vx11@corp.example>");
const LINK: (&str, &str) = ("VX11_OPERATOR__EMAIL__LINK", "https://vx11.example/requests/{request_id}");
/// Short, so that no test waits for it.
const HURRIED: (&str, &str) = ("VX11_OPERATOR__EMAIL__RETRY_BASE", "1ms");

/// Where a mail server is, while it is there and while it is not.
struct Post {
    port: u16,
    dir: TempDir,
}

impl Post {
    fn new() -> Self {
        Self { port: lasting_port(), dir: tempfile::tempdir().expect("a directory") }
    }

    fn server(&self, options: &[&str]) -> SmtpServer {
        SmtpServer::start(self.port, &self.dir.path().join("mailbox"), options)
    }

    /// A certificate for `localhost` and its key, as files.
    fn certificate(&self) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (self.dir.path().join("certificate.pem"), self.dir.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        (certificate, key)
    }

    /// An operator that sends there in clear.
    async fn app(&self) -> App {
        let url = format!("smtp://127.0.0.1:{}?tls=none", self.port);
        App::with(&[("VX11_SMTP_URL", &url), FROM, LINK, HURRIED]).await
    }
}

/// What the server has taken, of which each has a head and a body.
fn taken(server: &SmtpServer) -> Vec<Value> {
    server.taken().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn data(mail: &Value) -> String {
    // Long lines come as several (quoted-printable).
    mail["data"].as_str().expect("a text").replace("=\r\n", "").replace("\r\n", "\n")
}

fn header(mail: &Value, name: &str) -> String {
    let data = data(mail);
    let head = data.split_once("\n\n").expect("a head").0.replace("\n ", " ");
    let found = head.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")));
    let found: Vec<&str> = found.collect();
    assert_eq!(found.len(), 1, "{name}: {head}");
    found[0].to_owned()
}

async fn subscribe(app: &App, body: Value) -> Value {
    let made = app.post(SUBSCRIPTIONS, body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made["data"].clone()
}

async fn ask(app: &App, body: Value) -> Value {
    let asked = app.post(INTERVENTIONS, body).await;
    assert_eq!(asked.status, 201, "{}", asked.body);
    asked["data"].clone()
}

/// The deliveries that have come so far, once there is one.
async fn deliveries(app: &App, state: &str) -> Vec<Value> {
    let query = format!("{DELIVERIES}?state={state}");
    let list = async || app.get(&query).await.data()["items"].as_array().expect("a list").clone();
    eventually(state, async || !list().await.is_empty()).await;
    list().await
}

#[tokio::test]
async fn a_request_that_waits_is_mailed_once_and_says_what_is_asked() {
    let post = Post::new();
    let (server, app) = (post.server(&[]), post.app().await);
    subscribe(&app, json!({"to": "ops@acme.example", "least_priority": "high"})).await;
    ask(&app, json!({"title": "not urgent"})).await;
    ask(
        &app,
        json!({
            "request_id": "deploy-1", "title": "Déploy to production?", "description": "The nightly one.",
            "priority": "critical", "action": {"name": "deploy", "args": {"env": "prod", "api_key": "hunter2"}},
        }),
    )
    .await;
    let delivered = deliveries(&app, "delivered").await;
    assert_eq!((delivered.len(), &delivered[0]["channel"]), (1, &json!("email")));
    assert_eq!(delivered[0]["url"], "mailto:ops@acme.example");
    let mails = taken(&server);
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!((&mail["from"], &mail["to"]), (&json!("vx11@corp.example"), &json!(["ops@acme.example"])));
    let id = delivered[0]["id"].as_str().expect("an id");
    assert_eq!(header(mail, "Message-ID"), format!("<{id}@corp.example>"));
    assert!(header(mail, "Subject").starts_with("[critical] Waits for a decision: =?utf-8?"), "{}", data(mail));
    let text = data(mail);
    for expected in ["The nightly one.", "Decide by", "https://vx11.example/requests/deploy-1", "multipart/alternative"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("hunter2") && text.contains("(hidden)"), "{text}");
    assert_eq!(app.metric(r#"vx11_email_deliveries_total{outcome="delivered"}"#).await, 1.0);
}

/// Waits until the only delivery has failed, and been tried so many times at least. It is not given up, and tenants are
/// not told `secret`.
async fn waits(app: &App, attempts: u64, secret: &str) {
    let only = async || app.get(DELIVERIES).await.data()["items"][0].clone();
    let has_failed = |delivery: &Value| {
        assert_eq!(delivery["state"], "pending", "{delivery}");
        delivery["attempts"].as_u64() >= Some(attempts) && delivery["last_error"].is_string()
    };
    eventually("attempts fail", async || has_failed(&only().await)).await;
    let error = only().await["last_error"].clone();
    assert!(!error.as_str().expect("a text").contains(secret), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_gets_it_when_it_is_back() {
    let post = Post::new();
    let app = post.app().await;
    subscribe(&app, json!({"to": "ops@acme.example"})).await;
    ask(&app, json!({"title": "Deploy?"})).await;
    // More often than a webhook would be tried.
    waits(&app, 9, &post.port.to_string()).await;
    let server = post.server(&[]);
    let delivered = deliveries(&app, "delivered").await;
    assert!(delivered[0]["attempts"].as_u64() >= Some(9) && delivered[0]["last_error"].is_null(), "{delivered:?}");
    assert_eq!(taken(&server).len(), 1);
}

#[tokio::test]
async fn what_a_server_says_of_us_is_not_said_of_the_mail() {
    for refused in ["sender", "client"] {
        let post = Post::new();
        let (server, app) = (post.server(&["--refuse", refused]), post.app().await);
        subscribe(&app, json!({"to": "ops@acme.example"})).await;
        ask(&app, json!({"title": "Deploy?"})).await;
        waits(&app, 1, "203.0.113.99").await;
        assert!(taken(&server).is_empty());
        drop(server);
        let server = post.server(&[]);
        assert_eq!((deliveries(&app, "delivered").await.len(), taken(&server).len()), (1, 1));
    }
}

#[tokio::test]
async fn what_was_refused_is_sent_again_when_asked_for() {
    let post = Post::new();
    let (_server, app) = (post.server(&[]), post.app().await);
    subscribe(&app, json!({"to": "refused@acme.example"})).await;
    ask(&app, json!({"title": "Deploy?"})).await;
    let id = deliveries(&app, "dead").await[0]["id"].as_str().expect("an id").to_owned();
    let retried = app.post(&format!("{DELIVERIES}/{id}/retry"), json!({})).await;
    assert_eq!((retried.status, &retried["data"]["attempts"]), (200, &json!(0)), "{}", retried.body);
    let dead = r#"vx11_email_deliveries_total{outcome="dead"}"#;
    eventually("it was sent again", async || app.metric(dead).await == 2.0).await;
}

#[tokio::test]
async fn a_refusal_for_good_is_given_up_at_once_and_one_for_now_is_not() {
    let post = Post::new();
    let (server, app) = (post.server(&[]), post.app().await);
    for to in ["refused@acme.example", "later@acme.example"] {
        subscribe(&app, json!({"to": to})).await;
    }
    ask(&app, json!({"title": "Deploy?"})).await;
    let dead = deliveries(&app, "dead").await;
    assert_eq!((&dead[0]["url"], &dead[0]["attempts"]), (&json!("mailto:refused@acme.example"), &json!(1)));
    assert!(dead[0]["last_error"].as_str().expect("a text").contains("no such mailbox"), "{dead:?}");
    let delivered = deliveries(&app, "delivered").await;
    assert_eq!((&delivered[0]["url"], &delivered[0]["attempts"]), (&json!("mailto:later@acme.example"), &json!(2)));
    assert_eq!((dead.len(), delivered.len(), taken(&server).len()), (1, 1, 1));
    assert_eq!(app.metric(r#"vx11_email_deliveries_total{outcome="dead"}"#).await, 1.0);
}

#[tokio::test]
async fn a_line_break_in_a_title_makes_no_header() {
    let post = Post::new();
    let (server, app) = (post.server(&[]), post.app().await);
    subscribe(&app, json!({"to": "ops@acme.example"})).await;
    ask(&app, json!({"title": "Hi\r\nBcc: eve@evil.example\r\n\r\n.\r\nMAIL FROM:<eve@evil.example>"})).await;
    deliveries(&app, "delivered").await;
    let mails = taken(&server);
    assert_eq!((mails.len(), &mails[0]["to"]), (1, &json!(["ops@acme.example"])));
    let text = data(&mails[0]);
    assert!(!text.lines().any(|line| line.starts_with("Bcc:") || line.starts_with("MAIL FROM")), "{text}");
    assert!(header(&mails[0], "Subject").contains("Hi Bcc: eve@evil.example"), "{text}");
}

#[tokio::test]
async fn a_password_goes_to_a_server_whose_certificate_is_known_and_to_no_other() {
    let post = Post::new();
    let (certificate, key) = post.certificate();
    let (certificate, key) = (certificate.to_str().expect("UTF-8"), key.to_str().expect("UTF-8"));
    let server = post.server(&["--tls", certificate, key, "--login", "vx11", "hunter@2"]);
    let file = post.dir.path().join("smtp-url");
    std::fs::write(&file, format!("smtp://vx11:hunter%402@localhost:{}\n", post.port)).expect("written");
    let url = ("VX11_SMTP_URL_FILE", file.to_str().expect("UTF-8"));
    let stranger = App::with(&[url, FROM, HURRIED]).await;
    subscribe(&stranger, json!({"to": "ops@acme.example"})).await;
    ask(&stranger, json!({"title": "Deploy?"})).await;
    waits(&stranger, 1, "hunter").await;
    assert!(taken(&server).is_empty());
    let app = App::with(&[url, FROM, HURRIED, ("VX11_OPERATOR__EMAIL__CA_FILE", certificate)]).await;
    subscribe(&app, json!({"to": "ops@acme.example"})).await;
    ask(&app, json!({"title": "Deploy?"})).await;
    deliveries(&app, "delivered").await;
    let mails = taken(&server);
    assert_eq!((mails.len(), &mails[0]["tls"], &mails[0]["user"]), (1, &json!(true), &json!("vx11")));
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing_unless_that_is_wanted() {
    let post = Post::new();
    let server = post.server(&[]);
    let url = format!("smtp://127.0.0.1:{}", post.port);
    let app = App::with(&[("VX11_SMTP_URL", &url), FROM, HURRIED]).await;
    subscribe(&app, json!({"to": "ops@acme.example"})).await;
    ask(&app, json!({"title": "Deploy?"})).await;
    waits(&app, 1, &post.port.to_string()).await;
    assert!(taken(&server).is_empty());
}

#[tokio::test]
async fn another_organisation_gets_nothing_and_sees_nothing() {
    let post = Post::new();
    let (server, app) = (post.server(&[]), post.app().await);
    for org in ["acme", "globex"] {
        assert_eq!(app.post("/operator/api/orgs", json!({"id": org})).await.status, 201);
    }
    let key = async |org: &str| {
        let scopes = ["read", "agent", "pilot", "admin"];
        let body = json!({"name": "a test's", "org": org, "role": "ADMIN", "scopes": scopes});
        app.post("/operator/api/keys", body).await["data"]["secret"].as_str().expect("a key").to_owned()
    };
    let (acme, globex) = (key("acme").await, key("globex").await);
    let with = async |key: &str, method: reqwest::Method, path: &str, body: Value| {
        crate::app::Answer::of(app.anyone(method, path).bearer_auth(key).json(&body)).await
    };
    let (get, post_, delete) = (reqwest::Method::GET, reqwest::Method::POST, reqwest::Method::DELETE);
    let of_globex = with(&globex, post_.clone(), SUBSCRIPTIONS, json!({"to": "ops@globex.example"})).await;
    assert_eq!(of_globex.status, 201, "{}", of_globex.body);
    assert_eq!(with(&acme, post_.clone(), SUBSCRIPTIONS, json!({"to": "ops@acme.example"})).await.status, 201);
    assert_eq!(with(&acme, post_.clone(), INTERVENTIONS, json!({"title": "Deploy?"})).await.status, 201);
    let of_acme = async || with(&acme, get.clone(), &format!("{DELIVERIES}?state=delivered"), json!({})).await;
    eventually("it is mailed", async || of_acme().await.data()["items"][0].is_object()).await;
    assert_eq!(taken(&server).iter().map(|mail| mail["to"].clone()).collect::<Vec<_>>(), [json!(["ops@acme.example"])]);
    let seen = with(&globex, get.clone(), DELIVERIES, json!({})).await;
    assert_eq!(seen.data()["items"], json!([]), "{}", seen.body);
    let id = of_globex["data"]["id"].as_str().expect("an id");
    let listed = with(&acme, get, SUBSCRIPTIONS, json!({})).await;
    assert!(!listed.body.contains("globex"), "{}", listed.body);
    assert_eq!(with(&acme, delete.clone(), &format!("{SUBSCRIPTIONS}/{id}"), json!({})).await.status, 404);
    assert_eq!(with(&globex, delete, &format!("{SUBSCRIPTIONS}/{id}"), json!({})).await.status, 200);
}

#[tokio::test]
async fn the_pilot_that_it_is_for_is_told() {
    let post = Post::new();
    let (server, app) = (post.server(&[]), post.app().await);
    subscribe(&app, json!({"to": "pilots"})).await;
    let control = app.data_dir().join("control.sqlite3");
    let mut control = diesel::SqliteConnection::establish(control.to_str().expect("UTF-8")).expect("a connection");
    let pilot = "INSERT INTO pilots (org_id, pilot_id, name, email, role, created_at)
        VALUES ('default', 'corp:ann', 'Ann', 'ann@corp.example', 'OPERATOR', '2026-11-22T10:00:00.000Z')";
    control.batch_execute(&format!("PRAGMA busy_timeout = 5000; {pilot}")).expect("a pilot");
    ask(&app, json!({"title": "Somebody's"})).await;
    ask(&app, json!({"title": "Ann's", "assigned_to": "corp:ann"})).await;
    deliveries(&app, "delivered").await;
    assert_eq!(taken(&server).iter().map(|mail| mail["to"].clone()).collect::<Vec<_>>(), [json!(["ann@corp.example"])]);
}

#[tokio::test]
async fn subscriptions_that_cannot_be_are_refused() {
    let off = App::start().await;
    let refused = off.post(SUBSCRIPTIONS, json!({"to": "pilots"})).await;
    assert_eq!((refused.status, refused.code()), (403, "off_by_policy"), "{}", refused.body);
    assert!(refused.body.contains("VX11_SMTP_URL"), "{}", refused.body);
    let app = Post::new().app().await;
    for (body, field) in [
        (json!({"to": "ops"}), "to"),
        (json!({"to": "a@acme.example\r\nBcc: eve@evil.example"}), "to"),
        (json!({"to": "pilots", "events": ["intervention.approved"]}), "events"),
        (json!({"to": "a@acme.example", "events": []}), "events"),
        (json!({"to": "a@acme.example", "events": ["nothing"]}), "events[0]"),
        (json!({"to": "a@acme.example", "least_priority": "most"}), "least_priority"),
    ] {
        let refused = app.post(SUBSCRIPTIONS, body.clone()).await;
        assert_eq!((refused.status, refused.field()), (422, field), "{body}: {}", refused.body);
    }
    let made = subscribe(&app, json!({"to": "a@acme.example"})).await;
    let again = app.post(SUBSCRIPTIONS, json!({"to": "a@acme.example"})).await;
    assert_eq!((again.status, &again["data"]), (200, &made));
    let removed = async || {
        let path = format!("{SUBSCRIPTIONS}/{}", made["id"].as_str().expect("an id"));
        crate::app::Answer::of(app.request(reqwest::Method::DELETE, &path)).await.status
    };
    assert_eq!((removed().await, removed().await), (200, 404));
    assert_eq!(app.get(SUBSCRIPTIONS).await.data(), &json!([]));
}
