//! `kill -9` of the gateway under load: its ledger has what it said that it has, whole and once, and lacks at most what
//! was asked since.

use futures_util::future::join_all;
use serde_json::{Value, json};
use vx11_tests::{Answer, Caller, launch, send, wait_until};

/// Requests that the ledger tells of before the crash.
const BEFORE: u64 = 200;
/// Requests that the provider has not answered when it comes.
const SLOW: u64 = 50;
/// Requests that it comes in the midst of.
const QUICK: u64 = 200;
/// What each request writes, and what it costs at ten dollars a million.
const TOKENS: u64 = 100;
const PICOS: u64 = 1_000_000_000;
const SECRET: &str = "sk-alice";
const CONFIG: &str = "[switch.prices]
mock = { input = 0, output = 10 }
mock-small = { input = 0, output = 10 }
[switch.keys.alice]
secret_env = \"ALICE\"
org = \"acme\"
requests_per_day = 100000
tokens_per_day = 100000000
budget = { usd = 1000, period = \"total\" }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_of_a_gateway_that_crashed_is_true() {
    let data = tempfile::tempdir().expect("a directory");
    let file = data.path().join("vx11.toml");
    std::fs::write(&file, CONFIG).expect("written");
    let (_mock, provider) = launch("mock-provider", data.path(), &[]).expect("starts");
    let variables =
        [("VX11_CONFIG", file.to_str().expect("UTF-8")), ("ALICE", SECRET), ("VX11_MOCK_PROVIDER_URL", &provider.base)];
    let (switch, gateway) = launch("switch", data.path(), &variables).expect("starts");
    let answered = join_all((0..BEFORE).map(|_| ask(gateway.clone(), "mock"))).await;
    assert!(answered.iter().all(is_served), "{answered:?}");
    wait_until("the ledger has all of them", async || (usage(&gateway, "key").await.0 == BEFORE).then_some(())).await;

    let never = json!({ "model": "mock-small", "plan": "latency=600s" });
    let set = send(provider.request(reqwest::Method::PUT, "/admin/faults").json(&never)).await.expect("an answer");
    assert_eq!(set.status, 200, "{set:?}");
    let mut under_way: Vec<_> = (0..SLOW).map(|_| tokio::spawn(ask(gateway.clone(), "mock-small"))).collect();
    wait_until("the provider has them", async || (asked(&provider).await == BEFORE + SLOW).then_some(())).await;
    under_way.extend((0..QUICK).map(|_| tokio::spawn(ask(gateway.clone(), "mock"))));
    wait_until("half of the others reached it", async || {
        (asked(&provider).await >= BEFORE + SLOW + QUICK / 2).then_some(())
    })
    .await;
    switch.kill9().expect("it ran");
    for request in under_way {
        // An answer may be lost, and so may its row have been.
        let _ = request.await.expect("no panic");
    }
    let answered = asked(&provider).await - SLOW;

    let (_switch, gateway) = launch("switch", data.path(), &variables).expect("starts");
    let by_key = usage(&gateway, "key").await;
    let (requests, tokens, picos) = by_key;
    assert!((BEFORE..=answered).contains(&requests), "{requests} of {answered}; {BEFORE} were there before");
    assert_eq!((tokens, picos), (requests * TOKENS, requests * PICOS), "each row is whole, and there once");
    for group in ["org", "model", "day", &format!("key&{}", span_of_rows(&gateway).await)] {
        assert_eq!(usage(&gateway, group).await, by_key, "by {group}");
    }

    // The counters that were lost are made of the ledger again.
    let answer = ask(gateway.clone(), "mock").await.expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    let left: u64 = answer.header("x-ratelimit-remaining-requests").parse().expect("a number");
    assert_eq!(left, 100_000 - requests - 1);
    wait_until("the ledger goes on", async || (usage(&gateway, "key").await.0 == requests + 1).then_some(())).await;
}

async fn ask(gateway: Caller, model: &str) -> Result<Answer, reqwest::Error> {
    let message = json!({ "role": "user", "content": format!("tokens: {TOKENS}") });
    let body = json!({ "model": model, "messages": [message], "max_tokens": TOKENS });
    let gateway = gateway.with_token(Some(SECRET));
    send(gateway.request(reqwest::Method::POST, "/v1/chat/completions").json(&body)).await
}

fn is_served(answer: &Result<Answer, reqwest::Error>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.status == 200)
}

/// How often the provider was asked.
async fn asked(provider: &Caller) -> u64 {
    provider.get("/admin/requests/count").await.body["count"].as_u64().expect("a number")
}

/// Requests, tokens written and cost of all groups.
async fn usage(gateway: &Caller, group_by: &str) -> (u64, u64, u64) {
    let usage = gateway.get(&format!("/switch/usage?group_by={group_by}")).await;
    let rows = usage.body["rows"].as_array().unwrap_or_else(|| panic!("{}", usage.body));
    let number = |row: &Value, field: &str| row[field].as_u64().expect("a number");
    rows.iter().fold((0, 0, 0), |(requests, tokens, picos), row| {
        let cost: f64 = row["cost_usd"].as_str().and_then(|text| text.parse().ok()).expect("dollars");
        (
            requests + number(row, "requests"),
            tokens + number(row, "completion_tokens"),
            picos + (cost * 1e12).round() as u64,
        )
    })
}

/// All days that the ledger knows, of which there are at most two, but for a millisecond at each end: so that their rows
/// are read, and not their sums.
async fn span_of_rows(gateway: &Caller) -> String {
    let usage = gateway.get("/switch/usage?group_by=day").await;
    let days: Vec<&str> =
        usage.body["rows"].as_array().into_iter().flatten().flat_map(|row| row["group"].as_str()).collect();
    let (first, last) = (days.first().expect("a day"), days.last().expect("a day"));
    format!("from={first}T00:00:00.001Z&to={last}T23:59:59.999Z")
}
