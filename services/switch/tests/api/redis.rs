//! Several gateways with one Redis, and what becomes of limits when it goes away and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use vx11_testing_servers::Redis;

use crate::app::{Answer, App, eventually};
use crate::fake::{Fake, answer};

/// A replica whose key `alice` has `limits`; `bob` has room for all that is asked.
async fn replica(provider: &Fake, redis: &Redis, limits: &str) -> App {
    replica_at(provider, redis, limits, &[]).await
}

async fn replica_at(provider: &Fake, redis: &Redis, limits: &str, variables: &[(&str, &str)]) -> App {
    let file = NamedTempFile::new().unwrap();
    let text = format!(
        "[switch]\nredis_url = \"{}\"\nredis_timeout = \"5s\"\n[switch.providers.a]\nbase_url = \"{}/v1\"\nmodels = [\"m\"]\n\
         [switch.prices]\nm = {{ input = 0, output = 10 }}\n\
         [switch.keys.bob]\nsecret_env = \"BOB_SECRET\"\nrequests_per_day = 1000\n\
         [switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\n{limits}",
        redis.url(),
        provider.url,
    );
    std::fs::write(file.path(), text).unwrap();
    let variables = [&[("ALICE_SECRET", "sk-alice"), ("BOB_SECRET", "sk-bob")], variables].concat();
    let app = App::start_with(Some(file.path()), &variables).await;
    eventually("Redis is found", async || limits_status(&app).await == "up").await;
    app
}

pub(crate) async fn limits_status(app: &App) -> String {
    status(app, "limits").await
}

/// What `/ready` says of a dependency.
pub(crate) async fn status(app: &App, dependency: &str) -> String {
    let ready: Value = Answer::of(app.get("/ready")).await.json();
    ready["dependencies"][dependency]["status"].as_str().unwrap().to_owned()
}

async fn ask(app: &App, max_tokens: u64) -> Answer {
    ask_as("sk-alice", app, max_tokens).await
}

async fn ask_as(secret: &str, app: &App, max_tokens: u64) -> Answer {
    let body = format!(r#"{{"model":"m","messages":[],"max_tokens":{max_tokens}}}"#);
    Answer::of(app.stranger("/v1/chat/completions").bearer_auth(secret).body(body)).await
}

/// Answers that spend nothing but a hundred tokens written: a thousandth of a dollar.
async fn provider() -> Fake {
    let usage = r#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":0,"completion_tokens":100}}"#;
    Fake::always([answer(200, "", usage)]).await
}

#[tokio::test]
async fn replicas_enforce_a_limit_once() {
    let (fake, redis) = (provider().await, Redis::start());
    let limits = "requests_per_day = 20";
    let replicas = [replica(&fake, &redis, limits).await, replica(&fake, &redis, limits).await];
    let asking = (0..60).map(|n| ask(&replicas[n % 2], 100));
    let statuses: Vec<u16> = futures_util::future::join_all(asking).await.iter().map(|got| got.status).collect();
    let let_in = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((let_in, fake.requests().len()), (20, 20), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 429)), "{statuses:?}");
}

#[tokio::test]
async fn replicas_spend_a_budget_once_and_what_was_not_spent_comes_back() {
    let (fake, redis) = (provider().await, Redis::start());
    // Each request reserves two thousandths and spends one.
    let limits = "budget = { usd = 0.005, period = \"total\" }";
    let replicas = [replica(&fake, &redis, limits).await, replica(&fake, &redis, limits).await];
    for n in 1..=4 {
        assert_eq!(ask(&replicas[n % 2], 200).await.status, 200, "request {n}");
        let spent = (n * 1_000_000_000).to_string();
        let counter = "vx11:{key:alice}:key:alice:money:total:0";
        eventually("it is settled", async || redis.command(&["GET", counter]) == spent).await;
    }
    // At 0.004 the next reservation of 0.002 does not fit, at neither of them.
    for app in &replicas {
        let got = ask(app, 200).await;
        assert_eq!((got.status, got.code()), (429, "insufficient_quota"));
    }
}

