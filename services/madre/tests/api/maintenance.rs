//! Upkeep of the stores, with and without the other services.

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::fixture::{Home, TOKEN, read_json};

const POST_TASK: &str = "/madre/power/maintenance/post_task";
const FILES: [&str; 7] = ["integrity", "retention", "backup_rotation", "schema", "counts", "scorecard", "summary"];

/// Another service that answers the same, and remembers what it was asked.
struct FakeService {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl FakeService {
    fn start(status: u16, answer: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let log = asked.clone();
        let server = HttpServer::new(move || {
            let (log, answer) = (log.clone(), answer.clone());
            let handler = move |request: actix_web::HttpRequest, body: web::Json<Value>| {
                let (log, answer) = (log.clone(), answer.clone());
                async move {
                    assert_eq!(request.headers().get("x-vx11-token").expect("a token"), TOKEN);
                    log.lock().expect("no panic").push(body.into_inner());
                    let status = actix_web::http::StatusCode::from_u16(status).expect("a status");
                    HttpResponse::build(status).json(answer)
                }
            };
            let at = |path| web::resource(path).route(web::post().to(handler.clone()));
            App::new().service(at("/operator/api/maintenance")).service(at("/switch/maintenance"))
        });
        let server = server.workers(1).disable_signals().listen(listener).expect("a server").run();
        tokio::spawn(server);
        Self { url, asked }
    }

