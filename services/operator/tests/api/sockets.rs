//! `/ws/interventions` as pilots' screens meet it.

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;
use vx11_testing::PATIENCE;

use crate::app::{Answer, App, TOKEN, eventually};
use crate::event_stream::Reader;
use crate::socket_client::{ALL, PATH, Socket, ask, ask_as, stream_token};

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
