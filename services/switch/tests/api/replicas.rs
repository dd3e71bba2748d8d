//! What replicas with one Redis know together: whose breakers are open, who probes, and which keys are refused.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::NamedTempFile;
use vx11_testing::gate;
use vx11_testing_servers::Redis;

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, completion, error};
use crate::redis::{limits_status, status};

/// Variables of provider `a`.
const THRESHOLD: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__BREAKER__FAILURE_THRESHOLD", "2");
const OPEN_FOR: &str = "VX11_SWITCH__PROVIDERS__A__BREAKER__OPEN_FOR";
const TWO_KEYS: [(&str, &str); 3] = [
    ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENVS", r#"["FIRST_KEY","SECOND_KEY"]"#),
    ("FIRST_KEY", "sk-first"),
    ("SECOND_KEY", "sk-second"),
];

/// A gateway with model `m` at the provider `a`.
async fn replica(provider: &Fake, redis: &Redis, more: &[(&str, &str)]) -> App {
    let url = redis.url();
    let mut variables = vec![("VX11_SWITCH__REDIS_URL", url.as_str()), ("VX11_SWITCH__REDIS_TIMEOUT", "5s"), THRESHOLD];
    variables.extend_from_slice(more);
    let app = App::in_front_of(&[&provider.url], &variables).await;
    eventually("Redis is found", async || limits_status(&app).await == "up").await;
    app
}

async fn breaker(app: &App) -> String {
    app.provider("a").await["breaker"]["state"].as_str().unwrap().to_owned()
}

async fn key(app: &App, index: usize) -> String {
    app.provider("a").await["keys"][index]["state"].as_str().unwrap().to_owned()
}

/// A provider that fails until it is told that it is well.
async fn failing() -> (Fake, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let script = move |_| if is_well.load(Ordering::SeqCst) { vec![completion("hi")] } else { vec![error(500, "")] };
    (Fake::start(script).await, well)
}

#[tokio::test]
async fn what_one_replica_finds_broken_the_others_do_not_ask() {
    let ((fake, _), redis) = (failing().await, Redis::start());
    let (one, other) = (replica(&fake, &redis, &[]).await, replica(&fake, &redis, &[]).await);
    for _ in 0..2 {
        assert_eq!(one.complete().await.status, 500);
    }
    eventually("the other one has heard", async || breaker(&other).await == "open").await;
    let got = other.complete().await;
    assert_eq!((got.status, got.code()), (503, "service_unavailable"));
    assert!(!got.header("retry-after").is_empty(), "it knows for how long");
    assert_eq!(fake.requests().len(), 2);

    let late = replica(&fake, &redis, &[]).await;
    eventually("who comes later hears it too", async || breaker(&late).await == "open").await;
    assert_eq!((late.complete().await.status, fake.requests().len()), (503, 2));
}

#[tokio::test]
async fn one_replica_probes_and_all_close_with_it() {
    let (gate, wait) = gate();
    let script = move |request: usize| match request {
        0 | 1 => vec![error(500, "")],
        2 => vec![wait.clone(), completion("hi")],
        _ => vec![completion("hi")],
    };
    let (fake, redis) = (Fake::start(script).await, Redis::start());
    let pause = [(OPEN_FOR, "10s")];
    let (one, other) = (replica(&fake, &redis, &pause).await, replica(&fake, &redis, &pause).await);
    for _ in 0..2 {
        one.complete().await;
    }
    eventually("both are open", async || breaker(&other).await == "open").await;
    eventually("both pauses are over", async || {
        breaker(&one).await == "half_open" && breaker(&other).await == "half_open"
    })
    .await;

    let callers = async {
        let callers = [&one, &other, &one, &other].map(App::complete);
        let mut statuses: Vec<u16> =
            futures_util::future::join_all(callers).await.iter().map(|got| got.status).collect();
        statuses.sort_unstable();
        statuses
    };
    let release = async {
        eventually("the probe is made", async || fake.requests().len() == 3).await;
        // Everybody else was sent away before it is answered.
        eventually("the others were refused", async || {
            let skipped = r#"vx11_provider_requests_total{model="m-a",outcome="circuit_open",provider="a"}"#;
            one.metric(skipped).await + other.metric(skipped).await == 3.0
        })
        .await;
        gate.add_permits(1);
    };
    let (statuses, ()) = tokio::join!(callers, release);
    assert_eq!((statuses, fake.requests().len()), (vec![200, 503, 503, 503], 3));
    eventually("both are closed", async || breaker(&one).await == "closed" && breaker(&other).await == "closed").await;
    assert_eq!((one.complete().await.status, other.complete().await.status), (200, 200));
}