#[tokio::test]
async fn without_redis_chat_goes_on_under_local_limits_and_with_it_the_shared_ones_are_whole_again() {
    let (fake, mut redis) = (provider().await, Redis::start());
    let limits = "requests_per_day = 10";
    let (one, other) = (replica(&fake, &redis, limits).await, replica(&fake, &redis, limits).await);
    for _ in 0..3 {
        assert_eq!(ask(&one, 100).await.header("x-ratelimit-limit-requests"), "10");
    }
    redis.kill();
    for left in ["6", "5"] {
        let got = ask(&one, 100).await;
        assert_eq!(
            (got.status, got.header("x-ratelimit-remaining-requests")),
            (200, left),
            "it goes on from what it knew"
        );
    }
    eventually("it is told", async || {
        limits_status(&one).await == "degraded" && limits_status(&other).await == "degraded"
    })
    .await;
    assert_eq!(one.metric("vx11_limits_degraded").await, 1.0);

    redis.come_back();
    eventually("it is over", async || limits_status(&one).await == "up" && limits_status(&other).await == "up").await;
    assert_eq!(one.metric("vx11_limits_degraded").await, 0.0);
    // What was let in meanwhile reaches Redis, and with it the other replica.
    let counter = redis.command(&["KEYS", "vx11:{key:alice}:key:alice:requests:day:*"]);
    eventually("the outage is settled", async || redis.command(&["GET", &counter]) == "5").await;
    assert_eq!(ask(&other, 100).await.header("x-ratelimit-remaining-requests"), "4");
}

