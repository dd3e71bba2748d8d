//! Chats whose answer comes as it is made.

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::event_stream::{Event, events};
use crate::fake::{Beat, Does, done, frame, token};

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

/// The tokens after the last fallback, put together.
fn text(events: &[Event]) -> String {
    let valid = events.rsplit(|event| event.name == "fallback").next().expect("a last part");
    valid.iter().filter(|event| event.name == "token").filter_map(|event| event.data["content"].as_str()).collect()
}

#[tokio::test]
async fn a_streamed_chat_has_a_start_its_tokens_and_the_whole_answer() {
    let app = App::start().await;
    let reasoning = frame(&json!({ "type": "reasoning", "content": "hm" }));
    app.switch.on("/switch/chat", Does::Stream(vec![reasoning, token("Hel"), token("lo"), done("Hello")]));
    let body = json!({ "message": "hello", "session_id": "s", "correlation_id": "c", "stream": true });
    let answer = app.chat(body).await;
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("text/event-stream", "no-cache"));
    assert_eq!(answer.header("x-correlation-id"), "c");
    let events = events(&answer.body);
    assert_eq!(names(&events), ["start", "reasoning", "token", "token", "done"]);
    assert_eq!(events[0].data, json!({ "type": "start", "correlation_id": "c", "session_id": "s" }));
    let last = &events[4].data;
    assert_eq!((&last["response"], text(&events).as_str()), (&json!("Hello"), "Hello"));
    assert_eq!(
        (&last["provider"], &last["degraded"], &last["session_id"]),
        (&json!("switch"), &json!(false), &json!("s"))
    );
    assert_eq!(app.count("SELECT count(*) FROM turns WHERE correlation_id = 'c' AND response = 'Hello'"), 1);
    assert_eq!(app.count("SELECT count(*) FROM performance_logs WHERE correlation_id = 'c'"), 1);
    assert_eq!(app.switch.asked("/switch/chat")[0].body["stream"], true);
}

#[tokio::test]
async fn the_accept_header_asks_for_a_stream_too_and_a_repetition_streams_from_memory() {
    let app = App::start().await;
    let hello = json!({ "message": "hello", "session_id": "s" });
    for (cache_hit, asked) in [(Value::Null, 1), (json!(true), 1)] {
        let request = app.chat_request(&hello).header("accept", "application/json;q=0.5, text/event-stream");
        let events = events(&Answer::of(request).await.body);
        assert_eq!(names(&events), ["start", "token", "done"]);
        assert_eq!((events[2].data["cache_hit"].clone(), text(&events).as_str()), (cache_hit, "from the switch"));
        assert_eq!(app.switch.asked("/switch/chat").len(), asked);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_made_void_and_madre_answers() {
    let soon_believed = ("VX11_OPERATOR__CHAT__SWITCH_HEALTH_TTL", "20ms");
    let patient = App::with(&[soon_believed]).await;
    let impatient = App::with(&[soon_believed, ("VX11_OPERATOR__CHAT__STREAM_IDLE", "1s")]).await;
    let error = frame(&json!({
        "type": "error", "ok": false, "detail": "broke", "error": { "code": "upstream_error" },
        "correlation_id": "c", "timestamp": "t",
    }));
    let mut not_ok = json!({ "type": "done" });
    for (name, value) in crate::fake::reply("x").as_object().expect("an object") {
        not_ok[name] = value.clone();
    }
    not_ok["status"] = json!("error");
    let cases: [(Vec<Beat>, &str); 7] = [
        (vec![Beat::Cut], "stream_cut"),
        (vec![], "stream_cut"),
        (vec![Beat::Wait], "stalled"),
        (vec![error], "stream_failed"),
        (vec![frame(&not_ok)], "invalid_answer"),
        (vec![Beat::Raw("data: nonsense\n\n".to_owned())], "invalid_answer"),
        (vec![Beat::Raw("x".repeat(2 * 1024 * 1024))], "invalid_answer"),
    ];
    for (rest, why) in cases {
        let app = if why == "stalled" { &impatient } else { &patient };
        eventually("the switch is believed in", async || app.get("/ready").await["status"] == "ready").await;
        let beats = [token("void")].into_iter().chain(rest).collect();
        app.switch.on("/switch/chat", Does::Stream(beats));
        let events = app.stream("hello").await;
        assert_eq!(names(&events), ["start", "token", "fallback", "token", "done"], "{why}");
        assert_eq!((&events[2].data["reason"], text(&events).as_str()), (&json!(why), "from madre"));
        let last = &events[4].data;
        assert_eq!(
            (&last["provider"], &last["degraded"], &last["fallback_source"]),
            (&json!("madre"), &json!(true), &json!(why))
        );
    }
}

#[tokio::test]
async fn a_stream_that_nobody_can_finish_ends_with_an_error() {
    let app = App::start().await;
    app.madre.on("/madre/chat", Does::Answer(500, Value::Null));
    for beats in [vec![token("void"), Beat::Cut], vec![]] {
        app.switch.on("/switch/chat", Does::Stream(beats));
        let events = app.stream("hello").await;
        let last = events.last().expect("events");
        assert_eq!((last.name.as_str(), &last.data["error"]["code"]), ("error", &json!("service_unavailable")));
        assert_eq!(last.data["correlation_id"], events[0].data["correlation_id"]);
        assert!(!names(&events).contains(&"done"));
    }
    app.written().await;
    assert_eq!(app.count("SELECT count(*) FROM copilot_actions_log WHERE action = 'chat' AND status = 'error'"), 2);
    assert_eq!(app.count("SELECT count(*) FROM turns"), 0);
}

#[tokio::test]
async fn without_the_switch_madres_answer_is_streamed() {
    let app = App::start().await;
    app.switch.die().await;
    for _ in 0..2 {
        let events = app.stream("hello").await;
        assert_eq!(names(&events), ["start", "token", "done"]);
        assert_eq!((&events[2].data["degraded"], text(&events).as_str()), (&json!(true), "from madre"));
    }
    let chosen = app.chat(json!({ "message": "hello", "provider": "madre", "stream": true })).await;
    assert_eq!(events(&chosen.body)[2].data["degraded"], false);
}

#[tokio::test]
async fn a_stream_keeps_to_its_callers_deadline() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Stream(vec![token("slow"), Beat::Wait]));
    let request = app.chat_request(&json!({ "message": "hello", "stream": true })).header("x-vx11-deadline-ms", "5000");
    let events = events(&Answer::of(request).await.body);
    assert_eq!(names(&events), ["start", "token", "fallback", "token", "done"]);
    assert_eq!(events[2].data["reason"], "timeout");
    assert_eq!(app.get("/ready").await["dependencies"]["switch"]["status"], "up", "its caller was in a hurry");
}