    /// One whose store is well, and has so many rows that are too old.
    fn healthy(overdue: u64) -> Self {
        Self::start(
            200,
            json!({
                "size_bytes": 2_097_152,
                "integrity": { "state": "ok", "messages": [] },
                "retention": { "applied": false, "tables": [{ "table": "performance_logs", "days": 30, "cutoff": "x", "rows": overdue }] },
                "backup_rotation": { "created": { "path": "/b", "bytes": 1, "created_at": "x" }, "kept": [], "removed": [] },
                "counts": { "turns": 10 },
                "schema": [],
            }),
        )
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn evidence_matches(report: &Value) {
    let out_dir = Path::new(report["out_dir"].as_str().expect("a path"));
    assert!(out_dir.is_absolute(), "{}", out_dir.display());
    for name in FILES {
        let evidence = read_json(&out_dir.join(format!("{name}.json")));
        match name {
            "summary" => assert_eq!(&evidence, report),
            "schema" => assert!(evidence["madre"].is_array()),
            part => assert_eq!(evidence, report[part], "{part}"),
        }
    }
}

#[tokio::test]
async fn every_store_is_checked_counted_and_backed_up_and_the_evidence_matches() {
    let (operator, switch) = (FakeService::healthy(5), FakeService::healthy(0));
    let home = Home::new().with("VX11_OPERATOR_URL", &operator.url).with("VX11_SWITCH_URL", &switch.url);
    let madre = home.start().await;
    madre.waiting("delete the logs").await;

    let answer = madre.post(POST_TASK, json!({ "reason": "after a deploy" })).await;
    let report = answer.json();
    assert_eq!((answer.status, &report["status"]), (200, &json!("ok")), "{report}");
    assert_eq!((&report["reason"], &report["apply_retention"]), (&json!("after a deploy"), &json!(false)));
    assert_eq!(report["counts"]["madre"]["plans"], 1);
    assert_eq!(
        (&report["counts"]["operator"]["turns"], &report["counts"]["switch"]["turns"]),
        (&json!(10), &json!(10))
    );
    assert_eq!(report["integrity"]["madre"]["state"], "ok");
    assert!(report["db_size_mb"].as_f64() > Some(4.0));
    let backup = report["backup_rotation"]["madre"]["created"]["path"].as_str().expect("a path");
    assert!(Path::new(backup).exists());
    assert_eq!((&report["scorecard"]["score"], &report["scorecard"]["verdict"]), (&json!(95), &json!("healthy")));
    assert_eq!(report["scorecard"]["reasons"][0]["why"], "5 rows are past their retention");
    evidence_matches(&report);
    assert_eq!(report["scorecard"]["stores_reported"], 3);
    for service in [&operator, &switch] {
        assert_eq!(service.asked(), [json!({ "apply": false, "reason": "after a deploy" })]);
    }

    madre.written().await;
    let trail = madre.get(&format!("/madre/audit/{}", answer.header("x-correlation-id"))).await.json();
    assert_eq!(trail["actions"][0]["action"], "post_task");
}

#[tokio::test]
async fn without_another_service_the_rest_is_done_and_the_gap_is_named() {
    let well = FakeService::healthy(0);
    let failing = FakeService::start(503, json!({ "ok": false }));
    let off_schema = FakeService::start(200, json!({ "integrity": "fine" }));
    let services = [("operator", "VX11_OPERATOR_URL"), ("switch", "VX11_SWITCH_URL")];
    let faults = [
        ("http://127.0.0.1:9/", "cannot connect"),
        (failing.url.as_str(), "answered 503"),
        (off_schema.url.as_str(), "answered off its schema"),
    ];
    for ((service, variable), (url, why)) in services.iter().flat_map(|service| faults.map(|fault| (*service, fault))) {
        let home = services.iter().fold(Home::new(), |home, (_, other)| home.with(other, &well.url));
        let home = home.with(variable, url);
        let madre = home.start().await;
        let answer = madre.post(POST_TASK, json!({})).await;
        assert_eq!((answer.status, &answer["status"]), (200, &json!("partial")), "{url}");
        for part in ["integrity", "retention", "backup_rotation", "counts"] {
            assert_eq!(answer[part][service]["status"], "error", "{part}");
            let error = answer[part][service]["error"].as_str().expect("a text");
            assert!(error.starts_with(&format!("{service} {why}")), "{error}");
        }
        assert_eq!(answer["integrity"]["madre"]["state"], "ok");
        assert_eq!(answer["scorecard"]["score"], 60);
        evidence_matches(&answer.json());
    }
}

const OLD_ROWS: &str = "INSERT INTO copilot_actions_log (timestamp, source, correlation_id, action, action_type, status, mode)
    SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || column1 || ' days'), 'madre', 'c', 'chat', 'chat', 'ok', 'normal'
    FROM (VALUES (1), (10), (20), (40), (50))";

#[tokio::test]
async fn retention_counts_until_it_is_applied() {
    let home = Home::new();
    let madre = home.start().await;
    home.stranger().batch_execute(OLD_ROWS).expect("rows");

    let planned = madre.post(POST_TASK, json!({})).await.json();
    assert_eq!(planned["retention"]["madre"]["tables"][0]["rows"], 2);
    assert_eq!(planned["counts"]["madre"]["copilot_actions_log"], 5);
    madre.written().await;
    let applied = madre.post(POST_TASK, json!({ "apply": true })).await.json();
    assert_eq!(applied["apply_retention"], true);
    assert_eq!(applied["retention"]["madre"]["tables"][0]["rows"], 2);
    // The three younger ones, and the row of the run before.
    assert_eq!(applied["counts"]["madre"]["copilot_actions_log"], 4);
    evidence_matches(&applied);
}

#[tokio::test]
async fn low_power_and_configuration_shorten_what_is_kept() {
    let operator = FakeService::healthy(5);
    let home = Home::new().with("VX11_OPERATOR_URL", &operator.url).with("VX11_MADRE__POWER_MODE", "low_power");
    let madre = home.start().await;
    let report = madre.post(POST_TASK, json!({})).await.json();
    assert_eq!(report["retention"]["madre"]["tables"][0]["days"], 7);
    assert_eq!(report["retention"]["madre"]["tables"][1]["days"], 90);
    assert_eq!(operator.asked()[0]["log_days"], 7);

    let home = Home::new().with("VX11_RETENTION_COPILOT_ACTIONS_LOG_DAYS", "3");
    let report = home.start().await.post(POST_TASK, json!({})).await.json();
    assert_eq!(report["retention"]["madre"]["tables"][0]["days"], 3);
}

#[tokio::test]
async fn one_run_at_a_time() {
    let home = Home::new();
    let madre = Arc::new(home.start().await);
    let race = (0..8).map(|_| {
        let madre = madre.clone();
        tokio::spawn(async move { madre.post(POST_TASK, json!({})).await })
    });
    let mut ran = 0;
    for racer in race.collect::<Vec<_>>() {
        let answer = racer.await.expect("an answer");
        assert!(answer.status == 200 || (answer.status, answer.code()) == (409, "conflict"), "{answer:?}");
        ran += usize::from(answer.status == 200);
    }
    assert!(ran >= 1);
    assert_eq!(madre.post(POST_TASK, json!({})).await.status, 200, "the turn is given back");
}

#[tokio::test]
async fn evidence_that_cannot_be_written_is_reported_and_fails_nothing() {
    let home = Home::new();
    let madre = home.start().await;
    std::fs::create_dir_all(home.data_dir().join("madre")).expect("a directory");
    std::fs::write(home.data_dir().join("madre/evidence"), "in the way").expect("a file");
    let answer = madre.post(POST_TASK, json!({})).await;
    assert_eq!((answer.status, &answer["status"], &answer["out_dir"]), (200, &json!("partial"), &json!("")));
    assert!(answer["scorecard"]["evidence"].is_string());
    assert_eq!(answer["integrity"]["madre"]["state"], "ok");
}

#[tokio::test]
async fn fields_that_make_no_sense_are_refused() {
    let madre = Home::new().start().await;
    for body in [json!({ "log_days": 0 }), json!({ "aply": true }), json!({ "reason": "x".repeat(501) })] {
        assert_eq!(madre.post(POST_TASK, body.clone()).await.status, 422, "{body}");
    }
}
