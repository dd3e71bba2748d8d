//! Two replicas of every service on one PostgreSQL and one Redis, whose parts fail one after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use vx11_tests::cluster::{Cluster, Order};
use vx11_tests::history::{self, Plan};
use vx11_tests::{Answer, Caller, send, wait_until};

const ALL: &str = "/operator/api/interventions";

async fn cluster(dir: &TempDir) -> Cluster {
    Cluster::start(2, dir.path(), &history::VARIABLES).await.expect("starts")
}

async fn obey(cluster: &mut Cluster, line: &str) {
    cluster.obey(&Order::parse(line).expect(line)).await.expect(line);
}

/// Asks for a decision, with little time for an answer.
async fn ask(edge: &Caller) -> Answer {
    let request = edge.request(Method::POST, ALL).header("x-vx11-deadline-ms", "2000");
    send(request.json(&json!({"title": "May I?"}))).await.expect("an answer")
}

/// Asks until that can be done again.
async fn ask_until_done(edge: &Caller, after: &str) {
    wait_until(&format!("it is well again after `{after}`"), async || (ask(edge).await.status == 201).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_by_name_fails_for_who_depends_on_it_until_it_is_mended() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = cluster(&dir).await;
    let edges = cluster.callers("tentaculo");
    for (broken, status) in [
        ("cut tentaculo-1 operator", 503),
        ("stall tentaculo-1 operator", 504),
        ("stall tentaculo-1 operator back", 504),
    ] {
        obey(&mut cluster, broken).await;
        let answer = ask(&edges[0]).await;
        assert_eq!(answer.status, status, "{broken}: {answer:?}");
        // Nobody else minds.
        ask_until_done(&edges[1], broken).await;
        obey(&mut cluster, "heal").await;
        ask_until_done(&edges[0], broken).await;
    }
    // The edges have another one.
    for (broken, mended) in [
        ("kill operator-1", "start operator-1"),
        ("pause operator-1", "resume operator-1"),
        ("end operator-1", "start operator-1"),
        ("cut operator-1 postgres", "heal operator postgres"),
    ] {
        for line in [broken, mended] {
            obey(&mut cluster, line).await;
            for edge in &edges {
                ask_until_done(edge, line).await;
            }
        }
    }
    // Chat goes on without what all share.
    for (broken, mended) in [
        ("kill postgres", "start postgres"),
        ("pause postgres", "resume postgres"),
        ("cut * postgres", "heal"),
        ("kill redis", "start redis"),
        ("pause redis", "resume redis"),
    ] {
        obey(&mut cluster, broken).await;
        for edge in &edges {
            let answer = edge.chat(&format!("What about {broken}?")).await;
            assert_eq!(answer.status, 200, "{broken}: {answer:?}");
        }
        obey(&mut cluster, mended).await;
        for edge in &edges {
            ask_until_done(edge, mended).await;
        }
    }
}

/// `cluster check` is the same for as long as one likes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_or_doubled_while_parts_fail() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = cluster(&dir).await;
    let plan = Plan { seed: 5, only: "*".to_owned(), blows: 6, time: Duration::ZERO, away: 100..1000, between: 0..1 };
    let report = history::run(&mut cluster, &plan).await.expect("it goes on");
    assert!(report.is_clean(), "{report}");
}

const PILOTS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_pilots_at_two_operators_one_wins() {
    let dir = TempDir::new().expect("a directory");
    let cluster = cluster(&dir).await;
    let operators = cluster.callers("operator");
    let asked = operators[0].post(ALL, &json!({"title": "May I?", "request_id": "race"})).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let decide = async |pilot: usize| {
        let what = ["approve", "reject"][pilot / 2 % 2];
        let body = json!({"version": 1, "reason": format!("pilot {pilot}")});
        operators[pilot % 2].post(&format!("{ALL}/race/{what}"), &body).await
    };
    let answers = join_all((0..PILOTS).map(decide)).await;
    // Who is told that the database is busy knows nothing.
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409 | 503)), "{answers:?}");
    let of_status = |status: u16| answers.iter().filter(move |answer| answer.status == status);
    let won: Vec<String> = of_status(200).map(|answer| answer.body["data"]["decision"].to_string()).collect();
    let lost_to: BTreeSet<String> =
        of_status(409).map(|answer| answer.body["error"]["intervention"]["decision"].to_string()).collect();
    for operator in &operators {
        let kept = operator.get(&format!("{ALL}/race")).await.body["data"]["decision"].clone();
        assert!(kept.is_object() && won.len() <= 1, "{won:?}, {kept}");
        let decision = kept.to_string();
        assert!(won.iter().chain(&lost_to).all(|told| *told == decision), "{won:?}, {lost_to:?}, {kept}");
        let past: Value = operator.get(&format!("{ALL}/history?request_id=race")).await.body["data"].clone();
        assert_eq!(past.as_array().map(Vec::len), Some(1), "{past}");
    }
}
