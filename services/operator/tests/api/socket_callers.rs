//! Who may have a socket, how many, and until when.

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::app::{Answer, App, TOKEN, eventually};
use crate::event_stream::Reader;
use crate::socket_client::{ALL, PATH, Socket, ask, ask_as, stream_token};

#[tokio::test]
async fn a_token_in_the_address_reads_and_does_not_decide() {
    let app = App::start().await;
    let id = ask(&app).await;
    let token = stream_token(&app, "default").await;
    let mut socket = Socket::open(&app, &format!("{PATH}?token={token}"), &[]).await;
    assert_eq!(socket.ask(json!({"type": "get_pending"})).await["data"]["items"][0]["request_id"], *id);
    let refused = socket.ask(json!({"type": "action", "request_id": id, "action": "APPROVE"})).await;
    assert_eq!(refused["error"]["code"], "forbidden");
}

#[tokio::test]
async fn who_is_nobody_is_closed_with_4401() {
    let app = App::start().await;
    for path in [format!("{PATH}?token=wrong"), format!("{PATH}?token={TOKEN}"), "/ws?token=1.x".to_owned()] {
        assert_eq!(Socket::open(&app, &path, &[]).await.closed().await, 4401, "{path}");
    }
    assert_eq!(Socket::open(&app, PATH, &[("x-vx11-token", "wrong")]).await.closed().await, 4401);
    for first in [json!({"type": "auth", "token": "wrong"}), json!({"type": "subscribe"}), json!(7)] {
        let mut socket = Socket::open(&app, PATH, &[]).await;
        socket.say(first).await;
        assert_eq!(socket.closed().await, 4401);
    }
    assert_eq!(app.metric("vx11_websocket_connections_active").await, 0.0);
}

/// A pilot's key: its id, and what opens.
async fn pilots_key(app: &App, org: &str) -> (String, String) {
    let body = json!({"name": "a pilot's", "org": org, "role": "OPERATOR", "scopes": ["pilot", "read"]});
    let made = app.post("/operator/api/keys", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made["data"]["key"]["id"]), text(&made["data"]["secret"]))
}

#[tokio::test]
async fn an_open_socket_ends_with_the_key_that_opened_it() {
    let app = App::start().await;
    let (key_id, key) = pilots_key(&app, "default").await;
    let mut by_header = Socket::open(&app, PATH, &[("x-api-key", &key)]).await;
    let mut by_frame = Socket::open(&app, PATH, &[]).await;
    assert_eq!(by_frame.ask(json!({"type": "auth", "token": key})).await["type"], "auth");
    let id = ask(&app).await;
    for socket in [&mut by_header, &mut by_frame] {
        assert_eq!(socket.ask(json!({"type": "subscribe"})).await["success"], true);
    }
    let revoked = Answer::of(app.request(Method::DELETE, &format!("/operator/api/keys/{key_id}"))).await;
    assert_eq!(revoked.status, 200);
    for mut socket in [by_header, by_frame] {
        socket.say(json!({"type": "action", "request_id": id, "action": "APPROVE"})).await;
        assert_eq!(socket.closed().await, 4401);
    }
    assert_eq!(app.get(&format!("{ALL}/{id}")).await.data()["status"], "PENDING");
}

/// More than a ping, which is half a minute away, would tell: what happens is sent to nobody who was shut out seconds ago.
#[tokio::test]
async fn what_happens_is_not_sent_to_who_was_shut_out() {
    let app = App::start().await;
    let (key_id, key) = pilots_key(&app, "default").await;
    let minting = app.anyone(Method::POST, "/operator/api/events/sse-token").bearer_auth(&key);
    let minted = Answer::of(minting).await.data()["sse_token"].as_str().expect("a text").to_owned();
    let mut by_key = Socket::open(&app, PATH, &[("x-api-key", &key)]).await;
    let mut by_stream_token = Socket::open(&app, &format!("{PATH}?token={minted}"), &[]).await;
    for socket in [&mut by_key, &mut by_stream_token] {
        assert_eq!(socket.ask(json!({"type": "subscribe"})).await["success"], true);
    }
    let mut events =
        Reader::open(app.anyone(Method::GET, &format!("/operator/api/events?follow=true&token={minted}"))).await;
    let revoked = Answer::of(app.request(Method::DELETE, &format!("/operator/api/keys/{key_id}"))).await;
    assert_eq!(revoked.status, 200);
    let again = Answer::of(app.anyone(Method::GET, &format!("/operator/api/events?token={minted}"))).await;
    assert_eq!(again.status, 403, "it opens nothing any more: {}", again.body);
    for mut socket in [by_key, by_stream_token] {
        let code = loop {
            ask(&app).await;
            if let Message::Close(Some(frame)) = socket.came().await {
                break u16::from(frame.code);
            }
        };
        assert_eq!(code, 4401);
    }
    while events.next().await.is_some() {
        ask(&app).await;
    }
}