#[tokio::test]
async fn the_switch_is_told_when_to_begin_and_no_deadline_but_the_callers() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Stream(vec![token("Hel"), done("Hello")]));
    for (number, deadline) in [None, Some("60000")].into_iter().enumerate() {
        let mut request = app.chat_request(&json!({ "message": format!("hello {number}"), "stream": true }));
        if let Some(ms) = deadline {
            request = request.header("x-vx11-deadline-ms", ms);
        }
        assert_eq!(names(&events(&Answer::of(request).await.body)), ["start", "token", "done"]);
        let asked = app.switch.asked("/switch/chat").pop().expect("asked");
        let told = |name: &str| asked.headers.get(name).map(|ms| ms.parse::<u64>().expect("a number"));
        assert_eq!(told("x-vx11-deadline-ms").is_some(), deadline.is_some(), "a long stream is not cut");
        assert!(
            told("x-vx11-begin-timeout-ms").is_some_and(|ms| (20_000..=30_000).contains(&ms)),
            "{:?}",
            asked.headers
        );
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_the_stream_and_leaves_a_row() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Stream(vec![token("Hel"), Beat::Wait]));
    let body = json!({ "message": "hello", "correlation_id": "gone", "stream": true });
    let mut response = app.chat_request(&body).send().await.expect("an answer");
    let mut read = String::new();
    while !read.contains("Hel") {
        read += std::str::from_utf8(&response.chunk().await.expect("whole").expect("more")).expect("UTF-8");
    }
    drop(response);
    eventually("the switch's work is cancelled", async || app.switch.hung_up() == 1).await;
    app.notes_who_left("gone").await;
    assert_eq!(app.count("SELECT count(*) FROM turns"), 0);
    assert!(app.madre.asked("/madre/chat").is_empty());
}

#[tokio::test]
async fn what_is_refused_is_refused_in_plain_json() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__RATE_LIMIT", "1")]).await;
    let blank = app.chat(json!({ "message": " ", "stream": true })).await;
    assert_eq!((blank.status, blank.field()), (422, "message"));
    let hello = json!({ "message": "hello", "session_id": "s", "stream": true });
    assert_eq!(app.chat(hello.clone()).await.status, 200);
    assert_eq!(app.chat(hello).await.code(), "rate_limited");
}
