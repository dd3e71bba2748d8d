//! `POST /v1/chat/completions` without streaming.

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, STOP, USAGE, answer, chunk, completion, error, event, nobody, stream_head};

#[tokio::test]
async fn bytes_go_through_in_both_directions_and_only_the_model_changes() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let body = r#" {"temperature": 1.50, "model" : "m", "messages":[ {"model":"m"} ],"unknown":{"a":1e3}} "#;
    let got = Answer::of(app.post("/v1/chat/completions", body).header("x-correlation-id", "corr-1")).await;

    assert_eq!(got.status, 200);
    assert!(got.body.starts_with(r#"{"id": "c1","#), "as the provider wrote it: {}", got.body);
    assert_eq!(got.header("content-type"), "application/json");
    assert_eq!((got.header("x-vx11-provider"), got.header("x-vx11-model")), ("a", "m-a"));
    assert_eq!((got.header("x-vx11-attempts"), got.header("x-request-id")), ("1", "req-1"));
    assert_eq!(got.header("x-vx11-cache"), "", "there is none");
    assert!(got.header("x-vx11-overhead-ms").parse::<f64>().unwrap() > 0.0);

    let requests = fake.requests();
    let (head, sent) = requests[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(sent, body.replacen("\"model\" : \"m\"", "\"model\" : \"m-a\"", 1));
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("x-correlation-id: corr-1\r\n") && head.contains("traceparent: 00-"), "{head}");
    assert!(!head.contains("authorization") && !head.contains("x-vx11-token"), "our token is not theirs: {head}");
}

#[tokio::test]
async fn every_fault_of_one_provider_is_covered_by_the_next() {
    let faults = [
        ("http_401", vec![error(401, "")]),
        ("http_403", vec![error(403, "")]),
        ("http_429", vec![error(429, "retry-after: 7\r\n")]),
        ("http_500", vec![error(500, "")]),
        ("http_503", vec![answer(503, "", "<html>")]),
        ("http_302", vec![answer(302, "location: http://127.0.0.1:1/\r\n", "")]),
        ("transport", vec![Act::Reset]),
        (
            "answer_cut",
            vec![Act::Say(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 500\r\n\r\n{\"choices\":".to_owned(),
            )],
        ),
        ("invalid_answer", vec![answer(200, "", "{\"choices\": []}")]),
        ("invalid_answer", vec![answer(200, "", "not json")]),
    ];
    for (outcome, fault) in faults {
        let (bad, good) = (Fake::always(fault).await, Fake::always([completion("hi")]).await);
        let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
        let got = app.complete().await;
        assert_eq!(
            (got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")),
            (200, "b", "2"),
            "{outcome}"
        );
        assert_eq!((bad.requests().len(), good.requests().len()), (1, 1), "{outcome}: each is asked once");
        let failed = format!(r#"vx11_provider_requests_total{{model="m-a",outcome="{outcome}",provider="a"}}"#);
        assert_eq!(app.metric(&failed).await, 1.0, "{outcome}");
        assert_eq!(app.metric(&format!(r#"vx11_fallbacks_total{{reason="{outcome}"}}"#)).await, 1.0);
        assert_eq!(app.metric(r#"vx11_tokens_generated_total{model="m-b",provider="b"}"#).await, 2.0);
    }
}

#[tokio::test]
async fn a_large_answer_is_an_answer_whole_and_streamed() {
    let text = "x".repeat(9 * 1024 * 1024);
    let (whole, stream) =
        ([completion(&text)], [stream_head(), chunk(&text), event(STOP), event(USAGE), event("[DONE]")]);
    let (whole, stream) = (Fake::always(whole).await, Fake::always(stream).await);
    let got = App::in_front_of(&[&whole.url], &[]).await.complete().await;
    assert_eq!((got.status, got.json()["choices"][0]["message"]["content"].as_str().unwrap().len()), (200, text.len()));
    let app = App::in_front_of(&[&stream.url], &[]).await;
    let got = app.stream().await;
    assert!(got.body.len() > text.len() && got.body.ends_with("data: [DONE]\n\n"), "{}", got.body.len());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_paid_for_and_asked_of_nobody_else() {
    let text = "x".repeat(33 * 1024 * 1024);
    let (whole, stream) = (vec![completion(&text)], vec![stream_head(), chunk("Hel"), chunk(&text)]);
    for (fault, streamed) in [(whole, false), (stream, true)] {
        let (bad, good) = (Fake::always(fault).await, Fake::always([completion("hi")]).await);
        let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
        let (got, status) = if streamed { (app.stream().await, 200) } else { (app.complete().await, 502) };
        assert_eq!((got.status, got.body.contains("answer_too_large")), (status, true), "{streamed}");
        assert!(good.requests().is_empty(), "it is not paid for twice");
        assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0);
        let asked = r#"vx11_provider_requests_total{model="m-a",outcome="answer_too_large",provider="a"}"#;
        app.wait_for_metric(asked, 1.0).await;
        let usage = async || Answer::of(app.get("/switch/usage")).await.json()["rows"][0]["prompt_tokens"].clone();
        eventually("it is in the ledger", async || usage().await.as_u64().is_some_and(|tokens| tokens > 0)).await;
    }
}

#[tokio::test]
async fn a_silent_and_an_absent_provider_are_covered_too() {
    let (silent, good) = (Fake::always([Act::Wait]).await, Fake::always([completion("hi")]).await);
    let timeout = [("VX11_SWITCH__PROVIDERS__A__TIMEOUT", "500ms")];
    let app = App::in_front_of(&[&silent.url, &nobody(), &good.url], &timeout).await;
    let got = app.complete().await;
    assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")), (200, "c", "3"));
    for (provider, outcome) in [("a", "timeout"), ("b", "connect"), ("c", "success")] {
        let series = format!(
            r#"vx11_provider_requests_total{{model="m-{provider}",outcome="{outcome}",provider="{provider}"}}"#
        );
        assert_eq!(app.metric(&series).await, 1.0, "{series}");
    }
}

#[tokio::test]
async fn a_fault_of_the_callers_is_answered_as_the_provider_put_it() {
    for status in [400, 413, 422] {
        let (refusing, other) = (Fake::always([error(status, "")]).await, Fake::always([completion("hi")]).await);
        let app = App::in_front_of(&[&refusing.url, &other.url], &[]).await;
        let got = app.complete().await;
        assert_eq!(got.status, status);
        assert_eq!(got.json()["error"]["message"], format!("provider says {status}"));
        assert!(other.requests().is_empty(), "{status} is not shopped around");
        assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0);
    }
}

#[tokio::test]
async fn a_model_that_the_first_provider_does_not_have_is_answered_by_the_next() {
    let (retired, page) = (error(404, ""), answer(404, "", "<html>Not Found</html>"));
    for (missing, failures) in [(retired, 0), (page, 1)] {
        let (without, with) = (Fake::always([missing.clone()]).await, Fake::always([completion("hi")]).await);
        let app = App::in_front_of(&[&without.url, &with.url], &[]).await;
        let got = app.complete().await;
        assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")), (200, "b", "2"));
        assert_eq!(without.requests().len(), 1, "it is not asked again");
        assert_eq!(
            app.provider("a").await["breaker"]["failure_count"],
            failures,
            "a page is no answer of a provider's"
        );
    }
}

#[tokio::test]
async fn where_nobody_has_the_model_the_first_provider_says_so() {
    let fake = Fake::always([error(404, "")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = app.complete().await;
    assert_eq!((got.status, got.json()["error"]["message"].as_str()), (404, Some("provider says 404")));
    let got = app.chat(serde_json::json!({})).await;
    assert_eq!((got.status, got.json()["error"]["code"].as_str()), (502, Some("upstream_error")), "{}", got.body);
    let page = Fake::always([answer(404, "", "<html>Not Found</html>")]).await;
    let got = App::in_front_of(&[&page.url], &[]).await.complete().await;
    assert_eq!((got.status, got.code()), (502, "upstream_error"));
}

#[tokio::test]
async fn the_last_providers_error_is_passed_on_where_it_means_something_to_the_caller() {
    let limited = Fake::always([error(429, "retry-after: 7\r\n")]).await;
    let got = App::in_front_of(&[&limited.url], &[]).await.complete().await;
    assert_eq!((got.status, got.header("retry-after"), got.header("retry-after-ms")), (429, "7", "7000"));
    assert_eq!(got.json()["error"]["message"], "provider says 429");

    let limited = Fake::always([error(429, "retry-after-ms: 1250\r\n")]).await;
    let got = App::in_front_of(&[&limited.url], &[]).await.complete().await;
    assert_eq!((got.header("retry-after"), got.header("retry-after-ms")), ("2", "1250"));

    let unauthorised = Fake::always([error(401, "")]).await;
    let got = App::in_front_of(&[&unauthorised.url], &[]).await.complete().await;
    assert_eq!((got.status, got.code()), (502, "upstream_credentials_exhausted"));
    assert!(!got.body.contains("provider says"), "what a provider says about our key is not for the caller");
}

#[tokio::test]
async fn the_deadline_holds_with_a_silent_provider() {
    let silent = Fake::always([Act::Wait]).await;
    let app = App::in_front_of(&[&silent.url, &silent.url], &[]).await;
    let request = app.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#);
    let got = Answer::of(request.header("x-vx11-deadline-ms", "2000")).await;
    assert_eq!((got.status, got.code()), (504, "deadline_exceeded"));
    eventually("it has the request", async || !silent.requests().is_empty()).await;
    assert_eq!(silent.requests().len(), 1, "there was no time for the second");
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0, "a caller in a hurry proves nothing");
}

#[tokio::test]
async fn a_pinned_provider_has_no_stand_in() {
    let (bad, good) = (Fake::always([error(503, "")]).await, Fake::always([completion("hi")]).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    let pinned = |model: &str, provider: &str| {
        let body = format!(r#"{{"model":"{model}","messages":[]}}"#);
        Answer::of(app.post("/v1/chat/completions", body).header("x-vx11-provider", provider))
    };
    let got = pinned("m", "a").await;
    assert_eq!((got.status, got.header("x-vx11-provider"), good.requests().len()), (503, "a", 0));
    assert_eq!(pinned("m", "b").await.status, 200);

    let got = pinned("m", "nobody").await;
    assert_eq!((got.status, got.code()), (404, "unknown_provider"));
    let message = got.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("a, b, deepseek_r1, local, mock"), "{message}");
    assert_eq!(pinned("m-a", "b").await.json()["error"]["code"], "model_not_found");
}

#[tokio::test]
async fn a_model_is_found_by_target_by_name_and_by_pattern() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for (asked, sent, label) in [
        ("m", "m-a", "m-a"),
        ("a/free-choice", "free-choice", "other"),
        ("m-a", "m-a", "m-a"),
        ("any-thing", "any-thing", "any-*"),
    ] {
        let before = app
            .metric(&format!(r#"vx11_provider_requests_total{{model="{label}",outcome="success",provider="a"}}"#))
            .await;
        let got = Answer::of(app.post("/v1/chat/completions", format!(r#"{{"model":"{asked}","messages":[]}}"#))).await;
        assert_eq!((got.status, got.header("x-vx11-model")), (200, sent));
        let after = app
            .metric(&format!(r#"vx11_provider_requests_total{{model="{label}",outcome="success",provider="a"}}"#))
            .await;
        assert_eq!(after, before + 1.0, "{label}");
    }
}

#[tokio::test]
async fn a_models_name_is_no_place_to_keep_things_in() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for (bytes, status) in [(256, 200), (257, 400)] {
        let name = format!("a/{}", "x".repeat(bytes - 2));
        let body = format!(r#"{{"model":"{name}","messages":[]}}"#);
        let got = Answer::of(app.post("/v1/chat/completions", body)).await;
        assert_eq!(got.status, status, "{}", got.body);
        let rerouted = app.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#);
        let got = Answer::of(rerouted.header("x-vx11-model", &name)).await;
        assert_eq!(got.status, status, "{}", got.body);
        let messages = serde_json::json!([{"role": "user", "content": "x"}]);
        let body = serde_json::json!({"model": name, "messages": messages, "session_id": "s", "correlation_id": "c"});
        let got = Answer::of(app.post("/switch/chat", body.to_string())).await;
        assert_eq!(got.status == 200, status == 200, "{}", got.body);
    }
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn bad_requests_get_openais_error_and_reach_no_provider() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let twice = r#"{"model":"m","messages":[],"model":"m"}"#;
    for (body, status, code, param) in [
        ("", 400, "invalid_request", None),
        ("{", 400, "invalid_request", None),
        ("[]", 400, "invalid_request", None),
        (twice, 400, "invalid_request", None),
        ("{}", 400, "invalid_request", Some("model")),
        (r#"{"model":7,"messages":[]}"#, 400, "invalid_request", Some("model")),
        (r#"{"model":"m"}"#, 400, "invalid_request", Some("messages")),
        (r#"{"model":"m","messages":{}}"#, 400, "invalid_request", Some("messages")),
        (r#"{"model":"m","messages":[],"stream":1}"#, 400, "invalid_request", Some("stream")),
        (r#"{"model":"gpt-9","messages":[]}"#, 404, "model_not_found", None),
        (r#"{"model":"","messages":[]}"#, 404, "model_not_found", None),
    ] {
        let got = Answer::of(app.post("/v1/chat/completions", body)).await;
        let error = &got.json()["error"];
        assert_eq!(
            (got.status, error["code"].as_str(), error["param"].as_str()),
            (status, Some(code), param),
            "{body}"
        );
    }
    let invalid_utf8 = Answer::of(app.post("/v1/chat/completions", b"{\"model\":\"\xff\"}".to_vec())).await;
    assert_eq!(
        (invalid_utf8.status, invalid_utf8.json()["error"]["type"].as_str()),
        (400, Some("invalid_request_error"))
    );
    let wrong_method = Answer::of(app.get("/v1/chat/completions").header("x-correlation-id", "corr-2")).await;
    assert_eq!(
        (wrong_method.status, wrong_method.header("allow"), wrong_method.header("x-request-id")),
        (405, "POST", "corr-2")
    );
    let error = wrong_method.json()["error"].as_object().unwrap().clone();
    assert_eq!(error.keys().collect::<Vec<_>>(), ["code", "message", "param", "type"]);
    let huge = Answer::of(app.post("/v1/chat/completions", vec![b' '; 8 * 1024 * 1024 + 1])).await;
    assert_eq!((huge.status, huge.code()), (413, "payload_too_large"));
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_megabyte_of_image_goes_through() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let body = format!(r#"{{"messages":["{}"],"model":"m"}}"#, "A".repeat(1 << 20));
    let got = Answer::of(app.post("/v1/chat/completions", body.clone())).await;
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(fake.requests()[0].ends_with(&body.replace("\"m\"", "\"m-a\"")));
}

#[tokio::test]
async fn an_error_in_the_gateways_words_tells_who_was_asked() {
    let (reset, page) = (Fake::always([Act::Reset]).await, Fake::always([answer(500, "", "<html>")]).await);
    let without_breakers = [("VX11_SWITCH__USE_CIRCUIT_BREAKERS", "false")];
    let app = App::in_front_of(&[&reset.url, &page.url], &without_breakers).await;
    for (path, body) in [
        ("/v1/chat/completions", r#"{"model":"m","messages":[]}"#),
        ("/v1/chat/completions", r#"{"model":"m","messages":[],"stream":true}"#),
        ("/v1/responses", r#"{"model":"m","input":"x"}"#),
        ("/v1/messages", r#"{"model":"m","max_tokens":1,"messages":[]}"#),
        (
            "/switch/chat",
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"session_id":"s","correlation_id":"c"}"#,
        ),
    ] {
        let got = Answer::of(app.post(path, body)).await;
        let told = ["x-vx11-provider", "x-vx11-model", "x-vx11-attempts"].map(|name| got.header(name));
        assert_eq!((got.status, told), (502, ["b", "m-b", "2"]), "{path}: {}", got.body);
        assert!(got.header("x-vx11-overhead-ms").parse::<f64>().is_ok(), "{path}");
        assert!(got.body.contains("no provider answered"), "{path}: {}", got.body);
    }
}

#[tokio::test]
async fn a_limit_without_a_body_keeps_its_time_however_it_is_told() {
    for (headers, seconds) in [
        ("retry-after: 7\r\n", 7..=7),
        ("retry-after-ms: 2500\r\n", 3..=3),
        ("retry-after: Fri, 31 Dec 2100 23:59:59 GMT\r\n", 3600..=3600),
    ] {
        let limited = Fake::always([answer(429, headers, "")]).await;
        let got = App::in_front_of(&[&limited.url], &[]).await.complete().await;
        let told: u64 = got.header("retry-after").parse().unwrap();
        assert!(got.status == 429 && seconds.contains(&told), "{headers}: {told}");
        assert_eq!(got.header("retry-after-ms"), (told * 1000).to_string());
    }
}