#[tokio::test]
async fn a_key_in_the_address_opens_nothing() {
    let app = App::start().await;
    let (_, key) = pilots_key(&app, "default").await;
    assert_eq!(Socket::open(&app, &format!("{PATH}?token={key}"), &[]).await.closed().await, 4401);
    let events = Answer::of(app.anyone(Method::GET, &format!("/operator/api/events?token={key}"))).await;
    assert_eq!((events.status, events.code()), (403, "invalid_token"));
}

#[tokio::test]
async fn who_says_nothing_is_asked_again_with_each_ping() {
    let app = App::with(&[("VX11_OPERATOR__INTERVENTIONS__SOCKET_PING", "50ms")]).await;
    assert_eq!(app.post("/operator/api/orgs", json!({"id": "acme"})).await.status, 201);
    let (_, key) = pilots_key(&app, "acme").await;
    let minting = app.anyone(Method::POST, "/operator/api/events/sse-token").bearer_auth(&key);
    let minted = Answer::of(minting).await.data()["sse_token"].as_str().expect("a text").to_owned();
    let by_key = Socket::open(&app, PATH, &[("x-api-key", &key)]).await;
    let by_stream_token = Socket::open(&app, &format!("{PATH}?token={minted}"), &[]).await;
    assert_eq!(app.post("/operator/api/orgs/acme/close", json!({})).await.status, 200);
    assert_eq!(by_key.closed().await, 4401);
    assert_eq!(by_stream_token.closed().await, 4401);
}

#[tokio::test]
async fn the_first_frame_may_say_who_calls() {
    let app = App::start().await;
    let id = ask_as(&app, "acme", json!({"title": "acme's"})).await;
    let mut socket = Socket::open(&app, PATH, &[("x-vx11-org", "acme")]).await;
    let known = socket.ask(json!({"type": "auth", "token": TOKEN, "id": "1"})).await;
    assert_eq!((&known["type"], &known["id"]), (&json!("auth"), &json!("1")));
    assert_eq!(known["data"], json!({"org_id": "acme", "subject": "service", "role": "ADMIN"}));
    let approved = socket.ask(json!({"type": "action", "request_id": id, "action": "APPROVE"})).await;
    assert_eq!(approved["data"]["status"], "APPROVED");

    let token = stream_token(&app, "globex").await;
    let mut socket = Socket::open(&app, PATH, &[]).await;
    let known = socket.ask(json!({"type": "auth", "data": {"token": token}})).await;
    assert_eq!(known["data"]["org_id"], "globex");
    let refused = socket.ask(json!({"type": "action", "request_id": id, "action": "REJECT"})).await;
    assert_eq!(refused["error"]["code"], "forbidden");
}

#[tokio::test]
async fn sockets_are_counted_and_bounded_and_a_closed_one_makes_room() {
    let app = App::with(&[("VX11_OPERATOR__INTERVENTIONS__MAX_SOCKETS", "1")]).await;
    let mut socket = Socket::subscribed(&app, &[]).await;
    ask(&app).await;
    assert_eq!(socket.next().await["type"], "new_request");
    assert_eq!(app.metric("vx11_websocket_connections_active").await, 1.0);
    for (direction, messages) in [("in", 1.0), ("out", 2.0)] {
        let series = format!(r#"vx11_websocket_messages_total{{direction="{direction}"}}"#);
        assert_eq!(app.metric(&series).await, messages, "{direction}");
    }
    assert_eq!(Socket::open(&app, PATH, &[("x-vx11-token", TOKEN)]).await.closed().await, 1013);
    drop(socket);
    eventually("there is room", async || app.metric("vx11_websocket_connections_active").await == 0.0).await;
    Socket::subscribed(&app, &[]).await;
}

#[tokio::test]
async fn a_caller_has_a_few_sockets_and_the_oldest_makes_room() {
    let app = App::with(&[("VX11_OPERATOR__INTERVENTIONS__MAX_SOCKETS_PER_CALLER", "2")]).await;
    let ((_, ann), (_, bob)) = (pilots_key(&app, "default").await, pilots_key(&app, "default").await);
    let open = async |key: &str| {
        let mut socket = Socket::open(&app, PATH, &[("x-api-key", key)]).await;
        assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
        socket
    };
    let (oldest, mut second, mut other) = (open(&ann).await, open(&ann).await, open(&bob).await);
    let mut newest = open(&ann).await;
    assert_eq!(oldest.closed().await, 4409);
    for socket in [&mut second, &mut other, &mut newest] {
        assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
    }
}

#[tokio::test]
async fn a_socket_that_says_nothing_of_its_caller_is_counted() {
    let app = App::start().await;
    let mut nobody = Socket::open(&app, PATH, &[]).await;
    eventually("it is counted", async || app.metric("vx11_websocket_connections_unproven").await == 1.0).await;
    assert_eq!(nobody.ask(json!({"type": "auth", "token": TOKEN})).await["type"], "auth");
    eventually("it is known", async || app.metric("vx11_websocket_connections_unproven").await == 0.0).await;
    assert_eq!(app.metric("vx11_websocket_connections_active").await, 1.0);
}
