//! Replicas of the gateway with one Redis: a key's limits hold once, whichever replica is asked, and Redis may go and
//! come back.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use vx11_tests::{Answer, Caller, Process, Redis, launch, send, wait_until};

/// What a request of these tests costs, in dollars: a hundred tokens at ten dollars a million.
const COST: f64 = 0.001;

/// Some gateways, their provider and their Redis.
struct Replicas {
    redis: Redis,
    /// The gateways, each with the token.
    gateways: Vec<Caller>,
    provider: Caller,
    _processes: Vec<Process>,
    _data: TempDir,
}

impl Replicas {
    /// Starts `count` of them with keys of these names and limits.
    async fn start(count: usize, keys: &[(&str, &str)]) -> Self {
        let (data, redis) = (TempDir::new().expect("a directory"), Redis::start().await.expect("starts"));
        let file = data.path().join("vx11.toml");
        std::fs::write(&file, config(&redis, keys)).expect("writable");
        let (mock, provider) = launch("mock-provider", data.path(), &[]).expect("starts");
        let mut variables =
            vec![("VX11_CONFIG", file.to_str().expect("text")), ("VX11_MOCK_PROVIDER_URL", provider.base.as_str())];
        // A key's name, which is the variable's too, is its secret.
        variables.extend(keys.iter().map(|(name, _)| (*name, *name)));
        let (mut gateways, mut processes) = (Vec::new(), vec![mock]);
        for number in 0..count {
            let (process, gateway) =
                launch("switch", &data.path().join(number.to_string()), &variables).expect("starts");
            gateways.push(gateway);
            processes.push(process);
        }
        let replicas = Self { redis, gateways, provider, _processes: processes, _data: data };
        replicas.wait_for_limits("up").await;
        replicas
    }

    /// Asks replica `at` with `key` for a hundred tokens, and reserves room for `reserved`.
    async fn ask(&self, at: usize, key: &str, reserved: u64) -> Answer {
        let body = json!({
            "model": "mock",
            "messages": [{ "role": "user", "content": "tokens: 100" }],
            "max_tokens": reserved,
        });
        self.gateways[at].with_token(Some(key)).post("/v1/chat/completions", &body).await
    }

    /// Asks the replicas in turn, all at the same time; answers with how many were let in. The others met a limit.
    async fn crowd(&self, key: &str, size: usize, reserved: u64) -> usize {
        let_in(&join_all((0..size).map(|n| self.ask(n % self.gateways.len(), key, reserved))).await)
    }

    /// Asks replica `at` for a slow stream, and leaves it after the first of it; whether it was let in.
    async fn leave(&self, at: usize, key: &str, reserved: u64) -> bool {
        let body = json!({
            "model": "mock-small",
            "stream": true,
            "messages": [{ "role": "user", "content": "tokens: 100" }],
            "max_tokens": reserved,
        });
        let request = self.gateways[at].with_token(Some(key)).request(Method::POST, "/v1/chat/completions");
        let response = request.json(&body).send().await.expect("an answer");
        let is_let_in = response.status() == 200;
        if is_let_in {
            response.bytes_stream().next().await.expect("a chunk").expect("whole");
        }
        is_let_in
    }

    /// Dollars that all ledgers say `key` has spent, once they tell of `requests`.
    async fn spent(&self, key: &str, requests: usize) -> f64 {
        wait_until("the ledgers are written", async || {
            let (mut told, mut spent) = (0, 0.0);
            for gateway in &self.gateways {
                let usage = gateway.get("/switch/usage?group_by=key").await;
                for row in usage.body["rows"].as_array()?.iter().filter(|row| row["group"] == key) {
                    told += row["requests"].as_u64()?;
                    spent += row["cost_usd"].as_str()?.parse::<f64>().ok()?;
                }
            }
            (told == requests as u64).then_some(spent)
        })
        .await
    }

    /// Waits until Redis has settled that `key` has spent what `requests` cost.
    async fn wait_until_settled(&self, key: &str, requests: usize) {
        self.wait_until_spent(key, requests as f64 * COST).await;
    }

    /// Waits until Redis has settled that `key` has spent so many dollars.
    async fn wait_until_spent(&self, key: &str, dollars: f64) {
        let counter = format!("vx11:{{key:{key}}}:key:{key}:money:total:0");
        let picos = format!("{:.0}", dollars * 1e12);
        wait_until("Redis knows what was spent", async || {
            (self.redis.command(&["GET", &counter]) == picos).then_some(())
        })
        .await;
    }

    /// Waits until all replicas say this of their limits, in `/ready` and in metrics.
    async fn wait_for_limits(&self, status: &str) {
        let gauge = format!("vx11_limits_degraded {}", u8::from(status == "degraded"));
        for gateway in &self.gateways {
            wait_until("the limits' state is told", async || {
                let ready = gateway.get("/ready").await;
                let scrape = gateway.get("/metrics").await;
                let is_told = ready.body["dependencies"]["limits"]["status"] == status
                    && scrape.body.as_str()?.lines().any(|line| line == gauge);
                is_told.then_some(())
            })
            .await;
        }
    }
}