#[tokio::test]
async fn a_redis_that_refuses_a_script_is_not_lost_and_does_not_stop_chat() {
    let (fake, redis) = (provider().await, Redis::start());
    let app = replica(&fake, &redis, "budget = { usd = 0.005, period = \"total\" }").await;
    let counter = "vx11:{key:alice}:key:alice:money:total:0";
    redis.command(&["LPUSH", counter, "no number"]);
    // Each request spends a thousandth; the replica counts alone.
    for _ in 0..4 {
        let got = ask(&app, 200).await;
        assert_eq!(got.status, 200, "{}", got.body);
    }
    assert_eq!(ask(&app, 200).await.status, 429);
    assert_eq!(status(&app, "limits").await, "degraded");
    assert_eq!(status(&app, "replicas").await, "up", "what they tell each other is not concerned");
    let failures =
        async |kind: &str| app.metric(&format!(r#"vx11_redis_failures_total{{kind="{kind}",script="reserve"}}"#)).await;
    assert_eq!((failures("refused").await, failures("lost").await), (5.0, 0.0));

    redis.command(&["DEL", counter]);
    eventually("the outage is settled", async || redis.command(&["GET", counter]) == "4000000000").await;
    assert_eq!(ask(&app, 200).await.status, 429, "the budget is as good as spent");
    eventually("it is told", async || limits_status(&app).await == "up").await;
}

/// An address that leads to one Redis, and later to another one, as a name does whose master has failed.
struct Address {
    port: u16,
    leads_to: Arc<AtomicU16>,
}

impl Address {
    async fn of(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, leads_to) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU16::new(redis.port())));
        let target = leads_to.clone();
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let target = target.load(Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut redis = TcpStream::connect(("127.0.0.1", target)).await?;
                    tokio::io::copy_bidirectional(&mut caller, &mut redis).await
                });
            }
        });
        Self { port, leads_to }
    }

    fn lead_to(&self, redis: &Redis) {
        self.leads_to.store(redis.port(), Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_master_that_was_replaced_is_left_for_the_one_that_the_address_leads_to() {
    let (fake, old, new) = (provider().await, Redis::start(), Redis::start());
    let address = Address::of(&old).await;
    let url = format!("redis://127.0.0.1:{}", address.port);
    let app = replica_at(&fake, &old, "requests_per_day = 1000", &[("VX11_SWITCH__REDIS_URL", &url)]).await;
    assert_eq!(ask(&app, 100).await.header("x-ratelimit-remaining-requests"), "999");
    settled(&old, &app, 1).await;
    old.command(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    address.lead_to(&new);
    // The connection to the old one is as good as ever.
    assert_eq!(ask(&app, 100).await.header("x-ratelimit-remaining-requests"), "998");
    eventually("the new one counts", async || {
        let counter = new.command(&["KEYS", "vx11:{key:alice}:key:alice:requests:day:*"]);
        !counter.is_empty() && limits_status(&app).await == "up"
    })
    .await;
    assert_eq!(ask(&app, 100).await.header("x-ratelimit-remaining-requests"), "997", "nothing is forgotten");
}

#[tokio::test]
async fn a_counter_that_is_broken_keeps_the_others_from_being_counted_twice() {
    let (fake, redis) = (provider().await, Redis::start());
    let limits = "tokens_per_day = 100000\nbudget = { usd = 1, period = \"total\" }";
    let app = replica(&fake, &redis, limits).await;
    assert_eq!(ask(&app, 100).await.status, 200);
    settled(&redis, &app, 1).await;
    let tokens = redis.command(&["KEYS", "vx11:{key:alice}:key:alice:tokens:day:*"]);
    let money = "vx11:{key:alice}:key:alice:money:total:0";
    for absurd in ["9223372036854775807", "no number"] {
        redis.command(&["SET", money, absurd]);
        let before = app.metric(r#"vx11_redis_failures_total{kind="refused",script="settle"}"#).await;
        assert_eq!(ask(&app, 100).await.status, 200);
        eventually("it was told again and again", async || {
            app.metric(r#"vx11_redis_failures_total{kind="refused",script="settle"}"#).await >= before + 3.0
        })
        .await;
        assert_eq!(redis.command(&["GET", &tokens]), "100", "{absurd}");
    }
    redis.command(&["SET", money, "1000000000"]);
    eventually("all is settled", async || redis.command(&["GET", &tokens]) == "300").await;
}

#[tokio::test]
async fn an_absurd_number_of_a_provider_ends_neither_counters_nor_ledger() {
    let usage = r#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":0,"completion_tokens":9223372036854775807}}"#;
    let (fake, redis) = (Fake::always([answer(200, "", usage)]).await, Redis::start());
    let app = replica(&fake, &redis, "budget = { usd = 1000000, period = \"total\" }").await;
    for _ in 0..3 {
        assert_eq!(ask(&app, 100).await.status, 200);
    }
    settled(&redis, &app, 3).await;
    assert_eq!(limits_status(&app).await, "up");
    let usage = async || Answer::of(app.get("/switch/usage?group_by=key")).await;
    eventually("the ledger has it", async || usage().await.json()["rows"][0]["requests"] == 3).await;
    let completion = usage().await.json()["rows"][0]["completion_tokens"].as_u64().unwrap();
    assert!((1..1 << 40).contains(&completion), "{completion}");
}

#[tokio::test]
async fn what_a_replica_held_that_died_comes_back_by_itself() {
    let (fake, redis) = (provider().await, Redis::start());
    let app = replica(&fake, &redis, "tokens_per_day = 1000").await;
    assert_eq!(ask(&app, 100).await.status, 200);
    let counter = redis.command(&["KEYS", "vx11:{key:alice}:key:alice:tokens:day:*"]);
    // As it stands after a replica has reserved 900 tokens and died, once the reservation's time is over.
    redis.command(&["INCRBY", &counter, "900"]);
    redis.command(&["HSET", "vx11:{key:alice}:held", "dead", &format!("{counter} 900")]);
    redis.command(&["ZADD", "vx11:{key:alice}:ends", "1", "dead"]);
    let got = ask(&app, 500).await;
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(redis.command(&["HEXISTS", "vx11:{key:alice}:held", "dead"]), "0");
}

/// Waits until Redis has settled `count` requests of `alice`'s, as long as it remembers them, and `app` has heard so.
/// What ends later is settled after it has: so a request of somebody else's is settled, too.
async fn settled(redis: &Redis, app: &App, count: usize) {
    let of = |key: &str| {
        let held = redis.command(&["HVALS", &format!("vx11:{{key:{key}}}:held")]);
        held.lines().filter(|line| *line == "settled").count()
    };
    eventually("all is settled", async || of("alice") == count).await;
    let before = of("bob");
    assert_eq!(ask_as("sk-bob", app, 100).await.status, 200);
    eventually("what came after is, too", async || of("bob") == before + 1).await;
}

#[tokio::test]
async fn a_redis_that_has_lost_everything_learns_it_again_from_whoever_knows_most() {
    let (fake, redis) = (provider().await, Redis::start());
    let limits = "requests_per_day = 20\nbudget = { usd = 0.01, period = \"total\" }";
    let (one, other) = (replica(&fake, &redis, limits).await, replica(&fake, &redis, limits).await);
    assert_eq!(ask(&one, 100).await.header("x-ratelimit-remaining-requests"), "19");
    // What Redis answers to its settlement is all that it hears.
    settled(&redis, &one, 1).await;
    for _ in 0..5 {
        ask(&other, 100).await;
    }
    settled(&redis, &other, 6).await;
    redis.command(&["FLUSHALL"]);
    let left = async |app: &App| ask(app, 100).await.header("x-ratelimit-remaining-requests").to_owned();
    assert_eq!(left(&one).await, "18", "it had heard of its own request alone");
    assert_eq!(left(&other).await, "13", "six, and this one");
    assert_eq!(left(&one).await, "12", "within one life of Redis nobody says so twice");
    let ttl = redis.command(&["KEYS", "vx11:{key:alice}:key:alice:requests:day:*"]);
    assert!(redis.command(&["PTTL", &ttl]).parse::<i64>().unwrap() > 0, "it does not stay for ever");
    // What the first one let in before the other one came is taken for a part of what that one knows.
    let counter = "vx11:{key:alice}:key:alice:money:total:0";
    eventually("it is settled", async || redis.command(&["GET", counter]) == "8000000000").await;
}

#[tokio::test]
async fn a_redis_that_comes_back_with_older_data_is_believed() {
    let (fake, mut redis) = (provider().await, Redis::start());
    let app = replica(&fake, &redis, "requests_per_day = 20").await;
    for _ in 0..6 {
        ask(&app, 100).await;
    }
    settled(&redis, &app, 6).await;
    // As it was in a snapshot.
    let counter = redis.command(&["KEYS", "vx11:{key:alice}:key:alice:requests:day:*"]);
    redis.command(&["SET", &counter, "3"]);
    redis.command(&["HSET", "vx11:{key:alice}:state", "turn", "1"]);
    redis.kill();
    eventually("it is missed", async || limits_status(&app).await != "up").await;
    redis.come_back();
    eventually("it is found", async || limits_status(&app).await == "up").await;
    assert_eq!(ask(&app, 100).await.header("x-ratelimit-remaining-requests"), "16", "three, and this one");
}

#[tokio::test]
async fn what_was_let_in_without_redis_counts_once_in_one_that_comes_back_empty() {
    let (fake, mut redis) = (provider().await, Redis::start());
    let app = replica(&fake, &redis, "budget = { usd = 0.006, period = \"total\" }").await;
    for _ in 0..2 {
        assert_eq!(ask(&app, 200).await.status, 200);
    }
    settled(&redis, &app, 2).await;
    redis.kill();
    for _ in 0..2 {
        assert_eq!(ask(&app, 200).await.status, 200);
    }
    redis.come_back_empty();
    eventually("it is over", async || limits_status(&app).await == "up").await;
    let counter = "vx11:{key:alice}:key:alice:money:total:0";
    eventually("the outage is settled", async || redis.command(&["GET", counter]) == "4000000000").await;
    assert_eq!(ask(&app, 200).await.status, 200, "four thousandths and two");
    eventually("it is settled", async || redis.command(&["GET", counter]) == "5000000000").await;
    assert_eq!(ask(&app, 200).await.code(), "insufficient_quota");
}

#[tokio::test]
async fn a_redis_that_is_configured_later_knows_what_the_ledger_does() {
    let (fake, redis) = (provider().await, Redis::start());
    let data = tempfile::tempdir().unwrap();
    let home = [("VX11_DATA_DIR", data.path().to_str().unwrap())];
    let limits = "requests_per_day = 10";
    let before = replica_at(&fake, &redis, limits, &home).await;
    for _ in 0..3 {
        ask(&before, 100).await;
    }
    before.stop().await;
    redis.command(&["FLUSHALL"]);
    let after = replica_at(&fake, &redis, limits, &home).await;
    assert_eq!(ask(&after, 100).await.header("x-ratelimit-remaining-requests"), "6");
}
