//! Who is asked again after a failure, and who is not.

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, answer, completion, error, nobody, whole_stream};

const RETRIES: [(&str, &str); 2] = [("VX11_SWITCH__RETRIES__ATTEMPTS", "2"), ("VX11_SWITCH__RETRIES__BASE", "1ms")];

#[tokio::test]
async fn what_passes_is_asked_again_and_the_caller_does_not_notice() {
    let faults = [408, 409, 429, 500, 502, 503, 529].map(|status| error(status, "")).into_iter().chain([Act::Reset]);
    for fault in faults {
        for stream in [false, true] {
            let failing = fault.clone();
            let script = move |request: usize| match (request, stream) {
                (0 | 1, _) => vec![failing.clone()],
                (_, false) => vec![completion("hi")],
                (_, true) => whole_stream(),
            };
            let (fake, other) = (Fake::start(script).await, Fake::always([completion("no")]).await);
            let app = App::in_front_of(&[&fake.url, &other.url], &RETRIES).await;
            let got = if stream { app.stream().await } else { app.complete().await };
            assert_eq!(
                (got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")),
                (200, "a", "3"),
                "{fault:?}"
            );
            assert!(other.requests().is_empty());
            assert_eq!(app.metric(r#"vx11_fallbacks_total{reason="http_503"}"#).await, 0.0, "a retry is no fallback");
        }
    }
}

#[tokio::test]
async fn an_answer_that_the_provider_gave_up_is_asked_for_again_and_paid() {
    for reason in ["insufficient_system_resource", "error"] {
        let given_up = answer(
            200,
            "",
            &format!(
                r#"{{"choices":[{{"index":0,"message":{{"content":"He"}},"finish_reason":"{reason}"}}],"usage":{{"prompt_tokens":3,"completion_tokens":1}}}}"#
            ),
        );
        let script = move |request: usize| if request == 0 { vec![given_up.clone()] } else { vec![completion("hi")] };
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let fake = Fake::start(script.clone()).await;
            let app = App::in_front_of(&[&fake.url], &RETRIES).await;
            let asked = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
            let got = Answer::of(app.post(path, asked)).await;
            assert_eq!((got.status, got.header("x-vx11-attempts")), (200, "2"), "{reason}: {}", got.body);
            assert!(got.body.contains("hi"), "{}", got.body);
            let cut = r#"vx11_provider_requests_total{model="m-a",outcome="answer_cut",provider="a"}"#;
            let written = r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#;
            assert_eq!((app.metric(cut).await, app.metric(written).await), (1.0, 3.0), "one of them, and two");
        }
    }
}

#[tokio::test]
async fn after_two_retries_the_next_target_is_asked() {
    let (bad, good) = (Fake::always([error(500, "")]).await, Fake::always([completion("hi")]).await);
    let app = App::in_front_of(&[&bad.url, &nobody(), &good.url], &RETRIES).await;
    let got = app.complete().await;
    assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")), (200, "c", "7"));
    assert_eq!(bad.requests().len(), 3);
    assert_eq!(app.metric(r#"vx11_provider_retries_total{provider="a",reason="http_500"}"#).await, 2.0);
    assert_eq!(app.metric(r#"vx11_provider_retries_total{provider="b",reason="connect"}"#).await, 2.0);
}

#[tokio::test]
async fn silence_and_faults_of_the_request_are_not_asked_again() {
    let good = Fake::always([completion("hi")]).await;
    let silent = Fake::always([Act::Wait]).await;
    let limits = [RETRIES[0], RETRIES[1], ("VX11_SWITCH__PROVIDERS__A__TIMEOUT", "2s")];
    let app = App::in_front_of(&[&silent.url, &good.url], &limits).await;
    assert_eq!(app.complete().await.header("x-vx11-provider"), "b");
    eventually("the silent one has the request", async || !silent.requests().is_empty()).await;
    assert_eq!(silent.requests().len(), 1);

    // What is not there may be elsewhere.
    for (status, answered) in [(400, 400), (404, 200), (422, 422)] {
        let refusing = Fake::always([error(status, "")]).await;
        let app = App::in_front_of(&[&refusing.url, &good.url], &RETRIES).await;
        assert_eq!((app.complete().await.status, refusing.requests().len()), (answered, 1));
    }
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for_and_a_long_one_is_not() {
    let script =
        |request: usize| if request == 0 { vec![error(503, "retry-after-ms: 20\r\n")] } else { vec![completion("hi")] };
    let (patient, good) = (Fake::start(script).await, Fake::always([completion("hi")]).await);
    let app = App::in_front_of(&[&patient.url, &good.url], &RETRIES).await;
    assert_eq!(app.complete().await.header("x-vx11-provider"), "a");

    let long = Fake::always([error(429, "retry-after: 60\r\n")]).await;
    let app = App::in_front_of(&[&long.url, &good.url], &RETRIES).await;
    assert_eq!((app.complete().await.header("x-vx11-provider"), long.requests().len()), ("b", 1));
}

#[tokio::test]
async fn retries_have_a_budget() {
    let bad = Fake::always([error(503, "")]).await;
    let none =
        [RETRIES[0], RETRIES[1], ("VX11_SWITCH__RETRIES__RATIO", "0.0"), ("VX11_SWITCH__RETRIES__MIN_PER_SECOND", "0")];
    let app = App::in_front_of(&[&bad.url], &none).await;
    assert_eq!((app.complete().await.status, bad.requests().len()), (503, 1));
    assert_eq!(app.metric(r#"vx11_provider_retries_total{provider="a",reason="no_budget"}"#).await, 1.0);
}

#[tokio::test]
async fn a_content_policy_rejection_is_the_callers_answer() {
    let rejection = answer(403, "", r#"{"error":{"message":"no","type":"t","code":"content_policy_violation"}}"#);
    let (refusing, other) = (Fake::always([rejection]).await, Fake::always([completion("hi")]).await);
    let key = [("VX11_SWITCH__PROVIDERS__A__API_KEY_ENV", "A_KEY"), ("A_KEY", "sk-a")];
    let app = App::in_front_of(&[&refusing.url, &other.url], &key).await;
    let got = app.complete().await;
    assert_eq!((got.status, got.code()), (403, "content_policy_violation"));
    assert!(other.requests().is_empty(), "it is not shopped around");
    assert_eq!(app.provider("a").await["keys"][0]["state"], "alive", "it is not about the key");
}

#[tokio::test]
async fn a_request_that_is_too_long_goes_to_the_larger_model_where_there_is_one() {
    let too_long = || answer(400, "", r#"{"error":{"message":"long","type":"t","code":"context_length_exceeded"}}"#);
    let (small, other, large) = (
        Fake::always([too_long()]).await,
        Fake::always([completion("no")]).await,
        Fake::always([completion("hi")]).await,
    );
    let app = App::in_front_of(&[&small.url, &other.url], &[]).await;
    assert_eq!(app.complete().await.json()["error"]["code"], "context_length_exceeded", "else it is the answer");

    let larger = [("VX11_SWITCH__MODELS__M__CONTEXT_FALLBACK", r#"["c/m-c"]"#)];
    let app = App::in_front_of(&[&small.url, &other.url, &large.url], &larger).await;
    // `c` is one of the targets too; it is asked as the larger one.
    let got = app.complete().await;
    assert_eq!((got.status, got.header("x-vx11-provider"), other.requests().len()), (200, "c", 0));
    let off = app.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#).header("x-vx11-fallback", "off");
    assert_eq!(Answer::of(off).await.status, 400);
}

#[tokio::test]
async fn a_larger_model_that_fails_is_no_reason_to_call_the_request_too_long() {
    let too_long = answer(400, "", r#"{"error":{"message":"long","type":"t","code":"context_length_exceeded"}}"#);
    let (small, large) = (Fake::always([too_long]).await, Fake::always([error(503, "")]).await);
    let larger = [
        ("VX11_SWITCH__MODELS__LONG__TARGETS", r#"["a/m-a"]"#),
        ("VX11_SWITCH__MODELS__LONG__CONTEXT_FALLBACK", r#"["b/m-b"]"#),
    ];
    let app = App::in_front_of(&[&small.url, &large.url], &larger).await;
    let ask = || Answer::of(app.post("/v1/chat/completions", r#"{"model":"long","messages":[]}"#));
    for _ in 0..3 {
        assert_eq!(ask().await.status, 503, "as the larger one says");
    }
    let got = ask().await;
    assert_eq!((got.status, got.code()), (503, "service_unavailable"), "its breaker is open");
    assert_eq!(large.requests().len(), 3);
}

#[tokio::test]
async fn retries_are_no_requests_to_their_budget() {
    let bad = Fake::always([error(503, "")]).await;
    let half = [
        RETRIES[0],
        RETRIES[1],
        ("VX11_SWITCH__RETRIES__RATIO", "0.5"),
        ("VX11_SWITCH__RETRIES__MIN_PER_SECOND", "0"),
        ("VX11_SWITCH__USE_CIRCUIT_BREAKERS", "false"),
    ];
    let app = App::in_front_of(&[&bad.url], &half).await;
    for _ in 0..20 {
        app.complete().await;
    }
    assert_eq!(bad.requests().len(), 30, "one retry for two requests");
}

#[tokio::test]
async fn a_request_for_more_tokens_than_an_account_has_in_a_minute_is_left_for_the_next_target() {
    for status in [413, 429] {
        let body = r#"{"error":{"message":"Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 14137","type":"tokens","code":"rate_limit_exceeded"}}"#;
        let (small, large) = (Fake::always([answer(status, "", body)]).await, Fake::always([completion("hi")]).await);
        let keys = [
            RETRIES[0],
            RETRIES[1],
            ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENVS", r#"["FIRST_KEY","SECOND_KEY"]"#),
            ("FIRST_KEY", "sk-first"),
            ("SECOND_KEY", "sk-second"),
        ];
        let app = App::in_front_of(&[&small.url, &large.url], &keys).await;
        assert_eq!(app.complete().await.header("x-vx11-provider"), "b", "{status}");
        let row = app.provider("a").await;
        assert_eq!((&row["health"], small.requests().len()), (&serde_json::json!("up"), 1), "{status}: {row}");

        let app = App::in_front_of(&[&small.url], &RETRIES).await;
        let got = app.complete().await;
        assert_eq!((got.status, got.body.as_str()), (status, body));
    }
}