fn config(redis: &Redis, keys: &[(&str, &str)]) -> String {
    let mut text = format!(
        "[switch]\nredis_url = \"{}\"\n# As long as a busy machine needs, or replicas would count alone.\nredis_timeout = \"5s\"\n\
         [switch.prices]\n\"mock*\" = {{ input = 0, output = 10 }}\n",
        redis.url(),
    );
    for (name, limits) in keys {
        writeln!(text, "[switch.keys.{name}]\nsecret_env = \"{name}\"\n{limits}").expect("a string takes all");
    }
    text
}

fn let_in(answers: &[Answer]) -> usize {
    for answer in answers {
        let is_limit = matches!(answer.code(), "rate_limit_exceeded" | "insufficient_quota");
        assert!(answer.status == 200 || (answer.status == 429 && is_limit), "{} {}", answer.status, answer.body);
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

/// Minutes since 1970, as limits count them.
fn minute() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs() / 60
}

#[tokio::test]
async fn two_replicas_enforce_a_limit_a_minute_once() {
    burst(2, 60, 20).await;
}

#[tokio::test]
async fn four_replicas_let_a_hundred_of_a_burst_of_a_thousand_in() {
    burst(4, 1000, 100).await;
}

/// Asks `count` replicas `size` times at once with a key that may ask `limit` times a minute.
async fn burst(count: usize, size: usize, limit: usize) {
    let keys = ["first", "second", "third"];
    let limits = format!("requests_per_minute = {limit}");
    let replicas = Replicas::start(count, &keys.map(|key| (key, limits.as_str()))).await;
    for key in keys {
        let (begun, asked) = (minute(), replicas.provider.get("/admin/requests/count").await);
        let let_in = replicas.crowd(key, size, 100).await;
        // Over the border of two minutes two limits hold: it is done again, with a key that is new.
        if minute() == begun {
            let now = replicas.provider.get("/admin/requests/count").await;
            let asked = now.body["count"].as_u64().zip(asked.body["count"].as_u64()).map(|(now, then)| now - then);
            assert_eq!((let_in, asked), (limit, Some(limit as u64)));
            return;
        }
    }
    panic!("every crowd took until the next minute");
}

#[tokio::test]
async fn two_replicas_spend_a_budget_once() {
    let replicas = Replicas::start(2, &[("saver", "budget = { usd = 0.02, period = \"total\" }")]).await;
    // Each request reserves twice what it spends: some are refused whose money comes back later.
    let mut let_in = replicas.crowd("saver", 40, 200).await;
    assert!((10..=20).contains(&let_in), "{let_in}");
    loop {
        replicas.wait_until_settled("saver", let_in).await;
        match replicas.crowd("saver", 2, 200).await {
            0 => break,
            more => let_in += more,
        }
    }
    let spent = replicas.spent("saver", let_in).await;
    assert!(spent <= 0.02 + 1e-9 && spent > 0.02 - 2.0 * COST + 1e-9, "{let_in} requests, {spent} dollars");
}

#[tokio::test]
async fn four_replicas_spend_a_budget_once_also_where_callers_leave() {
    let replicas = Replicas::start(4, &[("leaver", "budget = { usd = 0.02, period = \"total\" }")]).await;
    let slow = json!({ "model": "mock-small", "plan": "drip=20ms" });
    let set = send(replicas.provider.request(Method::PUT, "/admin/faults").json(&slow)).await.expect("an answer");
    assert_eq!(set.status, 200, "{set:?}");
    let (mut whole, mut left) = (0, 0);
    loop {
        let leaving = join_all((0..8).map(|n| replicas.leave(n % 4, "leaver", 200)));
        let (stayed, leaving) = tokio::join!(replicas.crowd("leaver", 8, 200), leaving);
        let leaving = leaving.into_iter().filter(|is_let_in| *is_let_in).count();
        (whole, left) = (whole + stayed, left + leaving);
        let spent = replicas.spent("leaver", whole + left).await;
        replicas.wait_until_spent("leaver", spent).await;
        assert!(spent <= 0.02 + 1e-9, "{spent} dollars");
        if stayed + leaving == 0 {
            assert!(left > 0 && spent > 0.02 - 2.0 * COST + 1e-9, "{whole} and {left} requests, {spent} dollars");
            return;
        }
    }
}

#[tokio::test]
async fn chat_outlives_redis_and_the_limits_are_whole_again_when_it_is_back() {
    let limits = "budget = { usd = 0.02, period = \"total\" }";
    let mut replicas = Replicas::start(2, &[("steady", limits), ("greedy", limits)]).await;
    assert_eq!(replicas.crowd("steady", 6, 100).await, 6);
    replicas.redis.kill9().expect("it ran");

    // Chat goes on, and each replica has the limits for itself.
    assert_eq!(replicas.crowd("steady", 4, 100).await, 4);
    replicas.wait_for_limits("degraded").await;
    assert_eq!(replicas.crowd("greedy", 80, 100).await, 2 * 20);

    replicas.redis.come_back().await.expect("starts");
    replicas.wait_for_limits("up").await;
    // What was let in meanwhile counts for both.
    replicas.wait_until_settled("greedy", 40).await;
    assert_eq!(replicas.crowd("greedy", 10, 100).await, 0);
    replicas.wait_until_settled("steady", 10).await;
    assert_eq!(replicas.crowd("steady", 40, 100).await, 10);
    let spent = replicas.spent("steady", 20).await;
    assert!((spent - 20.0 * COST).abs() < 1e-9, "{spent}");
}
