//! The event stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::app::{Answer, App, TOKEN, eventually};
use crate::event_stream::{Event, Reader, events};

const PATH: &str = "/operator/api/events";

fn follow(app: &App) -> RequestBuilder {
    app.request(Method::GET, &format!("{PATH}?follow=true"))
}

async fn backlog(app: &App, last: Option<&str>) -> Vec<Event> {
    let request = app.request(Method::GET, &format!("{PATH}?follow=false"));
    let answer = Answer::of(match last {
        Some(id) => request.header("last-event-id", id),
        None => request,
    })
    .await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/event-stream"), "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-cache");
    events(&answer.body)
}

fn ids(events: &[Event]) -> Vec<i64> {
    events.iter().filter_map(|event| event.id).collect()
}

async fn chats(app: &App, count: usize) {
    for _ in 0..count {
        assert_eq!(app.say("hello").await.status, 200);
    }
}

#[tokio::test]
async fn without_following_the_backlog_is_sent_and_the_stream_ends() {
    let app = App::with(&[("VX11_OPERATOR__EVENTS__BACKLOG", "3")]).await;
    assert_eq!(backlog(&app, None).await, []);
    chats(&app, 5).await;
    assert_eq!(ids(&backlog(&app, None).await), [3, 4, 5], "the latest, the oldest of them first");
    let after = backlog(&app, Some("1")).await;
    assert_eq!(ids(&after), [2, 3, 4]);
    assert_eq!((after[0].name.as_str(), &after[0].data["action"]), ("copilot_action", &json!("chat")));
    assert_eq!(ids(&backlog(&app, Some("-7")).await), [1, 2, 3]);
    assert_eq!(backlog(&app, Some("9223372036854775807")).await, []);
    let by_query = app.get(&format!("{PATH}?last_event_id=4")).await;
    assert_eq!(ids(&events(&by_query.body)), [5]);
    for unusable in ["x", "", "1.5", "9223372036854775808"] {
        let answer = Answer::of(app.request(Method::GET, PATH).header("last-event-id", unusable)).await;
        assert_eq!((answer.status, answer.field()), (422, "Last-Event-ID"), "{unusable}");
    }
}

#[tokio::test]
async fn a_follower_sees_what_happens_from_now_on() {
    let app = App::start().await;
    chats(&app, 2).await;
    let mut reader = Reader::open(follow(&app)).await;
    let said = app.chat(json!({ "message": "hello", "session_id": "s" })).await;
    let event = reader.next().await.expect("an event");
    assert_eq!((event.id, &event.data["correlation_id"]), (Some(3), &json!(said.correlation_id())));
    assert_eq!((&event.data["session_id"], &event.data["target"]), (&json!("s"), &json!("switch")));
}

#[tokio::test]
async fn a_follower_that_comes_back_misses_nothing_and_sees_nothing_twice() {
    let app = Arc::new(App::start().await);
    let busy = tokio::spawn({
        let app = app.clone();
        async move { chats(&app, 60).await }
    });
    let (mut seen, mut last) = (Vec::new(), 0);
    while last < 60 {
        let mut reader = Reader::open(follow(&app).header("last-event-id", last)).await;
        for _ in 0..7 {
            if last == 60 {
                break;
            }
            last = reader.next().await.and_then(|event| event.id).expect("an event");
            seen.push(last);
        }
    }
    busy.await.expect("no panic");
    assert_eq!(seen, (1..=60).collect::<Vec<i64>>());
}

#[tokio::test]
async fn followers_that_come_at_any_time_have_no_gap() {
    let app = Arc::new(App::start().await);
    let watched = Arc::new(AtomicBool::new(true));
    let busy = tokio::spawn({
        let (app, watched) = (app.clone(), watched.clone());
        async move {
            while watched.load(Ordering::Relaxed) {
                chats(&app, 1).await;
            }
        }
    });
    let readers = (0..12).map(async |_| {
        let mut reader = Reader::open(follow(&app)).await;
        let first = reader.next().await.and_then(|event| event.id).expect("an event");
        for expected in first + 1..first + 30 {
            assert_eq!(reader.next().await.and_then(|event| event.id), Some(expected));
        }
    });
    futures_util::future::join_all(readers).await;
    watched.store(false, Ordering::Relaxed);
    busy.await.expect("no panic");
}

