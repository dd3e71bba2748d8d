//! Interventions as agents and pilots meet them, over HTTP.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use vx11_testing_servers::Postgres;

use crate::app::{Answer, App, eventually};

const ALL: &str = "/operator/api/interventions";

/// A request to deploy, which may be decided in every way.
fn deploy() -> Value {
    json!({
        "title": "Deploy to production?",
        "action": {"name": "deploy", "args": {"env": "prod", "replicas": 3}},
        "allow": ["approve", "reject", "edit", "respond"],
    })
}

/// Asks, and returns the request as it is made.
async fn ask(app: &App, body: Value) -> Value {
    let answer = app.post(ALL, body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer["data"].clone()
}

fn path(request: &Value, rest: &str) -> String {
    format!("{ALL}/{}{rest}", request["request_id"].as_str().expect("an id"))
}

async fn act(app: &App, request: &Value, what: &str, body: Value) -> Answer {
    app.post(&path(request, &format!("/{what}")), body).await
}

/// As [`App::post`], for another organisation.
async fn post_of(app: &App, org: &str, path: &str, body: Value) -> Answer {
    Answer::of(app.request(Method::POST, path).header("x-vx11-org", org).json(&body)).await
}

#[tokio::test]
async fn who_waits_hears_of_the_decision_and_takes_it_once() {
    let app = App::start().await;
    let asked = ask(&app, deploy()).await;
    assert_eq!(
        (&asked["status"], &asked["version"], &asked["org_id"]),
        (&json!("PENDING"), &json!(1), &json!("default"))
    );
    let wait_path = path(&asked, "/wait?timeout_seconds=30");
    let waiting = app.get(&wait_path);
    let deciding = async {
        let edit = json!({"version": 1, "args_digest": asked["action"]["args_digest"], "args": {"env": "staging"}});
        act(&app, &asked, "edit", edit).await
    };
    let (waited, decided) = tokio::join!(waiting, deciding);
    assert_eq!((&waited.data()["status"], &waited["data"]["version"]), (&json!("APPROVED"), &json!(2)));
    assert_eq!(decided.data()["decision"]["args"], json!({"env": "staging"}));
    let digest = &waited["data"]["decision"]["args_digest"];
    let stale = act(&app, &asked, "redeem", json!({"args_digest": asked["action"]["args_digest"]})).await;
    assert_eq!((stale.status, stale.code()), (409, "conflict"));
    assert_eq!(act(&app, &asked, "redeem", json!({"args_digest": digest})).await.data()["status"], "COMPLETED");
    assert_eq!(act(&app, &asked, "redeem", json!({"args_digest": digest})).await.status, 409);
    let history = app.get(&format!("{ALL}/history?request_id={}", asked["request_id"].as_str().expect("an id"))).await;
    assert_eq!(history.data().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn two_hundred_pilots_decide_and_one_wins() {
    let app = App::start().await;
    let asked = ask(&app, deploy()).await;
    let approve = path(&asked, "/approve");
    let answers = (0..200).map(|_| app.post(&approve, json!({"version": 1})));
    let answers = futures_util::future::join_all(answers).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    let lost: Vec<_> = answers.iter().filter(|answer| answer.status == 409).collect();
    assert_eq!((won.len(), lost.len()), (1, 199));
    let decision = &won[0]["data"]["decision"];
    assert!(lost.iter().all(|answer| answer["error"]["intervention"]["decision"] == *decision));
    assert_eq!(app.get(&format!("{ALL}/history")).await.data().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_decision_is_bound_to_what_was_seen() {
    let app = App::start().await;
    let asked = ask(&app, deploy()).await;
    let claimed = act(&app, &asked, "claim", json!({"seconds": 60})).await;
    assert_eq!((&claimed.data()["status"], &claimed["data"]["version"]), (&json!("IN_PROGRESS"), &json!(2)));
    for (body, status) in [
        (json!({"version": 1}), 409),
        (json!({"version": 2, "args_digest": "0".repeat(64)}), 409),
        (json!({"version": 2, "reason": "x".repeat(1001)}), 422),
        (json!({"version": "2"}), 422),
        (json!({}), 422),
        (json!({"version": 2, "by": "somebody else"}), 422),
    ] {
        let refused = act(&app, &asked, "approve", body.clone()).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.body);
    }
    assert_eq!(act(&app, &asked, "release", json!({})).await.data()["status"], "PENDING");
    assert_eq!(act(&app, &asked, "approve", json!({"version": 3})).await.data()["status"], "APPROVED");
}

#[tokio::test]
async fn langchains_requests_are_answered_in_kind() {
    let app = App::start().await;
    let interrupt = json!([{
        "action_request": {"action": "send_mail", "args": {"to": "all@example.org"}},
        "config": {"allow_accept": true, "allow_edit": true, "allow_respond": true, "allow_ignore": true},
        "description": "To everybody?",
    }]);
    for (decision, body, answer) in [
        ("approve", json!({"version": 1}), json!("accept")),
        ("edit", json!({"version": 1, "args": {"to": "one@example.org"}}), json!("edit")),
        ("respond", json!({"version": 1, "text": "ask legal first"}), json!("response")),
        ("reject", json!({"version": 1}), json!("ignore")),
    ] {
        let asked = ask(&app, interrupt.clone()).await;
        assert_eq!(act(&app, &asked, decision, body).await.status, 200);
        let waited = app.get(&path(&asked, "/wait")).await;
        assert_eq!(waited.data()[0]["type"], answer, "{}", waited.body);
        if decision == "edit" {
            let args = json!({"action": "send_mail", "args": {"to": "one@example.org"}});
            assert_eq!(waited["data"][0]["args"], args);
        }
    }
}

#[tokio::test]
async fn asking_twice_with_a_key_is_asking_once() {
    let app = App::start().await;
    let send = |body: Value| {
        let request = app.request(Method::POST, ALL).header("idempotency-key", "k-1").json(&body);
        Answer::of(request)
    };
    let (first, again) = (send(deploy()).await, send(deploy()).await);
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first["data"]["request_id"], again["data"]["request_id"]);
    assert_eq!(app.get(first.header("location")).await.data(), &first["data"]);
    let other = send(json!({"title": "Something else?"})).await;
    assert_eq!((other.status, other.code()), (409, "conflict"));
    let named = json!({"title": "t", "request_id": "deploy:1"});
    assert_eq!(app.post(ALL, named.clone()).await.status, 201);
    assert_eq!(app.post(ALL, named).await.status, 409);
    assert_eq!(app.get(&format!("{ALL}/metrics")).await.data()["total_interventions"], 2);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_field() {
    let app = App::start().await;
    for (body, field) in [
        (json!({}), "title"),
        (json!({"title": ""}), "title"),
        (json!({"title": "a\u{0}b"}), "title"),
        (json!({"title": "t", "assigned_to": "a\u{0}b"}), "assigned_to"),
        (json!({"title": "t", "priority": "urgent"}), "priority"),
        (json!({"title": "t", "intervention_type": "Not A Type"}), "intervention_type"),
        (json!({"title": "t", "allow": ["edit"]}), "allow"),
        (json!({"title": "t", "expires_in_seconds": 1e18 as u64}), "expires_in_seconds"),
        (json!({"title": "t", "tilte": "t"}), "tilte"),
    ] {
        let refused = app.post(ALL, body.clone()).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.body);
        assert_eq!(refused.field(), field, "{body}: {}", refused.body);
    }
    assert_eq!(Answer::of(app.request(Method::POST, ALL).body("{")).await.status, 400);
    let long_key = app.request(Method::POST, ALL).header("idempotency-key", "k".repeat(256)).json(&deploy());
    assert_eq!(Answer::of(long_key).await.status, 400);
    for query in ["limit=0", "limit=501", "offset=10001", "cursor=nonsense", "status=DONE", "colour=red"] {
        assert_eq!(app.get(&format!("{ALL}?{query}")).await.status, 422, "{query}");
    }
    for rest in ["", "/wait"] {
        assert_eq!(app.get(&format!("{ALL}/nobody{rest}")).await.status, 404);
    }
    assert_eq!(app.get(&format!("{ALL}/x/wait?timeout_seconds=301")).await.status, 422);
    assert_eq!(app.get(&format!("{ALL}/%00")).await.status, 404);
}

#[tokio::test]
async fn nobody_meets_another_organisations_requests() {
    let app = App::start().await;
    let asked = ask(&app, deploy()).await;
    let globex = |path: String| Answer::of(app.request(Method::GET, &path).header("x-vx11-org", "globex"));
    for rest in ["", "/wait?timeout_seconds=0"] {
        assert_eq!(globex(path(&asked, rest)).await.status, 404);
    }
    for what in ["claim", "release", "approve", "reject", "edit", "respond", "cancel", "complete", "redeem"] {
        let body = json!({"version": 1, "args": {}, "text": "t"});
        let body = match what {
            "approve" | "reject" => json!({"version": 1}),
            "edit" => json!({"version": 1, "args": {}}),
            "respond" => json!({"version": 1, "text": "t"}),
            "claim" | "release" | "cancel" | "complete" | "redeem" => json!({}),
            _ => body,
        };
        let foreign = post_of(&app, "globex", &path(&asked, &format!("/{what}")), body).await;
        assert_eq!(foreign.status, 404, "{what}: {}", foreign.body);
    }
    assert_eq!(globex(ALL.to_owned()).await.data()["items"], json!([]));
    assert_eq!(globex(format!("{ALL}/metrics")).await.data()["total_interventions"], 0);
    assert_eq!(globex(format!("{ALL}/history")).await.data(), &json!([]));
    assert_eq!(app.get(&path(&asked, "")).await.data()["version"], 1);
}

#[tokio::test]
async fn a_list_is_paged_and_what_has_expired_is_not_in_it() {
    let app = App::start().await;
    for number in 0..5 {
        let priority = ["low", "critical"][number % 2];
        ask(&app, json!({"title": format!("t{number}"), "priority": priority})).await;
    }
    let expired = ask(&app, json!({"title": "too late", "expires_in_seconds": -1})).await;
    assert_eq!(expired["status"], "EXPIRED");
    let (mut seen, mut next) = (Vec::new(), Some(String::new()));
    while let Some(cursor) = next {
        let cursor = if cursor.is_empty() { cursor } else { format!("&cursor={cursor}") };
        let page = app.get(&format!("/api/interventions?limit=2{cursor}")).await;
        let items = page.data()["items"].as_array().expect("items").clone();
        seen.extend(items.iter().map(|item| item["priority"].as_str().expect("a priority").to_owned()));
        next = page["data"]["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, ["critical", "critical", "low", "low", "low"]);
    let late = act(&app, &expired, "approve", json!({"version": 2})).await;
    assert_eq!((late.status, &late["error"]["intervention"]["status"]), (409, &json!("EXPIRED")));
}

#[tokio::test]
async fn an_organisation_has_so_many_waits_and_no_more() {
    let app = App::with(&[("VX11_OPERATOR__INTERVENTIONS__MAX_WAITS_PER_ORG", "1")]).await;
    let asked = ask(&app, deploy()).await;
    let wait_path = path(&asked, "/wait?timeout_seconds=300");
    let request = app.request(Method::GET, &wait_path);
    let waiting = tokio::spawn(async move { Answer::of(request).await });
    eventually("it waits", async || app.metric("vx11_interventions_waiting").await == 1.0).await;
    let refused = app.get(&wait_path).await;
    assert_eq!((refused.status, refused.code(), refused.header("retry-after")), (429, "rate_limited", "5"));
    assert_eq!(act(&app, &asked, "approve", json!({"version": 1})).await.status, 200);
    assert_eq!(waiting.await.expect("it ends").data()["status"], "APPROVED");
    assert_eq!(app.get(&wait_path).await.status, 200, "there is room again");
}

#[tokio::test]
async fn who_waits_is_answered_before_the_deadline_that_came_along() {
    let app = App::start().await;
    let asked = ask(&app, deploy()).await;
    let request = app.request(Method::GET, &path(&asked, "/wait?timeout_seconds=300"));
    let waited = Answer::of(request.header("x-vx11-deadline-ms", "300")).await;
    assert_eq!((waited.status, &waited.data()["status"]), (200, &json!("PENDING")));
}

#[tokio::test]
async fn whoever_waits_is_answered_when_the_service_stops() {
    let app = App::start().await;
    let asked = ask(&app, deploy()).await;
    let wait_path = path(&asked, "/wait?timeout_seconds=300");
    let request = app.request(Method::GET, &wait_path);
    let waiting = tokio::spawn(async move { Answer::of(request).await });
    eventually("it waits", async || app.metric("vx11_interventions_waiting").await == 1.0).await;
    app.begin_shutdown();
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time").expect("it ends");
    assert_eq!(waited.data()["status"], "PENDING");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_with_one_database_decide_once_and_tell_each_others_waiters() {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().new_database()).await.expect("a URL");
    let variables = [("VX11_DATABASE_URL", url.as_str())];
    let (one, other) = (App::with(&variables).await, App::with(&variables).await);
    let asked = ask(&one, deploy()).await;
    let wait_path = path(&asked, "/wait?timeout_seconds=60");
    let approve = path(&asked, "/approve");
    let decide = |app: &App| {
        let request = app.request(Method::POST, &approve).json(&json!({"version": 1}));
        Answer::of(request)
    };
    let deciding = async { futures_util::future::join_all((0..20).flat_map(|_| [decide(&one), decide(&other)])).await };
    let (waited, answers) = tokio::join!(one.get(&wait_path), deciding);
    assert_eq!(waited.data()["status"], "APPROVED");
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 39);
    assert_eq!(other.get(&format!("{ALL}/history")).await.data().as_array().map(Vec::len), Some(1));
    let other_one = ask(&one, deploy()).await;
    let unfit = act(&one, &other_one, "reject", json!({"version": 1, "reason": "\0"})).await;
    assert_eq!((unfit.status, unfit.code()), (422, "invalid_field"), "PostgreSQL keeps no such text");
    assert_eq!(one.get(&format!("{ALL}/a%00/wait")).await.status, 404);
    assert_eq!(one.get(&format!("{ALL}?pilot_id=%00")).await.field(), "pilot_id");
    assert!(!one.get("/operator/api/config").await.body.contains(&url), "the URL may hold a password");
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_says_where_postgres_holds_nobody_back() {
    for (role, status) in [("postgres@", "degraded"), ("vx11@", "up")] {
        let url = tokio::task::spawn_blocking(|| Postgres::shared().new_database()).await.expect("a URL");
        let url = url.replace("vx11@", role);
        let app = App::with(&[("VX11_DATABASE_URL", &*url)]).await;
        let ready = Answer::of(app.anyone(Method::GET, "/ready")).await;
        assert_eq!(ready["dependencies"]["interventions"]["status"], status, "{}", ready.body);
    }
}

#[tokio::test]
async fn chat_goes_on_while_the_database_of_interventions_is_away() {
    let app = App::with(&[("VX11_DATABASE_URL", "postgres://me:s3cret@127.0.0.1:1/vx11?sslmode=disable")]).await;
    eventually("it is known", async || {
        let ready = Answer::of(app.anyone(Method::GET, "/ready")).await;
        ready.status == 200 && ready.body.contains("nothing is asked and decided meanwhile")
    })
    .await;
    assert_eq!(app.say("Hello").await.status, 200);
    let refused = app.post(ALL, deploy()).await;
    assert_eq!((refused.status, refused.code()), (503, "store_unavailable"));
    assert!(!refused.body.contains("s3cret"));
}
