//! What is refused before anybody is asked.

use reqwest::Method;
use serde_json::json;

use crate::app::{Answer, App};

/// A chat body around `message`.
fn saying(message: &str) -> Vec<u8> {
    json!({ "message": message }).to_string().into_bytes()
}

#[tokio::test]
async fn a_body_that_cannot_be_used_gets_the_documented_code_and_its_field() {
    let app = App::start().await;
    let deep = format!(r#"{{"message":"x","context":{}{}}}"#, r#"{"a":"#.repeat(200), "}".repeat(200));
    let cases: Vec<(Vec<u8>, u16, &str, &str)> = vec![
        (b"".to_vec(), 422, "invalid_field", "message"),
        (b"{}".to_vec(), 422, "invalid_field", "message"),
        (b"{\"message\": ".to_vec(), 400, "malformed_request", ""),
        (b"{\"message\": \"x\"} trailing".to_vec(), 400, "malformed_request", ""),
        (b"{\"message\": \"\xff\xfe\"}".to_vec(), 400, "malformed_request", ""),
        (br#"{"message": "\ud800"}"#.to_vec(), 400, "malformed_request", ""),
        (br#"{"message": "x", "context": {"n": 1e999}}"#.to_vec(), 400, "malformed_request", ""),
        (deep.into_bytes(), 400, "malformed_request", ""),
        (b"null".to_vec(), 422, "invalid_field", "."),
        (br#""hello""#.to_vec(), 422, "invalid_field", "."),
        (br#"{"message": 7}"#.to_vec(), 422, "invalid_field", "message"),
        (br#"{"message": null}"#.to_vec(), 422, "invalid_field", "message"),
        (br#"{"message": "x", "message": "y"}"#.to_vec(), 422, "invalid_field", "."),
        (br#"{"message": "x", "stream": "yes"}"#.to_vec(), 422, "invalid_field", "stream"),
        (br#"{"message": "x", "context": []}"#.to_vec(), 422, "invalid_field", "context"),
        (br#"{"message": "x", "sesion_id": "s"}"#.to_vec(), 422, "invalid_field", "sesion_id"),
        (br#"{"message": "x", "session_id": ""}"#.to_vec(), 422, "invalid_field", "session_id"),
        (br#"{"message": "x", "session_id": "two words"}"#.to_vec(), 422, "invalid_field", "session_id"),
        (br#"{"message": "x", "session_id": "\u0000"}"#.to_vec(), 422, "invalid_field", "session_id"),
        (br#"{"message": "x", "correlation_id": "\u00f1"}"#.to_vec(), 422, "invalid_field", "correlation_id"),
        (saying(""), 422, "invalid_field", "message"),
        (saying(" \t\n\u{3000}"), 422, "invalid_field", "message"),
        (saying(&"x".repeat(4001)), 413, "message_too_long", ""),
        (saying(&"ñ".repeat(4001)), 413, "message_too_long", ""),
        (saying(&"x".repeat(10 * 1024 * 1024)), 413, "payload_too_large", ""),
    ];
    for (body, status, code, field) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = Answer::of(app.request(Method::POST, "/operator/api/chat").body(body)).await;
        assert_eq!((answer.status, answer.code(), answer.field()), (status, code, field), "{shown}: {}", answer.body);
        assert_eq!((&answer["ok"], answer.header("content-type")), (&json!(false), "application/json"));
        assert!(answer["detail"].is_string() && answer["timestamp"].is_string(), "{}", answer.body);
    }
    assert!(app.switch.asked("/switch/chat").is_empty() && app.madre.asked("/madre/chat").is_empty());
}

#[tokio::test]
async fn the_longest_message_and_odd_text_arrive_as_they_were_sent() {
    let app = App::start().await;
    for message in [&"x".repeat(4000), &"ñ".repeat(4000), "a\0b", "🐟 \u{202e}abc\u{2028}", "'; DROP TABLE turns; --"]
    {
        let answer = app.say(message).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let asked = app.switch.asked("/switch/chat").pop().expect("asked");
        assert_eq!(asked.body["messages"][0]["content"], message);
        let path = format!("/operator/api/sessions/{}", answer["session_id"].as_str().expect("an id"));
        // PostgreSQL's texts have no place for U+0000, which is kept as its picture.
        assert_eq!(app.get(&path).await.data()["history"][0]["message"], message.replace('\0', "␀"));
    }
}

#[tokio::test]
async fn a_deadline_that_is_no_number_is_malformed() {
    let app = App::start().await;
    for value in ["soon", "-1", "1.5", "99999999999999999999999"] {
        let request = app.chat_request(&json!({ "message": "x" })).header("x-vx11-deadline-ms", value);
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{value}");
    }
}

#[tokio::test]
async fn a_query_that_does_not_fit_names_its_parameter() {
    let app = App::start().await;
    let cases = [
        ("sessions?limit=0", "limit"),
        ("sessions?limit=-1", "limit"),
        ("sessions?limit=501", "limit"),
        ("sessions?limit=99999999999999999999", "limit"),
        ("sessions?limit=many", "limit"),
        ("sessions?before=nonsense", "before"),
        ("sessions?before=zzz,s", "before"),
        ("sessions/s?after=9223372036854775808", "after"),
        ("audit?limit=0", "limit"),
        ("audit?before=x", "before"),
        ("audit?since=yesterday", "since"),
        ("audit?until=2026-13-01T00:00:00Z", "until"),
        ("metrics?period=2h", "period"),
        ("metrics?period=", "period"),
        ("metrics?period=1H", "period"),
        ("events?follow=yes", "follow"),
        ("events?last_event_id=x", "last_event_id"),
        ("metrics?perod=24h", "perod"),
        ("sessions?page=2", "page"),
        ("sessions/s?before=1", "before"),
        ("audit?session=s", "session"),
        ("events?folow=true", "folow"),
    ];
    for (query, field) in cases {
        let answer = app.get(&format!("/operator/api/{query}")).await;
        assert_eq!((answer.status, answer.code(), answer.field()), (422, "invalid_field", field), "{query}");
    }
}