#[tokio::test]
async fn a_stream_token_opens_the_stream_and_nothing_else() {
    let app = App::start().await;
    chats(&app, 1).await;
    let minted = app.post("/operator/api/events/sse-token", json!({})).await.data().clone();
    assert_eq!((&minted["ttl_sec"], &minted["endpoint"]), (&json!(60), &json!(PATH)));
    let token = minted["sse_token"].as_str().expect("a text");
    assert!(!token.contains(TOKEN));
    let anyone = async |method: Method, path: &str| Answer::of(app.anyone(method, path)).await;
    let opened = anyone(Method::GET, &format!("{PATH}?token={token}")).await;
    assert_eq!((opened.status, ids(&events(&opened.body))), (200, vec![1]));
    for wrong in ["nonsense", "", TOKEN, "9999999999.00", &format!("9{token}")] {
        let answer = anyone(Method::GET, &format!("{PATH}?token={wrong}")).await;
        assert_eq!((answer.status, answer.code()), (403, "invalid_token"), "{wrong}");
    }
    for (method, path) in [
        (Method::GET, "/operator/api/sessions"),
        (Method::GET, "/operator/api/events/"),
        (Method::POST, PATH),
        (Method::POST, "/operator/api/chat"),
    ] {
        let answer = anyone(method, &format!("{path}?token={token}")).await;
        assert_eq!((answer.status, answer.code()), (401, "missing_token"), "{path}");
    }
    let as_header = Answer::of(app.anyone(Method::GET, PATH).header("x-vx11-token", token)).await;
    assert_eq!(as_header.status, 403);
}

#[tokio::test]
async fn a_service_that_goes_down_and_comes_back_is_news() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__SWITCH_HEALTH_TTL", "30ms")]).await;
    let mut reader = Reader::open(follow(&app)).await;
    app.switch.on("/health", crate::fake::Does::Answer(503, Value::Null));
    let down = reader.next().await.expect("an event");
    assert_eq!(down.name, "service_status");
    assert_eq!((&down.data["service"], &down.data["status"]), (&json!("switch"), &json!("down")));
    assert!(down.data["timestamp"].is_string() && down.data["correlation_id"].is_string());
    let good = json!({ "status": "ok", "module": "switch", "version": "1", "timestamp": "t" });
    app.switch.on("/health", crate::fake::Does::Answer(200, good));
    assert_eq!(reader.next().await.expect("an event").data["status"], "up");
}

#[tokio::test]
async fn a_silent_stream_has_heartbeats_and_an_old_one_is_closed() {
    let app =
        App::with(&[("VX11_OPERATOR__EVENTS__HEARTBEAT", "20ms"), ("VX11_OPERATOR__EVENTS__MAX_AGE", "3s")]).await;
    let mut reader = Reader::open(follow(&app)).await;
    assert_eq!(reader.block().await.as_deref(), Some(": heartbeat"));
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn streams_are_bounded_and_a_closed_one_makes_room() {
    let app = App::with(&[("VX11_OPERATOR__EVENTS__MAX_STREAMS", "1")]).await;
    let reader = Reader::open(follow(&app)).await;
    let refused = Answer::of(follow(&app)).await;
    assert_eq!((refused.status, refused.code(), refused.header("retry-after")), (503, "overloaded", "5"));
    assert_eq!(backlog(&app, None).await, [], "the backlog holds no place");
    drop(reader);
    eventually("there is room", async || follow(&app).send().await.expect("an answer").status() == 200).await;
}

#[tokio::test]
async fn open_streams_do_not_hold_up_a_stop() {
    let app = App::start().await;
    let mut reader = Reader::open(follow(&app)).await;
    app.begin_shutdown();
    assert_eq!(reader.next().await, None);
    app.stopped().await;
}
