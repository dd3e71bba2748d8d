//! `POST /v1/chat/completions` with `stream: true`.

use crate::app::{Answer, App};
use crate::fake::{Act, Fake, STOP, USAGE, answer, chunk, chunk_json, error, event, stream_head, whole_stream};

#[tokio::test]
async fn a_whole_stream_goes_through_as_it_is() {
    let fake = Fake::always(whole_stream()).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = app.stream().await;
    assert_eq!((got.status, got.header("content-type")), (200, "text/event-stream"));
    assert_eq!((got.header("x-vx11-provider"), got.header("x-vx11-attempts")), ("a", "1"));
    let (hel, lo) = (chunk_json("Hel"), chunk_json("lo"));
    assert_eq!(got.events(), [&*hel, &*lo, STOP, "[DONE]"], "nobody asked for the usage");

    app.wait_for_metric("vx11_streams_active", 0.0).await;
    for (series, value) in [
        (r#"vx11_provider_requests_total{model="m-a",outcome="success",provider="a"}"#, 1.0),
        (r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#, 2.0),
        (r#"vx11_tokens_total{kind="prompt",model="m-a",provider="a"}"#, 3.0),
        (r#"vx11_provider_time_to_first_token_seconds_count{provider="a"}"#, 1.0),
        (r#"vx11_provider_time_per_output_token_seconds_count{provider="a"}"#, 1.0),
        ("vx11_gateway_overhead_seconds_count", 1.0),
    ] {
        assert_eq!(app.metric(series).await, value, "{series}");
    }
}

#[tokio::test]
async fn until_the_first_event_another_provider_takes_over_unseen() {
    let error_event = r#"{"error":{"message":"overloaded"}}"#;
    let faults = [
        ("http_429", vec![error(429, "")]),
        ("http_500", vec![error(500, "")]),
        ("transport", vec![Act::Reset]),
        ("stream_cut", vec![stream_head()]),
        ("stream_cut", vec![stream_head(), Act::Say(": wait\n\n".to_owned()), Act::Reset]),
        ("stream_cut", vec![stream_head(), Act::Say("data: {\"choi".to_owned())]),
        ("invalid_answer", vec![stream_head(), event("{\"choi")]),
        ("http_500", vec![stream_head(), event(error_event)]),
        ("invalid_answer", vec![stream_head(), event("[DONE]")]),
        ("invalid_answer", vec![answer(200, "", r#"{"choices":[{}]}"#)]),
        ("timeout", vec![stream_head(), Act::Wait]),
    ];
    for (outcome, fault) in faults {
        let (bad, good) = (Fake::always(fault).await, Fake::always(whole_stream()).await);
        let timeout = ("VX11_SWITCH__PROVIDERS__A__TIMEOUT", if outcome == "timeout" { "1s" } else { "15s" });
        let app = App::in_front_of(&[&bad.url, &good.url], &[timeout]).await;
        let got = app.stream().await;
        assert_eq!(
            (got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")),
            (200, "b", "2"),
            "{outcome}"
        );
        assert_eq!(got.events().len(), 4, "{}", got.body);
        let failed = format!(r#"vx11_provider_requests_total{{model="m-a",outcome="{outcome}",provider="a"}}"#);
        assert_eq!(app.metric(&failed).await, 1.0, "{outcome}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_and_no_mark() {
    let faults = [
        ("stream_cut", vec![]),
        ("stream_cut", vec![Act::Reset]),
        ("stream_cut", vec![Act::Say("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"secr".to_owned())]),
        (
            "invalid_answer",
            vec![event("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"secr"), event("{\"cho"), event("[DONE]")],
        ),
        ("invalid_answer", vec![event(r#"{"error":{"message":"overloaded"}}"#)]),
        ("stalled", vec![Act::Wait]),
    ];
    for (outcome, fault) in faults {
        let acts: Vec<Act> = [stream_head(), chunk("Hel")].into_iter().chain(fault).collect();
        let bad = Fake::always(acts).await;
        let limit = if outcome == "stalled" { "1s" } else { "15s" };
        let idle = [("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", limit)];
        let app = App::in_front_of(&[&bad.url], &idle).await;
        let got = app.stream().await;
        let events = got.events();
        assert_eq!((got.status, events.len(), events[0]), (200, 2, &*chunk_json("Hel")), "{}", got.body);
        let error: serde_json::Value = serde_json::from_str(events[1]).unwrap();
        assert_eq!(error["error"]["code"], "upstream_error");
        assert!(error["error"]["message"].as_str().unwrap().contains(outcome), "{error}");
        assert!(!got.body.contains("[DONE]") && !got.body.contains("secr"), "{}", got.body);
        let failed = format!(r#"vx11_provider_requests_total{{model="m-a",outcome="{outcome}",provider="a"}}"#);
        assert_eq!(app.metric(&failed).await, 1.0, "{outcome}");
        assert_eq!(
            app.metric(r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#).await,
            1.0,
            "what came is counted"
        );
        assert_eq!(app.provider("a").await["breaker"]["failure_count"], 1, "{outcome}");
    }
}

#[tokio::test]
async fn a_stream_may_not_go_on_for_ever() {
    let acts = [stream_head(), chunk("Hel"), Act::Wait];
    let fake = Fake::always(acts).await;
    let total = [("VX11_SWITCH__PROVIDERS__A__STREAM_TOTAL_TIMEOUT", "3s")];
    let app = App::in_front_of(&[&fake.url], &total).await;
    let got = app.stream().await;
    assert!(got.events()[1].contains(r#""code":"deadline_exceeded""#), "{}", got.body);
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0, "it was alive");
}

#[tokio::test]
async fn a_complete_answer_is_finished_however_its_stream_ends() {
    let unterminated = Act::Say(format!("data: {STOP}"));
    let endings = [
        vec![event(STOP)],
        vec![event(STOP), event(USAGE)],
        vec![event(STOP), Act::Reset],
        vec![event(STOP), Act::Wait],
        vec![unterminated],
        vec![event(STOP), Act::Say("data: [DONE]".to_owned())],
    ];
    for ending in endings {
        let said = format!("{ending:?}");
        let limit = if matches!(ending.last(), Some(Act::Wait)) { "1s" } else { "15s" };
        let acts: Vec<Act> = [stream_head(), chunk("Hello")].into_iter().chain(ending).collect();
        let fake = Fake::always(acts).await;
        let idle = [("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", limit)];
        let app = App::in_front_of(&[&fake.url], &idle).await;
        let got = app.stream().await;
        let events = got.events();
        assert_eq!((events[0], events[1]), (&*chunk_json("Hello"), STOP), "{said}");
        assert_eq!((events.last(), got.body.matches("[DONE]").count()), (Some(&"[DONE]"), 1), "{said}");
        assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0, "{said}");
    }
}

#[tokio::test]
async fn with_several_choices_each_must_finish() {
    let second = r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#;
    for (acts, whole) in [(vec![event(STOP)], false), (vec![event(STOP), event(second)], true)] {
        let acts: Vec<Act> = [stream_head(), chunk("Hello")].into_iter().chain(acts).collect();
        let fake = Fake::always(acts).await;
        let app = App::in_front_of(&[&fake.url], &[]).await;
        let got =
            Answer::of(app.post("/v1/chat/completions", r#"{"model":"m","messages":[],"stream":true,"n":2}"#)).await;
        assert_eq!(got.events().last() == Some(&"[DONE]"), whole, "{}", got.body);
    }
}

#[tokio::test]
async fn when_no_stream_begins_the_answer_is_a_plain_error() {
    let refusing = Fake::always([error(400, "")]).await;
    let got = App::in_front_of(&[&refusing.url], &[]).await.stream().await;
    assert_eq!((got.status, got.json()["error"]["message"].as_str()), (400, Some("provider says 400")));

    let silent = Fake::always([Act::Wait]).await;
    let app = App::in_front_of(&[&silent.url], &[]).await;
    let body = r#"{"model":"m","messages":[],"stream":true}"#;
    let got = Answer::of(app.post("/v1/chat/completions", body).header("x-vx11-deadline-ms", "100")).await;
    assert_eq!((got.status, got.code()), (504, "deadline_exceeded"));
}
