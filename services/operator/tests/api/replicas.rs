//! Two operators with one database and one Redis: what happens at one is seen at the other, once.

use reqwest::Method;
use serde_json::{Value, json};
use vx11_testing_servers::{Postgres, Redis};

use crate::app::{Answer, App, TOKEN, eventually};
use crate::event_stream::Reader;
use crate::socket_client::{ALL, PATH, Socket, ask, ask_as};

const HEARD: &str = r#"vx11_bus_hints_total{outcome="heard"}"#;

/// Two replicas and what they share.
struct Pair {
    one: App,
    other: App,
    redis: Redis,
}

impl Pair {
    /// Both hear each other.
    async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same, with these variables.
    async fn with(variables: &[(&str, &str)]) -> Self {
        let redis = Redis::start();
        let database = tokio::task::spawn_blocking(|| Postgres::shared().new_database()).await.expect("a URL");
        let url = redis.url();
        let shared = [("VX11_DATABASE_URL", &*database), ("VX11_REDIS_URL", &*url)];
        let variables = [&shared, variables].concat();
        let pair = Self { one: App::with(&variables).await, other: App::with(&variables).await, redis };
        pair.are("up").await;
        // What was said before they heard each other is missed once; then nothing is.
        eventually("they have begun", async || resyncs(&pair.one).await >= 1.0 && resyncs(&pair.other).await >= 1.0)
            .await;
        pair
    }

    /// Waits until both say so of what they hear of other replicas.
    async fn are(&self, status: &str) {
        eventually(status, async || replicas(&self.one).await == status && replicas(&self.other).await == status).await;
    }
}

/// What `/ready` says of other replicas.
async fn replicas(app: &App) -> String {
    let ready = Answer::of(app.anyone(Method::GET, "/ready")).await;
    assert_eq!(ready.status, 200, "{}", ready.body);
    ready["dependencies"]["replicas"]["status"].as_str().expect("a status").to_owned()
}

async fn resyncs(app: &App) -> f64 {
    app.metric("vx11_bus_resyncs_total").await
}

/// The next push of something that happened. Who has just begun to hear others does not know what it missed, and says so.
async fn pushed(socket: &mut Socket) -> Value {
    loop {
        let push = socket.next().await;
        if push["type"] != "resync" {
            return push;
        }
    }
}

