//! Two organisations on one operator: each chats, and sees nothing of the other, wherever it looks.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use vx11_chassis::config::Settings;
use vx11_contracts::identity::Role;
use vx11_operator::Admin;
use vx11_testing_servers::Postgres;

use crate::app::{Answer, App, eventually};
use crate::event_stream::Reader;
use crate::fake::{Does, error};
use crate::identity::{key, org, table, with};

const SCOPES: [&str; 5] = ["chat", "read", "agent", "pilot", "admin"];
/// Is in every text that acme writes, and in none that anybody else does.
const MARK: &str = "acmes-own";
/// The pilot whose name it is.
const PILOT: &str = "local:acmes-own";
/// With these there is something behind every list.
const ALL_ON: [(&str, &str); 7] = [
    ("VX11_OPERATOR__LOGIN__PUBLIC_URL", "https://vx11.example"),
    ("VX11_OPERATOR__LOGIN__PASSWORDS", "true"),
    ("VX11_OPERATOR__INSIGHTS__ANOMALIES", "true"),
    ("VX11_OPERATOR__INSIGHTS__ROUTING", "true"),
    ("VX11_OPERATOR__INSIGHTS__PERFORMANCE", "true"),
    // Nobody listens there.
    ("VX11_SMTP_URL", "smtp://127.0.0.1:9?tls=none"),
    ("VX11_OPERATOR__EMAIL__FROM", "vx11@corp.example"),
];

/// An operator with two organisations that call everything the same.
struct Tenants {
    app: App,
    acme: String,
    globex: String,
    /// An ADMIN of the platform.
    admin: String,
}

impl Tenants {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(variables: &[(&str, &str)]) -> Self {
        let app = App::with(variables).await;
        let mut keys = Vec::new();
        for of in ["acme", "globex"] {
            org(&app, of).await;
            keys.push(key(&app, of, "ADMIN", &SCOPES).await.1);
        }
        let admin = key(&app, "default", "ADMIN", &SCOPES).await.1;
        let [acme, globex] = keys.try_into().expect("two");
        for id in ["c", "theirs"] {
            app.madre.on(&format!("/madre/audit/{id}"), Does::Answer(200, json!({ "actions": [] })));
        }
        Self { app, acme, globex, admin }
    }

    async fn get(&self, key: &str, path: &str) -> Answer {
        with(key, self.app.anyone(Method::GET, path)).await
    }

