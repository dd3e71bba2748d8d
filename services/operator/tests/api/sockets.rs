//! `/ws/interventions` as pilots' screens meet it.

use futures_util::{SinkExt, StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Request;
use vx11_testing::PATIENCE;

use crate::app::{Answer, App, TOKEN, eventually};
use crate::event_stream::Reader;

const ALL: &str = "/operator/api/interventions";
const PATH: &str = "/ws/interventions";

struct Socket(tokio_tungstenite::WebSocketStream<TcpStream>);

impl Socket {
    /// Opens `path` with these headers.
    async fn open(app: &App, path: &str, headers: &[(&'static str, &str)]) -> Self {
        let stream = TcpStream::connect(app.address()).await.expect("connects");
        Self::over(stream, app, path, headers).await
    }

    async fn over(stream: TcpStream, app: &App, path: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request: Request<()> =
            format!("ws://{}{path}", app.address()).into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        Self(tokio_tungstenite::client_async(request, stream).await.expect("an open socket").0)
    }

    /// With the token, and subscribed.
    async fn subscribed(app: &App, headers: &[(&'static str, &str)]) -> Self {
        let headers = [&[("x-vx11-token", TOKEN)], headers].concat();
        let mut socket = Self::open(app, PATH, &headers).await;
        assert_eq!(socket.ask(json!({"type": "subscribe"})).await["success"], true);
        socket
    }

    async fn say(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.expect("sent");
    }

    async fn ask(&mut self, frame: Value) -> Value {
        self.say(frame).await;
        self.next().await
    }

    async fn came(&mut self) -> Message {
        loop {
            let came = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something comes");
            match came.expect("not its end").expect("whole") {
                Message::Ping(_) | Message::Pong(_) => {}
                other => return other,
            }
        }
    }

    /// The next message.
    async fn next(&mut self) -> Value {
        match self.came().await {
            Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    /// The code that it is closed with, next.
    async fn closed(mut self) -> u16 {
        match self.came().await {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("{other:?}"),
        }
    }
}

async fn ask_as(app: &App, org: &str, body: Value) -> String {
    let answer = Answer::of(app.request(Method::POST, ALL).header("x-vx11-org", org).json(&body)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer["data"]["request_id"].as_str().expect("an id").to_owned()
}

async fn ask(app: &App) -> String {
    ask_as(app, "default", json!({"title": "Deploy?", "action": {"name": "deploy", "args": {"env": "prod"}}})).await
}

/// A stream token of `org`.
async fn stream_token(app: &App, org: &str) -> String {
    let minting = app.request(Method::POST, "/operator/api/events/sse-token").header("x-vx11-org", org);
    Answer::of(minting).await.data()["sse_token"].as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn a_pilot_hears_of_a_request_and_decides_it() {
    let app = App::start().await;
    let mut watching = Socket::subscribed(&app, &[]).await;
    let mut pilot = Socket::open(&app, "/ws/dashboard", &[("x-vx11-token", TOKEN)]).await;
    let id = ask(&app).await;
    let new = watching.next().await;
    assert_eq!((&new["type"], &new["data"]["request_id"]), (&json!("new_request"), &json!(id)));

    let pending = pilot.ask(json!({"type": "get_pending", "payload": {"limit": 5}, "id": "a"})).await;
    assert_eq!((&pending["type"], &pending["id"]), (&json!("get_pending"), &json!("a")));
    assert_eq!(pending["data"]["items"][0]["request_id"], *id);
    let review = pilot.ask(json!({"type": "action", "data": {"request_id": id, "action": "REVIEW"}})).await;
    assert_eq!(review["data"]["status"], "IN_PROGRESS");
    let approve = json!({"type": "action", "request_id": id, "action": "APPROVE", "reason": "fine", "id": 7});
    let approved = pilot.ask(approve.clone()).await;
    assert_eq!((&approved["success"], &approved["data"]["status"]), (&json!(true), &json!("APPROVED")));
    assert_eq!((&approved["data"]["decision"]["by"], &approved["id"]), (&json!("service"), &json!(7)));
    let late = pilot.ask(approve).await;
    assert_eq!((&late["success"], &late["error"]["code"], &late["id"]), (&json!(false), &json!("conflict"), &json!(7)));

    for (old, new) in [("PENDING", "IN_PROGRESS"), ("IN_PROGRESS", "APPROVED")] {
        let changed = watching.next().await;
        let data = &changed["data"];
        assert_eq!(changed["type"], "status_changed");
        assert_eq!((&data["old_status"], &data["new_status"]), (&json!(old), &json!(new)));
        assert_eq!((&data["request_id"], &data["updated_by"]), (&json!(id), &json!("service")));
    }
    let completed = watching.next().await;
    assert_eq!((&completed["type"], &completed["data"]["status"]), (&json!("action_completed"), &json!("APPROVED")));

    let detail = pilot.ask(json!({"type": "request_detail", "request_id": id})).await;
    assert_eq!(detail["data"]["status"], "APPROVED");
    assert_eq!(pilot.ask(json!({"type": "get_metrics"})).await["data"]["approved_interventions"], 1);
    assert_eq!(pilot.ask(json!({"type": "get_history"})).await["data"]["items"][0]["request_id"], *id);
}

#[tokio::test]
async fn what_is_no_command_is_answered_and_the_socket_stays() {
    let app = App::start().await;
    let mut socket = Socket::open(&app, "/ws", &[("x-vx11-token", TOKEN)]).await;
    for frame in [json!([]), json!({"type": "dance"}), json!({"type": "request_detail"})] {
        assert_eq!(socket.ask(frame).await["error"]["code"], "malformed_request");
    }
    let nothing = socket.ask(json!({"type": "request_detail", "request_id": "r"})).await;
    assert_eq!(nothing["error"], json!({"code": "not_found", "message": "no such intervention"}));
    let too_many = socket.ask(json!({"type": "get_pending", "limit": 501})).await;
    assert_eq!(too_many["error"]["code"], "invalid_field");
    let nobody = socket.ask(json!({"type": "action", "request_id": "r", "action": "REJECT"})).await;
    assert_eq!(nobody["error"]["code"], "not_found");
    assert_eq!(socket.ask(json!({"type": "ping", "id": 1})).await["type"], "pong");
    socket.say(json!({"type": "ping", "data": "x".repeat(65 * 1024)})).await;
    assert_eq!(socket.closed().await, 1009);
    let plain = app.get(PATH).await;
    assert_eq!((plain.status, plain.code()), (400, "malformed_request"));
}

#[tokio::test]
async fn who_has_left_the_feed_is_sent_nothing_more_of_it() {
    let app = App::start().await;
    let mut socket = Socket::subscribed(&app, &[]).await;
    assert_eq!(socket.ask(json!({"type": "unsubscribe"})).await["type"], "unsubscribe");
    ask(&app).await;
    assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
    let mine = json!({"type": "subscribe", "pilot_id": "ana"});
    let told = json!({"org_id": "default", "pilot_id": "ana", "topics": ["interventions"]});
    assert_eq!(socket.ask(mine).await["data"], told);
    for (pilot, title) in [(Some("bob"), "his"), (Some("ana"), "hers"), (None, "anybody's")] {
        ask_as(&app, "default", json!({"title": title, "assigned_to": pilot})).await;
    }
    assert_eq!(socket.next().await["data"]["title"], "hers");
    assert_eq!(socket.next().await["data"]["title"], "anybody's");
}

#[tokio::test]
async fn who_wants_it_hears_of_its_organisations_units_too() {
    let app = App::start().await;
    let mut plain = Socket::subscribed(&app, &[]).await;
    let mut both = Socket::open(&app, PATH, &[("x-vx11-token", TOKEN)]).await;
    let topics = json!({"type": "subscribe", "topics": ["interventions", "units"]});
    assert_eq!(both.ask(topics).await["data"]["topics"], json!(["interventions", "units"]));
    let mut theirs = Socket::open(&app, PATH, &[("x-vx11-token", TOKEN), ("x-vx11-org", "globex")]).await;
    assert_eq!(theirs.ask(json!({"type": "subscribe", "topics": ["units"]})).await["success"], true);

    let unit = json!({"uow_id": "u1", "instance_id": "i-1", "title": "Ship it"});
    assert_eq!(app.post("/operator/api/units", unit).await.status, 201);
    assert_eq!(app.post("/operator/api/units/u1/transitions", json!({"step": "build"})).await.status, 200);
    for (old, new, version) in [(Value::Null, "PENDING", 1), (json!("PENDING"), "ACTIVE", 2)] {
        let pushed = both.next().await;
        assert_eq!((&pushed["type"], &pushed["data"]["uow_id"]), (&json!("unit_status_changed"), &json!("u1")));
        let data = &pushed["data"];
        assert_eq!((&data["old_status"], &data["new_status"]), (&old, &json!(new)), "{pushed}");
        assert_eq!((&data["instance_id"], &data["version"]), (&json!("i-1"), &json!(version)));
    }
    ask(&app).await;
    assert_eq!(both.next().await["type"], "new_request");
    assert_eq!(plain.next().await["type"], "new_request", "who has not asked for them hears nothing of units");

    let only = json!({"type": "subscribe", "topics": ["units"]});
    assert_eq!(both.ask(only).await["data"]["topics"], json!(["units"]));
    ask(&app).await;
    let cancel = json!({"reason": "enough"});
    assert_eq!(app.post("/operator/api/pilot/cancel/u1", cancel).await.status, 200);
    let pushed = both.next().await;
    assert_eq!((&pushed["data"]["new_status"], &pushed["data"]["reason"]), (&json!("FAILED"), &json!("enough")));
    let register = app.request(Method::POST, "/operator/api/units").header("x-vx11-org", "globex");
    let unit = json!({"uow_id": "theirs", "instance_id": "i-1", "title": "t"});
    assert_eq!(Answer::of(register.json(&unit)).await.status, 201);
    assert_eq!(theirs.next().await["data"]["uow_id"], "theirs", "the first that it hears of");
    let unknown = both.ask(json!({"type": "subscribe", "topics": ["unit"]})).await;
    assert_eq!(unknown["error"]["code"], "malformed_request");
}

#[tokio::test]
async fn an_organisation_hears_and_sees_nothing_of_another_one() {
    let app = App::start().await;
    let mut acme = Socket::subscribed(&app, &[("x-vx11-org", "acme")]).await;
    let mut globex = Socket::subscribed(&app, &[("x-vx11-org", "globex")]).await;
    let id = ask_as(&app, "acme", json!({"title": "acme's"})).await;
    let detail = globex.ask(json!({"type": "request_detail", "request_id": id})).await;
    assert_eq!(detail["error"]["code"], "not_found");
    let action = globex.ask(json!({"type": "action", "request_id": id, "action": "APPROVE", "version": 1})).await;
    assert_eq!(action["error"]["code"], "not_found");
    assert_eq!(globex.ask(json!({"type": "get_pending"})).await["data"]["items"], json!([]));
    assert_eq!(globex.ask(json!({"type": "get_metrics"})).await["data"]["total_interventions"], 0);
    ask_as(&app, "globex", json!({"title": "globex's"})).await;
    assert_eq!(globex.next().await["data"]["title"], "globex's", "the first that it hears of");
    assert_eq!(acme.next().await["data"]["title"], "acme's");

    let token = stream_token(&app, "acme").await;
    let mut by_token = Socket::open(&app, &format!("{PATH}?token={token}"), &[("x-vx11-org", "globex")]).await;
    let subscribed = by_token.ask(json!({"type": "subscribe"})).await;
    assert_eq!(subscribed["data"]["org_id"], "acme", "a token is whose it is");
    app.written().await;
    let events = Answer::of(app.anyone(Method::GET, &format!("/operator/api/events?token={token}"))).await;
    assert_eq!(events.status, 200, "{}", events.body);
    assert!(events.body.contains("acme's") && !events.body.contains("globex's"), "{}", events.body);
}

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

#[tokio::test]
async fn metrics_come_from_time_to_time() {
    let app = App::with(&[("VX11_OPERATOR__INTERVENTIONS__METRICS_INTERVAL", "20ms")]).await;
    let id = ask(&app).await;
    let mut socket = Socket::subscribed(&app, &[]).await;
    let update = socket.next().await;
    assert_eq!((&update["type"], &update["data"]["pending_interventions"]), (&json!("metrics_update"), &json!(1)));
    let decided = app.post(&format!("{ALL}/{id}/reject"), json!({"version": 1})).await;
    assert_eq!(decided.status, 200);
    while socket.next().await["data"]["rejected_interventions"] != 1 {}
}

#[tokio::test]
async fn who_does_not_answer_is_closed() {
    let app = App::with(&[("VX11_OPERATOR__INTERVENTIONS__SOCKET_PING", "300ms")]).await;
    let _mute = Socket::subscribed(&app, &[]).await;
    eventually("it is gone", async || app.metric("vx11_websocket_connections_active").await == 0.0).await;
    let mut answering = Socket::subscribed(&app, &[]).await;
    for _ in 0..3 {
        let came = tokio::time::timeout(PATIENCE, answering.0.next()).await.expect("pings come");
        assert!(matches!(came, Some(Ok(Message::Ping(_)))), "{came:?}");
    }
    assert_eq!(answering.ask(json!({"type": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn a_stopping_service_says_going_away() {
    let app = App::start().await;
    let subscribed = Socket::subscribed(&app, &[]).await;
    let nobody_yet = Socket::open(&app, PATH, &[]).await;
    app.begin_shutdown();
    assert_eq!(subscribed.closed().await, 1001);
    assert_eq!(nobody_yet.closed().await, 1001);
    app.stopped().await;
}

/// More than a socket holds for a client that reads nothing: the kernel's buffers and those of the connection.
const LARGE: usize = 220;
/// More than the feed keeps.
const SMALL: usize = 320;

#[tokio::test]
async fn who_reads_slowly_is_told_how_much_it_missed() {
    let app = App::start().await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small window");
    let stream = socket.connect(app.address()).await.expect("connects");
    let mut slow = Socket::over(stream, &app, PATH, &[("x-vx11-token", TOKEN)]).await;
    assert_eq!(slow.ask(json!({"type": "subscribe"})).await["success"], true);
    let mut quick = Socket::subscribed(&app, &[]).await;
    let asking = async {
        let context = json!({"text": "x".repeat(60_000)});
        let bodies = (0..LARGE + SMALL).map(|number| match number {
            0..LARGE => json!({"title": "large", "context": context}),
            _ => json!({"title": "small"}),
        });
        stream::iter(bodies).map(|body| ask_as(&app, "default", body)).buffered(4).for_each(async |_| ()).await;
    };
    let reading = async {
        for _ in 0..LARGE + SMALL {
            assert_eq!(quick.next().await["type"], "new_request");
        }
    };
    tokio::join!(asking, reading);
    let mut seen = 0;
    let resync = loop {
        let push = slow.next().await;
        if push["type"] == "resync" {
            break push;
        }
        seen += 1;
    };
    assert_eq!(resync["data"]["missed"], LARGE + SMALL - seen);
    let id = ask(&app).await;
    assert_eq!(slow.next().await["data"]["request_id"], *id, "and it goes on from there");
}

#[tokio::test]
async fn the_event_stream_tells_of_interventions_too() {
    let app = App::start().await;
    let mut events = Reader::open(app.request(Method::GET, "/operator/api/events?follow=true")).await;
    let id = ask(&app).await;
    let decided = app.post(&format!("{ALL}/{id}/approve"), json!({"version": 1, "reason": "fine"})).await;
    assert_eq!(decided.status, 200);
    let [new, changed, completed] =
        [events.next().await, events.next().await, events.next().await].map(|event| event.expect("an event"));
    assert_eq!((new.name.as_str(), &new.data["request_id"]), ("intervention_new_request", &json!(id)));
    assert_eq!((&new.data["action"], &new.data["org_id"]), (&json!("deploy"), &json!("default")));
    assert_eq!(changed.name, "intervention_status_changed");
    assert_eq!(
        (&changed.data["old_status"], &changed.data["new_status"], &changed.data["version"]),
        (&json!("PENDING"), &json!("APPROVED"), &json!(2))
    );
    assert!(changed.data["timestamp"].is_string());
    assert_eq!(completed.name, "intervention_action_completed");
    assert_eq!(completed.data["decision"], json!({"kind": "approve", "by": "service"}));
    for event in [&new, &changed, &completed] {
        assert!(!event.data.to_string().contains("prod"), "arguments stay with the tenant: {}", event.data);
    }
    let resumed = app.request(Method::GET, "/operator/api/events").header("last-event-id", new.id.expect("an id"));
    let resumed = crate::event_stream::events(&Answer::of(resumed).await.body);
    assert_eq!(resumed, [changed, completed]);
}