async fn decide(app: &App, id: &str, what: &str) {
    let decided = app.post(&format!("{ALL}/{id}/{what}"), json!({"version": 1})).await;
    assert_eq!(decided.status, 200, "{}", decided.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_at_one_replica_is_pushed_once_at_both() {
    let pair = Pair::start().await;
    let mut sockets = [Socket::subscribed(&pair.one, &[]).await, Socket::subscribed(&pair.other, &[]).await];
    let mut strangers = Socket::subscribed(&pair.other, &[("x-vx11-org", "globex")]).await;
    for (at, then) in [(&pair.one, &pair.other), (&pair.other, &pair.one)] {
        let id = ask(at).await;
        for socket in &mut sockets {
            let new = pushed(socket).await;
            assert_eq!((&new["type"], &new["data"]["request_id"]), (&json!("new_request"), &json!(id)));
            assert_eq!(new["data"]["action"]["args"], json!({"env": "prod"}), "the whole of it");
        }
        decide(then, &id, "approve").await;
        for socket in &mut sockets {
            let changed = pushed(socket).await;
            assert_eq!((&changed["type"], &changed["data"]["request_id"]), (&json!("status_changed"), &json!(id)));
            assert_eq!(
                (&changed["data"]["old_status"], &changed["data"]["new_status"], &changed["data"]["version"]),
                (&json!("PENDING"), &json!("APPROVED"), &json!(2))
            );
            let completed = pushed(socket).await;
            assert_eq!(
                (&completed["type"], &completed["data"]["status"]),
                (&json!("action_completed"), &json!("APPROVED"))
            );
        }
    }
    let theirs = ask_as(&pair.one, "globex", json!({"title": "theirs"})).await;
    assert_eq!(pushed(&mut strangers).await["data"]["request_id"], json!(theirs), "nothing of another organisation");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_one_replica_is_woken_by_a_decision_at_another() {
    let pair = Pair::start().await;
    let id = ask(&pair.one).await;
    let heard = pair.other.metric(HEARD).await;
    let waiting = pair.other.request(Method::GET, &format!("{ALL}/{id}/wait?timeout_seconds=60"));
    let waiting = tokio::spawn(Answer::of(waiting));
    eventually("it waits", async || pair.other.metric("vx11_interventions_waiting").await == 1.0).await;
    decide(&pair.one, &id, "reject").await;
    let waited = waiting.await.expect("it ends");
    assert_eq!((waited.status, &waited["data"]["status"]), (200, &json!("REJECTED")), "{}", waited.body);
    eventually("it was told", async || pair.other.metric(HEARD).await > heard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn units_and_the_trail_are_followed_at_the_other_replica() {
    let pair = Pair::start().await;
    let mut socket = Socket::open(&pair.other, PATH, &[("x-vx11-token", TOKEN)]).await;
    assert_eq!(socket.ask(json!({"type": "subscribe", "topics": ["units"]})).await["success"], true);
    let following = pair.other.request(Method::GET, "/operator/api/events?follow=true");
    let mut stream = Reader::open(following).await;
    let made = pair.one.post("/operator/api/units", json!({"instance_id": "i-1", "title": "Ship it"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let push = pushed(&mut socket).await;
    assert_eq!((&push["type"], &push["data"]["uow_id"]), (&json!("unit_status_changed"), &made["data"]["uow_id"]));
    let rows = async { while stream.next().await.expect("an event").data["uow_id"] != made["data"]["uow_id"] {} };
    tokio::time::timeout(vx11_testing::PATIENCE, rows).await.expect("it is in the trail");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_decisions_go_on_and_with_it_screens_are_told_to_read_again() {
    let mut pair = Pair::start().await;
    let mut socket = Socket::subscribed(&pair.other, &[]).await;
    pair.redis.kill();
    pair.are("degraded").await;
    let id = ask(&pair.one).await;
    decide(&pair.one, &id, "approve").await;
    assert_eq!(pair.one.say("Hello").await.status, 200);
    let waited = pair.other.get(&format!("{ALL}/{id}/wait?timeout_seconds=60")).await;
    assert_eq!(waited.data()["status"], "APPROVED", "the database is the truth");
    eventually("it is counted", async || pair.one.metric(r#"vx11_bus_hints_total{outcome="dropped"}"#).await > 0.0)
        .await;

    pair.redis.come_back();
    pair.are("up").await;
    // Beyond what a screen reads when it is told to, there are pushes again.
    let mut first = socket.next().await;
    assert_eq!(first["type"], "resync");
    while first["type"] == "resync" {
        ask(&pair.one).await;
        first = socket.next().await;
    }
    assert_eq!(first["type"], "new_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_gone_without_a_word_is_missed_and_one_that_stops_is_not() {
    let pair = Pair::start().await;
    let say = |text: Value| pair.redis.command(&["PUBLISH", "vx11:0:operator", &text.to_string()]);
    let mut socket = Socket::subscribed(&pair.other, &[]).await;
    say(json!({"from": "another", "number": 0}));
    assert_eq!(socket.next().await["type"], "resync", "it was heard, and never again");

    let before = ask(&pair.one).await;
    assert_eq!(pushed(&mut socket).await["data"]["request_id"], json!(before));
    let counted = resyncs(&pair.other).await;
    let Pair { one, other, redis } = pair;
    one.begin_shutdown();
    one.stopped().await;
    // By the time that this one is missed, the other one would be.
    redis.command(&["PUBLISH", "vx11:0:operator", &json!({"from": "yet-another", "number": 0}).to_string()]);
    assert_eq!(socket.next().await["type"], "resync");
    assert_eq!(resyncs(&other).await, counted + 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_one_rate_at_all_replicas_and_without_redis_one_at_each() {
    let limit = [("VX11_OPERATOR__CHAT__RATE_LIMIT", "4"), ("VX11_OPERATOR__CHAT__REDIS_TIMEOUT", "5s")];
    let mut pair = Pair::with(&limit).await;
    let say = async |app: &App, session: &str| app.chat(json!({"message": "Hello", "session_id": session})).await;
    for app in [&pair.one, &pair.other, &pair.one, &pair.other] {
        assert_eq!(say(app, "anns").await.status, 200);
    }
    for app in [&pair.one, &pair.other] {
        let refused = say(app, "anns").await;
        assert_eq!((refused.status, refused.code()), (429, "rate_limited"));
        let seconds: u64 = refused.header("retry-after").parse().expect("a number");
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(say(app, "t").await.status, 200, "another session has its own");
    }
    assert!(!pair.redis.command(&["KEYS", "*"]).contains("anns"), "sessions are not named in Redis");
    pair.redis.kill();
    pair.are("degraded").await;
    for app in [&pair.one, &pair.other] {
        // Two of the four were let in here.
        let statuses = [say(app, "anns").await.status, say(app, "anns").await.status, say(app, "anns").await.status];
        assert_eq!(statuses, [200, 200, 429]);
    }
}
