//! Several keys of one provider: which one is used, and when.

use vx11_testing::gate;

use crate::app::{Answer, App};
use crate::fake::{Fake, answer, completion, error, whole_stream};

/// Two keys for provider `a`.
const KEYS: [(&str, &str); 3] = [
    ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENVS", r#"["FIRST_KEY","SECOND_KEY","KEY_NOT_SET"]"#),
    ("FIRST_KEY", "sk-first"),
    ("SECOND_KEY", "sk-second"),
];

/// The key of each request.
fn keys(fake: &Fake) -> Vec<String> {
    let key = |request: &String| {
        let key = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
        key.unwrap_or_default().to_owned()
    };
    fake.requests().iter().map(key).collect()
}

#[tokio::test]
async fn a_refused_key_is_dead_and_the_next_one_answers() {
    for status in [401, 402, 403] {
        let script = move |request: usize| if request == 0 { vec![error(status, "")] } else { vec![completion("hi")] };
        let fake = Fake::start(script).await;
        let app = App::in_front_of(&[&fake.url], &KEYS).await;
        for _ in 0..2 {
            assert_eq!(app.complete().await.status, 200, "{status}");
        }
        assert_eq!(keys(&fake), ["sk-first", "sk-second", "sk-second"], "{status}");
        let row = app.provider("a").await;
        assert_eq!(
            (row["keys"][0]["variable"].as_str(), row["keys"][0]["state"].as_str()),
            (Some("FIRST_KEY"), Some("dead"))
        );
        assert_eq!((row["keys"][1]["state"].as_str(), row["keys"].as_array().unwrap().len()), (Some("alive"), 2));
        assert!(row["keys"][0]["retry_after_ms"].is_null(), "another key has answered: {row}");
        assert_eq!(row["breaker"]["failure_count"], 0, "the provider is well");
        assert_eq!(app.metric(r#"vx11_provider_keys{provider="a",state="dead"}"#).await, 1.0);
        assert!(!row.to_string().contains("sk-"));
    }
}

#[tokio::test]
async fn one_request_that_is_forbidden_with_every_key_costs_none_of_them() {
    let script = |request: usize| if request < 2 { vec![error(403, "")] } else { vec![completion("hi")] };
    let fake = Fake::start(script).await;
    let app = App::in_front_of(&[&fake.url], &KEYS).await;
    let got = app.complete().await;
    assert_eq!((got.status, got.json()["error"]["message"].as_str()), (403, Some("provider says 403")));
    assert_eq!(app.metric(r#"vx11_provider_keys{provider="a",state="dead"}"#).await, 0.0);
    assert_eq!((app.complete().await.status, keys(&fake).len()), (200, 3));
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0, "it is well");
}

#[tokio::test]
async fn one_request_that_is_forbidden_kills_no_lone_key_for_good() {
    let fake = Fake::always([error(403, "")]).await;
    let lone = [("VX11_SWITCH__PROVIDERS__A__API_KEY_ENV", "FIRST_KEY"), ("FIRST_KEY", "sk-first")];
    let app = App::in_front_of(&[&fake.url], &lone).await;
    for _ in 0..2 {
        let got = app.complete().await;
        assert_eq!((got.status, got.code()), (502, "upstream_credentials_exhausted"));
    }
    assert_eq!(fake.requests().len(), 1);
    let key = app.provider("a").await["keys"][0].clone();
    assert_eq!(key["state"], "dead");
    assert!((1..=30_000).contains(&key["retry_after_ms"].as_u64().unwrap()), "{key}");
}

#[tokio::test]
async fn requests_that_are_forbidden_at_the_same_time_cost_no_key_together() {
    let (gate, wait) = gate();
    let script = move |request: usize| match request {
        1 => vec![wait.clone(), error(403, "")],
        0 | 2 => vec![error(403, "")],
        _ => vec![completion("hi")],
    };
    let fake = Fake::start(script).await;
    let app = App::in_front_of(&[&fake.url], &KEYS).await;
    let others = async {
        crate::app::eventually("the first one asks with the second key", async || fake.requests().len() == 2).await;
        assert_eq!(app.complete().await.code(), "upstream_credentials_exhausted", "no key is left to ask with");
        gate.add_permits(1);
    };
    let (first, ()) = tokio::join!(app.complete(), others);
    assert_eq!(first.status, 403);
    assert_eq!(keys(&fake), ["sk-first", "sk-second", "sk-second"]);
    assert_eq!(app.metric(r#"vx11_provider_keys{provider="a",state="dead"}"#).await, 0.0);
    assert_eq!(app.complete().await.status, 200);
}

#[tokio::test]
async fn what_two_keys_may_not_have_is_asked_for_with_the_third() {
    let script = |request: usize| if request < 2 { vec![error(403, "")] } else { whole_stream() };
    let fake = Fake::start(script).await;
    let third = [
        ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENVS", r#"["FIRST_KEY","SECOND_KEY","THIRD_KEY"]"#),
        ("THIRD_KEY", "sk-third"),
    ];
    let app = App::in_front_of(&[&fake.url], &[&third[..], &KEYS[1..]].concat()).await;
    assert_eq!(app.stream().await.status, 200);
    assert_eq!(keys(&fake), ["sk-first", "sk-second", "sk-third"]);
    let row = app.provider("a").await;
    assert_eq!(["dead", "dead", "alive"], [0, 1, 2].map(|key| row["keys"][key]["state"].as_str().unwrap()));
    assert!(row["keys"][0]["retry_after_ms"].is_null(), "{row}");
}

#[tokio::test]
async fn a_provider_that_forbids_everything_with_every_key_opens_its_breaker() {
    let fake = Fake::always([error(403, "")]).await;
    let threshold = ("VX11_SWITCH__PROVIDERS__A__BREAKER__FAILURE_THRESHOLD", "2");
    let app = App::in_front_of(&[&fake.url], &[&KEYS[..], &[threshold]].concat()).await;
    for _ in 0..2 {
        assert_eq!(app.complete().await.status, 403);
    }
    assert_eq!((app.complete().await.status, fake.requests().len()), (503, 4));
}

#[tokio::test]
async fn what_is_forbidden_with_every_key_of_one_provider_may_be_answered_by_another() {
    let (fake, other) = (Fake::always([error(403, "")]).await, Fake::always([completion("hi")]).await);
    let app = App::in_front_of(&[&fake.url, &other.url], &KEYS).await;
    assert_eq!(app.complete().await.header("x-vx11-provider"), "b");
    assert_eq!(keys(&fake), ["sk-first", "sk-second"]);
    assert_eq!(app.metric(r#"vx11_provider_keys{provider="a",state="dead"}"#).await, 0.0);
}

#[tokio::test]
async fn a_request_that_names_what_it_may_not_have_is_answered_so_and_costs_no_key() {
    let model = r#"{"error":{"message":"Project `p` does not have access to model `m`","code":"model_not_found"}}"#;
    let flagged = r#"{"error":{"message":"flagged","code":403,"metadata":{"reasons":["x"],"flagged_input":"y"}}}"#;
    for (body, status) in [(model, 404), (flagged, 403)] {
        let fake = Fake::always([answer(403, "", body)]).await;
        let app = App::in_front_of(&[&fake.url], &KEYS).await;
        let got = app.complete().await;
        assert_eq!((got.status, got.body.as_str(), keys(&fake).len()), (status, body, 1));
        assert_eq!(app.metric(r#"vx11_provider_keys{provider="a",state="dead"}"#).await, 0.0);
    }
}

#[tokio::test]
async fn a_count_that_is_forbidden_costs_no_key() {
    let fake = Fake::always([error(403, "")]).await;
    let anthropic = ("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic");
    let app = App::in_front_of(&[&fake.url], &[&KEYS[..], &[anthropic]].concat()).await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let got = Answer::of(app.post("/v1/messages/count_tokens", body)).await;
    assert_eq!((got.status, fake.requests().len()), (200, 1), "it is estimated");
    assert_eq!(app.metric(r#"vx11_provider_keys{provider="a",state="dead"}"#).await, 0.0);
}

#[tokio::test]
async fn a_key_at_its_limit_rests_and_the_next_one_answers() {
    let script =
        |request: usize| if request == 0 { vec![error(429, "retry-after-ms: 60000\r\n")] } else { whole_stream() };
    let fake = Fake::start(script).await;
    let app = App::in_front_of(&[&fake.url], &KEYS).await;
    let got = app.stream().await;
    assert_eq!((got.status, got.header("x-vx11-attempts")), (200, "2"));
    assert_eq!(keys(&fake), ["sk-first", "sk-second"]);
    let key = app.provider("a").await["keys"][0].clone();
    assert_eq!(key["state"], "resting");
    assert!((1..=60_000).contains(&key["retry_after_ms"].as_u64().unwrap()), "{key}");
}

#[tokio::test]
async fn with_every_key_dead_the_caller_hears_so_and_the_provider_is_left_alone() {
    let fake = Fake::always([error(401, "")]).await;
    let app = App::in_front_of(&[&fake.url], &KEYS).await;
    for got in [app.complete().await, app.complete().await, app.stream().await] {
        assert_eq!((got.status, got.code()), (502, "upstream_credentials_exhausted"));
    }
    assert_eq!(fake.requests().len(), 2, "each key once");
}

#[tokio::test]
async fn with_every_key_at_its_limit_callers_hear_when_to_come_back() {
    let fake = Fake::always([error(429, "retry-after: 30\r\n")]).await;
    let app = App::in_front_of(&[&fake.url], &KEYS).await;
    assert_eq!(app.complete().await.json()["error"]["message"], "provider says 429");
    let got = app.complete().await;
    assert_eq!((got.status, got.code()), (429, "rate_limit_exceeded"));
    assert!((1..=30).contains(&got.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_dead_key_may_be_tried_again_after_a_time() {
    let script = |request: usize| if request == 0 { vec![error(401, "")] } else { vec![completion("hi")] };
    let fake = Fake::start(script).await;
    let again = [
        ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENV", "FIRST_KEY"),
        ("VX11_SWITCH__PROVIDERS__A__KEY_DEAD_FOR", "50ms"),
        ("FIRST_KEY", "sk-first"),
    ];
    let app = App::in_front_of(&[&fake.url], &again).await;
    assert_eq!(app.complete().await.status, 502);
    crate::app::eventually("it is tried again", async || app.complete().await.status == 200).await;
}

#[tokio::test]
async fn an_absurd_retry_after_is_an_hour() {
    for asked in ["10000000000000000000", "1763757000"] {
        let header = format!("retry-after: {asked}\r\n");
        let script =
            move |request: usize| if request == 0 { vec![error(429, &header)] } else { vec![completion("hi")] };
        let fake = Fake::start(script).await;
        let app = App::in_front_of(&[&fake.url], &KEYS).await;
        assert_eq!(app.complete().await.status, 200, "{asked}: the second key");
        let rest = app.provider("a").await["keys"][0]["retry_after_ms"].as_u64().unwrap();
        assert!((3_500_000..=3_600_000).contains(&rest), "{asked}: {rest}");
    }
}

#[tokio::test]
async fn a_lone_key_that_is_always_at_its_limit_opens_the_breaker() {
    let fake = Fake::always([error(429, "")]).await;
    let lone = [("VX11_SWITCH__PROVIDERS__A__API_KEY_ENV", "FIRST_KEY"), ("FIRST_KEY", "sk-first")];
    let app = App::in_front_of(&[&fake.url], &lone).await;
    for _ in 0..3 {
        assert_eq!(app.complete().await.status, 429);
    }
    assert_eq!((app.complete().await.status, fake.requests().len()), (503, 3));
    assert_eq!(app.provider("a").await["breaker"]["state"], "open");
}

#[tokio::test]
async fn an_error_under_the_status_of_an_answer_means_what_it_says() {
    let said = |error: &str| answer(200, "", &format!(r#"{{"error":{error}}}"#));
    for (error, state) in
        [(r#"{"code":429,"message":"slow down"}"#, "resting"), (r#"{"code":402,"message":"broke"}"#, "dead")]
    {
        for stream in [false, true] {
            let refused = said(error);
            let script = move |request: usize| match (request, stream) {
                (0, _) => vec![refused.clone()],
                (_, false) => vec![completion("hi")],
                (_, true) => whole_stream(),
            };
            let fake = Fake::start(script).await;
            let app = App::in_front_of(&[&fake.url], &KEYS).await;
            let got = if stream { app.stream().await } else { app.complete().await };
            assert_eq!(
                (got.status, keys(&fake)),
                (200, vec!["sk-first".to_owned(), "sk-second".to_owned()]),
                "{error}"
            );
            assert_eq!(app.provider("a").await["keys"][0]["state"], state, "{error}");
        }
    }
    let flagged = r#"{"code":403,"message":"flagged","metadata":{"reasons":["x"],"flagged_input":"y"}}"#;
    let (fake, other) = (Fake::always([said(flagged)]).await, Fake::always([completion("hi")]).await);
    let app = App::in_front_of(&[&fake.url, &other.url], &KEYS).await;
    for got in [app.complete().await, app.stream().await] {
        assert_eq!((got.status, got.json()["error"]["message"].as_str()), (403, Some("flagged")), "{}", got.body);
    }
    assert!(other.requests().is_empty(), "it is not shopped around");
}

#[tokio::test]
async fn vectors_that_are_an_error_are_asked_for_again() {
    let limited = answer(200, "", r#"{"error":{"code":429,"message":"slow down"}}"#);
    let vectors =
        answer(200, "", r#"{"object":"list","data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":1}}"#);
    let fake = Fake::start(move |request| vec![if request == 0 { limited.clone() } else { vectors.clone() }]).await;
    let app = App::in_front_of(&[&fake.url], &KEYS).await;
    let got = Answer::of(app.post("/v1/embeddings", r#"{"model":"m","input":"hello"}"#)).await;
    assert_eq!((got.status, fake.requests().len()), (200, 2), "{}", got.body);
}