#[tokio::test]
async fn a_probe_whose_caller_leaves_is_another_replicas_to_make() {
    let script = move |request: usize| match request {
        0 | 1 => vec![error(500, "")],
        2 => vec![Act::Wait],
        _ => vec![completion("hi")],
    };
    let (fake, redis) = (Fake::start(script).await, Redis::start());
    let pause = [(OPEN_FOR, "2s")];
    let (one, other) = (replica(&fake, &redis, &pause).await, replica(&fake, &redis, &pause).await);
    for _ in 0..2 {
        one.complete().await;
    }
    eventually("both pauses are over", async || {
        breaker(&one).await == "half_open" && breaker(&other).await == "half_open"
    })
    .await;
    let probe = tokio::spawn(one.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#).send());
    eventually("the probe is made", async || fake.requests().len() == 3).await;
    let lease = redis.command(&["KEYS", "vx11:{replicas}:probe:*"]);
    probe.abort();
    let left_ms = Cell::new(0);
    eventually("it is given back", async || match redis.command(&["PTTL", &lease]).parse().unwrap() {
        -2 => true,
        left => {
            left_ms.set(left);
            false
        }
    })
    .await;
    assert!(!(1..10_000).contains(&left_ms.get()), "it ended by itself");
    assert_eq!(other.complete().await.status, 200);
}

#[tokio::test]
async fn a_probe_that_is_begun_anew_is_another_one() {
    let script = |request: usize| if request < 2 { vec![error(500, "")] } else { vec![Act::Wait] };
    let (fake, redis) = (Fake::start(script).await, Redis::start());
    let one = replica(&fake, &redis, &[(OPEN_FOR, "200ms")]).await;
    for _ in 0..2 {
        one.complete().await;
    }
    let lease = || redis.command(&["KEYS", "vx11:{replicas}:probe:*"]);
    let mut holders = Vec::new();
    for asked in 3..5 {
        eventually("it may be probed", async || breaker(&one).await == "half_open" && lease().is_empty()).await;
        let probe = tokio::spawn(one.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#).send());
        eventually("the probe is made", async || fake.requests().len() == asked).await;
        holders.push(redis.command(&["GET", &lease()]));
        probe.abort();
    }
    let names: Vec<_> = holders.iter().filter_map(|holder| holder.split_once(':')).collect();
    assert_eq!(names.len(), 2, "{holders:?}");
    assert_eq!(names[0].0, names[1].0, "the same replica made both");
    assert_ne!(names[0].1, names[1].1, "what is given up late is the first one alone");
}

#[tokio::test]
async fn they_talk_of_the_models_that_a_provider_is_asked_for_and_not_of_patterns() {
    let ((fake, well), redis) = (failing().await, Redis::start());
    let (one, other) = (replica(&fake, &redis, &[]).await, replica(&fake, &redis, &[]).await);
    let ask = async |app: &App, model: &str| {
        let body = format!(r#"{{"model":"{model}","messages":[]}}"#);
        Answer::of(app.post("/v1/chat/completions", body)).await.status
    };
    for _ in 0..2 {
        assert_eq!(ask(&one, "any-bad").await, 500);
    }
    well.store(true, Ordering::SeqCst);
    eventually("the other one has heard", async || breaker(&other).await == "open").await;
    assert_eq!((ask(&other, "any-bad").await, ask(&other, "any-good").await), (503, 200));
    let live = other.provider("a").await["live"].clone();
    assert_eq!((live[0]["model"].as_str(), live[1]["model"].as_str()), (Some("any-bad"), Some("any-good")));
}

#[tokio::test]
async fn a_provider_of_the_same_name_elsewhere_is_another_one() {
    let ((broken, _), redis) = (failing().await, Redis::start());
    let well = Fake::always([completion("hi")]).await;
    let url = redis.url();
    let variables = [("VX11_SWITCH__REDIS_URL", url.as_str()), ("VX11_SWITCH__REDIS_TIMEOUT", "5s"), THRESHOLD];
    let one = App::in_front_of(&[&broken.url, &broken.url], &variables).await;
    let other = App::in_front_of(&[&well.url, &broken.url], &variables).await;
    for app in [&one, &other] {
        eventually("Redis is found", async || limits_status(app).await == "up").await;
    }
    for _ in 0..3 {
        one.complete().await;
    }
    // `a` was tried first each time and opened first: who has heard of `b` has heard of it.
    eventually("it has heard of the provider they share", async || {
        other.provider("b").await["breaker"]["state"] == "open"
    })
    .await;
    assert_eq!((other.complete().await.status, breaker(&other).await.as_str()), (200, "closed"));
}

#[tokio::test]
async fn a_replica_without_breakers_does_not_listen() {
    let ((fake, _), redis) = (failing().await, Redis::start());
    let off = [("VX11_SWITCH__USE_CIRCUIT_BREAKERS", "false")];
    let (one, other) = (replica(&fake, &redis, &[]).await, replica(&fake, &redis, &[]).await);
    let off = replica(&fake, &redis, &off).await;
    for _ in 0..2 {
        one.complete().await;
    }
    eventually("the other one has heard", async || breaker(&other).await == "open").await;
    for _ in 0..4 {
        assert_eq!(off.complete().await.status, 500, "asked each time");
    }
    assert_eq!((breaker(&off).await.as_str(), fake.requests().len()), ("closed", 6));
}

#[tokio::test]
async fn a_key_that_one_replica_is_refused_with_rests_on_all_and_comes_back() {
    let script = |request: usize| match request {
        0 => vec![error(401, "")],
        2 => vec![error(429, "retry-after: 60\r\n")],
        _ => vec![completion("hi")],
    };
    let (fake, redis) = (Fake::start(script).await, Redis::start());
    let mut variables = TWO_KEYS.to_vec();
    variables.push(("VX11_SWITCH__PROVIDERS__A__KEY_DEAD_FOR", "10s"));
    let (one, other) = (replica(&fake, &redis, &variables).await, replica(&fake, &redis, &variables).await);
    assert_eq!(one.complete().await.status, 200, "with the second key");
    eventually("the other one has heard", async || key(&other, 0).await == "dead").await;
    // The second key reaches its limit at the other one.
    other.complete().await;
    let asked = |index: usize| fake.requests()[index].contains("Bearer sk-second");
    assert!(asked(1) && asked(2), "the first key was not tried again");
    eventually("the first one has heard", async || key(&one, 1).await == "resting").await;

    eventually("the first key comes back", async || key(&one, 0).await == "alive" && key(&other, 0).await == "alive")
        .await;
    assert_eq!((one.complete().await.status, other.complete().await.status), (200, 200));
    assert!(fake.requests().iter().skip(3).all(|request| request.contains("Bearer sk-first")));
    let everything = redis.command(&["HGETALL", "vx11:{replicas}:words"]) + &redis.command(&["KEYS", "*"]);
    assert!(everything.contains("key a@") && everything.contains("resting "), "{everything}");
    assert!(!everything.contains("sk-") && !everything.contains("127.0.0.1"), "{everything}");
}

#[tokio::test]
async fn keys_that_are_read_again_by_one_replica_are_tried_again_by_all() {
    let script = |request: usize| if request == 0 { vec![error(401, "")] } else { vec![completion("hi")] };
    let (fake, redis) = (Fake::start(script).await, Redis::start());
    let file = NamedTempFile::new().unwrap();
    let text = |answers: &str| {
        format!(
            "[switch]\nredis_url = \"{}\"\nredis_timeout = \"5s\"\nassumed_output_tokens = {answers}\n[switch.retries]\n\
             attempts = 0\n[switch.models.m]\ntargets = [\"a/m-a\"]\n[switch.providers.a]\nbase_url = \"{}/v1\"\n\
             models = [\"m-a\"]\napi_key_envs = [\"FIRST_KEY\", \"SECOND_KEY\"]\n",
            redis.url(),
            fake.url,
        )
    };
    std::fs::write(file.path(), text("10")).unwrap();
    let one = App::start_with(Some(file.path()), &TWO_KEYS[1..]).await;
    let other = replica(&fake, &redis, &TWO_KEYS).await;
    eventually("Redis is found", async || limits_status(&one).await == "up").await;
    assert_eq!(one.complete().await.status, 200, "with the second key");
    eventually("the other one has heard", async || key(&other, 0).await == "dead").await;
    std::fs::write(file.path(), text("1000")).unwrap();
    eventually("it is alive again", async || key(&one, 0).await == "alive" && key(&other, 0).await == "alive").await;
}

#[tokio::test]
async fn without_redis_each_replica_decides_alone_and_with_it_they_agree_again() {
    let ((fake, well), mut redis) = (failing().await, Redis::start());
    let pause = [(OPEN_FOR, "10s")];
    let (one, other) = (replica(&fake, &redis, &pause).await, replica(&fake, &redis, &pause).await);
    redis.kill();
    eventually("it is told", async || {
        limits_status(&one).await == "degraded" && limits_status(&other).await == "degraded"
    })
    .await;
    assert_eq!(status(&one, "replicas").await, "degraded");
    for app in [&one, &other] {
        for _ in 0..2 {
            assert_eq!(app.complete().await.status, 500);
        }
        assert_eq!(app.complete().await.status, 503, "on its own");
    }
    assert_eq!(fake.requests().len(), 4);
    well.store(true, Ordering::SeqCst);
    for app in [&one, &other] {
        eventually("its own probe closes it", async || app.complete().await.status == 200).await;
    }

    well.store(false, Ordering::SeqCst);
    redis.come_back();
    eventually("it is over", async || limits_status(&one).await == "up" && limits_status(&other).await == "up").await;
    assert_eq!(status(&one, "replicas").await, "up");
    let before = fake.requests().len();
    for _ in 0..2 {
        assert_eq!(one.complete().await.status, 500);
    }
    eventually("they talk again", async || breaker(&other).await == "open").await;
    assert_eq!((other.complete().await.status, fake.requests().len() - before), (503, 2));
}