    async fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        with(key, self.app.anyone(Method::POST, path).json(body)).await
    }

    async fn chat(&self, key: &str, message: &str) -> Answer {
        let body = json!({ "message": message, "session_id": "s", "correlation_id": "c" });
        let answer = self.post(key, "/operator/api/chat", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    /// Acme has said and asked things.
    async fn acme_is_busy(&self) {
        self.chat(&self.acme, &format!("{MARK} one")).await;
        self.chat(&self.acme, &format!("{MARK} two")).await;
        let request = json!({ "request_id": "r", "title": MARK });
        assert_eq!(self.post(&self.acme, "/operator/api/interventions", &request).await.status, 201);
        let unit = json!({ "instance_id": MARK, "title": MARK, "uow_id": "u" });
        assert_eq!(self.post(&self.acme, "/operator/api/units", &unit).await.status, 201);
        assert_eq!(self.post(&self.acme, "/operator/api/replay/c", &json!({})).await.status, 200);
        self.app.written().await;
    }

    /// A pilot of acme's comes in, sets up whatever can be, asks more often than is usual, and decides.
    async fn acme_leaves_its_mark_everywhere(&self, variables: &[(&str, &str)]) {
        let pilot = self.pilot_of_acme(variables).await;
        let do_ = async |method: Method, path: &str, body: Value| {
            let done = with(&pilot, self.app.anyone(method, &format!("/operator/api{path}")).json(&body)).await;
            assert!(matches!(done.status, 200 | 201), "{path}: {}", done.body);
        };
        let scopes = ["read"];
        do_(Method::POST, "/keys", json!({ "name": MARK, "role": "VIEWER", "scopes": scopes })).await;
        do_(Method::PUT, &format!("/pilots/{PILOT}/routing"), json!({ "skills": [MARK] })).await;
        let forbidden = json!([{ "field": "command", "op": "contains", "value": MARK }]);
        let rule = json!({ "guardian": { "type": "CERBERUS", "forbidden": forbidden } });
        do_(Method::PUT, &format!("/guard-rules/{MARK}"), rule).await;
        let to = format!("{MARK}@acme.example");
        do_(Method::POST, "/notifications/subscriptions", json!({ "to": to })).await;
        for number in 0..21 {
            let request = json!({ "request_id": format!("{MARK}-{number}"), "title": MARK });
            do_(Method::POST, "/interventions", request).await;
        }
        do_(Method::POST, &format!("/interventions/{MARK}-0/approve"), json!({ "version": 1 })).await;
        self.app.written().await;
    }

    /// The access token of an ADMIN of acme's, who has logged in.
    async fn pilot_of_acme(&self, variables: &[(&str, &str)]) -> String {
        let data_dir = self.app.data_dir().display().to_string();
        let variables = [variables, &[("VX11_DATA_DIR", &data_dir)]].concat();
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let common = Settings::load(None, variables).and_then(|settings| settings.common()).expect("fits");
        let admin = tokio::task::spawn_blocking(move || Admin::open(&common)).await.expect("ends").expect("opens");
        let (acme, password) = ("acme".parse().expect("an id"), "correct horse battery staple");
        let pilot = admin.set_password(&acme, MARK, Role::Admin, password.into()).await.expect("set");
        assert_eq!(pilot.pilot_id, PILOT);
        let body = json!({ "org": "acme", "login": MARK, "password": password });
        let login = self.app.anyone(Method::POST, "/operator/api/auth/login").json(&body);
        let login = Answer::of(login.header("x-vx11-client-address", "10.0.0.1")).await;
        login.data()["access_token"].as_str().unwrap_or_else(|| panic!("a token: {}", login.body)).to_owned()
    }
}

/// What has acme's rows and is looked at by others, with the status that they get.
const LOOKS: [(&str, u16); 12] = [
    ("/operator/api/sessions", 200),
    ("/operator/api/sessions?limit=500", 200),
    ("/operator/api/sessions/s", 404),
    ("/operator/api/sessions/s?after=0", 404),
    ("/operator/api/audit", 200),
    ("/operator/api/audit?session_id=s", 200),
    ("/operator/api/audit?correlation_id=c", 200),
    ("/operator/api/audit?action=chat&before=1000000", 200),
    ("/operator/api/audit/c", 404),
    ("/operator/api/events", 200),
    ("/operator/api/events?last_event_id=0", 200),
    ("/operator/api/metrics?period=1h", 200),
];

/// What answers a GET and has no text of an organisation's.
const WITHOUT_TEXTS: [&str; 15] = [
    "/.well-known/jwks.json",
    "/operator/api/jwks",
    "/operator/api/chat/window/status",
    "/operator/api/status",
    "/operator/api/config",
    "/operator/api/metrics",
    "/operator/api/circuit-breakers",
    "/operator/api/audit-log/verify",
    "/operator/api/orgs",
    "/operator/api/whoami",
    "/operator/api/auth/providers",
    "/operator/api/auth/login/provider",
    "/operator/api/auth/callback/provider",
    "/operator/api/interventions/metrics",
    "/api/interventions/metrics",
];

/// Every address that answers a GET, each for every id of acme's.
fn every_look() -> BTreeMap<String, BTreeSet<String>> {
    let gets = table().into_iter().filter(|(method, path, _)| *method == Method::GET && !path.starts_with("/ws"));
    let named = |(_, path, _): (Method, String, Vec<String>)| {
        let looks = ["s", "c", "r", "u", PILOT].map(|id| {
            let path = path.replace("/correlation_id", &format!("/{id}")).replace("/id", &format!("/{id}"));
            // As long as it takes to say that there is none.
            if path.ends_with("/wait") { format!("{path}?timeout_seconds=0") } else { path }
        });
        (path, looks.into())
    };
    gets.map(named).collect()
}

/// Whether there is something of acme's in what a stranger was answered at `path`.
fn shows_acme(path: &str, body: &str) -> bool {
    // That the pilot was made is what the platform did, and in its trail.
    let body = body.replace(&format!(r#""target":"{PILOT}""#), "");
    // What is asked for is named in some answers.
    let asked = if path.contains(PILOT) { PILOT } else { "\0" };
    body.replace(asked, "").contains(MARK)
}

/// Looks at everything of acme's with globex's key and the platform's.
async fn nothing_is_seen(variables: &[(&str, &str)]) {
    let tenants = Tenants::with(&[&ALL_ON, variables].concat()).await;
    tenants.acme_is_busy().await;
    tenants.acme_leaves_its_mark_everywhere(variables).await;
    let strangers = [("globex", &tenants.globex), ("default", &tenants.admin)];
    for (of, key) in strangers {
        for (path, status) in LOOKS {
            let seen = tenants.get(key, path).await;
            assert_eq!(seen.status, status, "{of} {path}: {}", seen.body);
            assert!(!shows_acme(path, &seen.body), "{of} {path}: {}", seen.body);
        }
        for row in tenants.get(key, "/operator/api/audit?limit=500").await.data()["items"].as_array().expect("rows") {
            assert_eq!(row["org_id"], of, "{row}");
        }
        let again = tenants.post(key, "/operator/api/replay/c", &json!({})).await;
        assert_eq!((again.status, again.code()), (404, "not_found"), "{of}: {}", again.body);
        // Whatever else there is, asked for by acme's ids.
        for path in every_look().values().flatten() {
            let seen = tenants.get(key, path).await;
            assert!(!shows_acme(path, &seen.body), "{of} {path}: {}", seen.body);
        }
    }
    // So whatever shows rows of all organisations would have shown acme's.
    for (address, paths) in every_look().iter().filter(|(address, _)| !WITHOUT_TEXTS.contains(&address.as_str())) {
        let mut bodies = Vec::new();
        for path in paths {
            bodies.push(tenants.get(&tenants.acme, path).await.body);
        }
        let is_there = |body: &String| body.contains(MARK) || body.contains(r#""session_id":"s""#);
        assert!(bodies.iter().any(is_there), "acme has left nothing there: {address}: {bodies:?}");
    }
    // It is there, for acme.
    for (path, _) in LOOKS.iter().filter(|(path, _)| !path.contains("metrics")) {
        let seen = tenants.get(&tenants.acme, path).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.body);
        let is_there = seen.body.contains(MARK) || seen.body.contains(r#""session_id":"s""#);
        assert!(is_there, "{path}: {}", seen.body);
    }
    let of_chats = |answer: Answer| answer.data()["request_counts"]["by_endpoint"]["/operator/api/chat"].clone();
    let metrics = "/operator/api/metrics?period=6h";
    assert_eq!(of_chats(tenants.get(&tenants.acme, metrics).await), 2);
    assert_eq!(of_chats(tenants.get(&tenants.globex, metrics).await), Value::Null);
    assert_eq!(of_chats(tenants.app.get(metrics).await), Value::Null);
    assert_eq!(of_chats(tenants.app.get("/operator/api/metrics?period=6h&org=*").await), 2);
}

#[tokio::test]
async fn nothing_of_an_organisation_is_seen_from_outside() {
    nothing_is_seen(&[]).await;
}

#[tokio::test]
async fn nothing_of_an_organisation_is_seen_from_outside_where_identities_are_in_postgres() {
    let postgres = tokio::task::spawn_blocking(Postgres::shared).await.expect("it starts");
    nothing_is_seen(&[("VX11_DATABASE_URL", &postgres.new_database())]).await;
}

#[tokio::test]
async fn two_organisations_may_call_a_conversation_the_same_and_neither_learns_of_the_others() {
    let tenants = Tenants::with(&[("VX11_OPERATOR__CHAT__RATE_LIMIT", "2")]).await;
    let chats = || tenants.app.switch.asked("/switch/chat");
    tenants.chat(&tenants.acme, "hello").await;
    // The same words in a session of the same name: no history, no kept answer, no mark on the limit of acme's.
    for (key, of) in [(&tenants.globex, "globex"), (&tenants.admin, "default")] {
        let answer = tenants.chat(key, "hello").await;
        assert_eq!(answer["cache_hit"], Value::Null, "{}", answer.body);
        let asked = chats().pop().expect("asked");
        assert_eq!(asked.body["messages"].as_array().map(Vec::len), Some(1), "{}", asked.body);
        assert_eq!(asked.headers["x-vx11-org"], of);
        let subject = &asked.headers["x-vx11-subject"];
        assert!(subject.starts_with("key:"), "rules of the gateway know who asks: {subject}");
    }
    tenants.app.say("of the installation itself").await;
    let asked = chats().pop().expect("asked");
    assert!(!asked.headers.contains_key("x-vx11-org") && !asked.headers.contains_key("x-vx11-subject"));

    let repeated = tenants.chat(&tenants.acme, "hello").await;
    assert_eq!(repeated["cache_hit"], true);
    let body = json!({ "message": "once more", "session_id": "s" });
    assert_eq!(tenants.post(&tenants.acme, "/operator/api/chat", &body).await.status, 429);
    assert_eq!(tenants.post(&tenants.globex, "/operator/api/chat", &body).await.status, 200);
    let asked = chats().pop().expect("asked");
    assert_eq!(asked.body["messages"].as_array().map(Vec::len), Some(3), "with its own history: {}", asked.body);

    for (key, turns) in [(&tenants.acme, 1), (&tenants.globex, 2), (&tenants.admin, 1)] {
        let session = tenants.get(key, "/operator/api/sessions/s").await;
        assert_eq!(session.data()["history"].as_array().map(Vec::len), Some(turns), "{}", session.body);
    }
}

#[tokio::test]
async fn madre_is_told_for_whom_she_answers_and_she_tells_what_came_of_it_there() {
    let tenants = Tenants::start().await;
    tenants.app.switch.die().await;
    tenants.chat(&tenants.acme, "hello").await;
    assert_eq!(tenants.app.madre.asked("/madre/chat")[0].headers["x-vx11-org"], "acme");
    tenants.get(&tenants.acme, "/operator/api/audit/c").await;
    assert_eq!(tenants.app.madre.asked("/madre/audit/c")[0].headers["x-vx11-org"], "acme");
    let theirs = json!({ "actions": [{
        "id": 1, "timestamp": "2020-01-01T00:00:00.000Z", "source": "madre", "correlation_id": "theirs", "action": "plan",
        "action_type": "plan", "status": "ok", "mode": "normal", "org_id": "acme",
    }] });
    tenants.app.madre.on("/madre/audit/theirs", Does::Answer(200, theirs));
    assert_eq!(tenants.get(&tenants.globex, "/operator/api/audit/theirs").await.status, 404, "whatever madre says");

    let outcome =
        json!({ "session_id": "s", "correlation_id": "c", "message": "approved", "response": MARK, "status": "DONE" });
    let tell = tenants.app.request(Method::POST, "/operator/api/turns").header("x-vx11-org", "acme").json(&outcome);
    assert_eq!(Answer::of(tell).await.status, 200);
    for key in [&tenants.acme, &tenants.admin] {
        assert_eq!(tenants.post(key, "/operator/api/turns", &outcome).await.status, 403, "it is madre's to say");
    }
    let session = tenants.get(&tenants.acme, "/operator/api/sessions/s").await;
    assert_eq!(session.data()["history"][1]["response"], MARK, "{}", session.body);
    assert_eq!(tenants.get(&tenants.globex, "/operator/api/sessions/s").await.status, 404);
}

#[tokio::test]
async fn an_organisations_limit_is_the_answer_and_a_providers_is_not() {
    let tenants = Tenants::with(&[("VX11_OPERATOR__CHAT__RATE_LIMIT", "100")]).await;
    let mut limited = error("rate_limited");
    (limited["error"]["limit_of"], limited["retry_after"]) = (json!("org:acme"), json!(7));
    tenants.app.switch.on("/switch/chat", Does::Answer(429, limited));
    let body = |stream: bool| json!({ "message": "hello", "stream": stream });
    // More often than a breaker would let failures pass.
    for _ in 0..10 {
        let refused = tenants.post(&tenants.acme, "/operator/api/chat", &body(false)).await;
        assert_eq!((refused.status, refused.code(), refused.header("retry-after")), (429, "rate_limited", "7"));
        assert_eq!(refused["error"]["limit_of"], "org:acme", "{}", refused.body);
    }
    let streamed = tenants.post(&tenants.acme, "/operator/api/chat", &body(true)).await;
    assert!(streamed.body.contains("event: error") && streamed.body.contains("org:acme"), "{}", streamed.body);
    assert!(tenants.app.madre.asked("/madre/chat").is_empty());
    assert_eq!(tenants.app.switch.asked("/switch/chat").len(), 11);
    tenants.app.switch.on("/switch/chat", Does::Answer(429, error("rate_limited")));
    let answer = tenants.post(&tenants.acme, "/operator/api/chat", &body(false)).await;
    assert_eq!((answer.status, &answer["provider"]), (200, &json!("madre")), "{}", answer.body);
}

#[tokio::test]
async fn a_stream_has_its_organisations_events_alone() {
    let tenants = Tenants::start().await;
    let follow = |key: &str| tenants.app.anyone(Method::GET, "/operator/api/events?follow=true").bearer_auth(key);
    let mut globex = Reader::open(follow(&tenants.globex)).await;
    let mut platform = Reader::open(follow(&tenants.admin)).await;
    let mut acme = Reader::open(follow(&tenants.acme)).await;
    tenants.acme_is_busy().await;
    let first = acme.next().await.expect("an event");
    assert_eq!((&first.data["action"], &first.data["org_id"]), (&json!("chat"), &json!("acme")));
    for (stream, key, of) in [(&mut globex, &tenants.globex, "globex"), (&mut platform, &tenants.admin, "default")] {
        tenants.chat(key, "hello").await;
        let event = stream.next().await.expect("an event");
        assert_eq!((&event.data["action"], &event.data["org_id"]), (&json!("chat"), &json!(of)));
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_key_that_opened_it_and_an_organisation_has_so_many() {
    let often = ("VX11_OPERATOR__EVENTS__HEARTBEAT", "200ms");
    let tenants = Tenants::with(&[("VX11_OPERATOR__EVENTS__MAX_STREAMS_PER_ORG", "1"), often]).await;
    let (id, reader) = key(&tenants.app, "acme", "VIEWER", &["read"]).await;
    let follow = |key: &str| tenants.app.anyone(Method::GET, "/operator/api/events?follow=true").bearer_auth(key);
    let mut stream = Reader::open(follow(&reader)).await;
    let more = Answer::of(follow(&tenants.acme)).await;
    assert_eq!((more.status, more.code()), (429, "rate_limited"), "{}", more.body);
    let _others = Reader::open(follow(&tenants.globex)).await;
    let revoked = with(&tenants.acme, tenants.app.anyone(Method::DELETE, &format!("/operator/api/keys/{id}"))).await;
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    // It hears of what happens in between; before a heartbeat at the latest it is asked who listens.
    while stream.next().await.is_some() {}
    eventually("there is room again", async || {
        follow(&tenants.acme).send().await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
}

#[tokio::test]
async fn an_admin_of_the_platform_sees_another_organisations_rows_by_asking_and_that_is_noted() {
    let tenants = Tenants::start().await;
    tenants.acme_is_busy().await;
    let of_acme = |path: &str| format!("{path}{}org=acme", if path.contains('?') { '&' } else { '?' });
    for (path, _) in LOOKS {
        let seen = tenants.get(&tenants.admin, &of_acme(path)).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.body);
    }
    let session = tenants.get(&tenants.admin, &of_acme("/operator/api/sessions/s")).await;
    assert_eq!(session.data()["history"][0]["message"], format!("{MARK} one"));

    let operator = key(&tenants.app, "default", "OPERATOR", &SCOPES).await.1;
    let narrow = key(&tenants.app, "default", "ADMIN", &["chat", "admin"]).await.1;
    for (whose, key) in [("globex", &tenants.globex), ("default", &operator), ("narrow", &narrow)] {
        for (path, _) in LOOKS {
            let refused = tenants.get(key, &of_acme(path)).await;
            assert_eq!((refused.status, refused.code()), (403, "forbidden"), "{whose} {path}: {}", refused.body);
        }
        let all = tenants.get(key, "/operator/api/metrics?org=*").await;
        assert_eq!((all.status, all.code()), (403, "forbidden"), "{whose}");
        // Nor whether there is such an organisation.
        assert_eq!(tenants.get(key, "/operator/api/sessions?org=nowhere").await.status, 403);
    }
    assert_eq!(tenants.get(&tenants.globex, "/operator/api/sessions?org=globex").await.status, 200, "its own");
    assert_eq!(tenants.get(&tenants.admin, "/operator/api/sessions?org=nowhere").await.status, 404);
    assert_eq!(tenants.get(&tenants.admin, "/operator/api/sessions?org=No+org").await.status, 422);

    let noted = tenants.get(&tenants.acme, "/operator/api/audit-log?action=report.read").await;
    let items = noted.data()["items"].as_array().expect("rows").clone();
    assert_eq!(items.len(), LOOKS.len() + 1, "{}", noted.body);
    assert!(items.iter().all(|row| row["details"]["by_org"] == "default" && row["outcome"] == "allowed"), "{items:?}");
    let theirs = tenants.get(&tenants.admin, "/operator/api/audit-log?action=report.read").await;
    assert!(theirs.data()["items"].as_array().is_some_and(|rows| rows.len() > LOOKS.len()), "{}", theirs.body);
}
