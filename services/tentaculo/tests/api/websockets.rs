//! WebSockets: both ways, close codes, refusals, and the end of either side.

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::edge::{Answer, Edge, PATIENCE, TOKEN, eventually, read_head, request};
use crate::service::{Service, answer};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A service that sends back what it gets, says `left` to `ends` when a socket ends, and closes with 4001 on `leave`.
async fn echo() -> (String, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (ended, ends) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let ended = ended.clone();
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if message == Message::text("leave") {
                        let frame = CloseFrame { code: CloseCode::Library(4001), reason: "told to".into() };
                        let _ = socket.close(Some(frame)).await;
                    } else if message.is_text() || message.is_binary() {
                        let _ = socket.send(message).await;
                    }
                }
                let _ = ended.send(());
            });
        }
    });
    (url, ends)
}

async fn open(edge: &Edge, token: Option<&str>) -> Result<Socket, Error> {
    let mut request = format!("ws://{}/operator/ws?tenant=a", edge.address()).into_client_request()?;
    if let Some(token) = token {
        request.headers_mut().insert("x-vx11-token", token.parse().unwrap());
    }
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

async fn next(socket: &mut Socket) -> Message {
    tokio::time::timeout(PATIENCE, socket.next()).await.expect("something comes").unwrap().unwrap()
}

#[tokio::test]
async fn messages_of_every_size_go_both_ways() {
    let (url, _ends) = echo().await;
    let edge = Edge::in_front_of(&url, &[]).await;
    let mut socket = open(&edge, Some(TOKEN)).await.unwrap();
    for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
        for message in [Message::text("t".repeat(size)), Message::binary(vec![7; size])] {
            socket.send(message.clone()).await.unwrap();
            assert!(next(&mut socket).await == message, "{size} bytes");
        }
    }
    assert_eq!(edge.metric("vx11_websocket_connections_active").await, 1.0);
    for direction in ["in", "out"] {
        let series = format!(r#"vx11_websocket_messages_total{{direction="{direction}"}}"#);
        eventually("every message is counted", async || edge.metric(&series).await == 14.0).await;
    }
}

#[tokio::test]
async fn the_services_close_code_reaches_the_client() {
    let (url, _ends) = echo().await;
    let edge = Edge::in_front_of(&url, &[]).await;
    let mut socket = open(&edge, Some(TOKEN)).await.unwrap();
    socket.send(Message::text("leave")).await.unwrap();
    let Message::Close(Some(frame)) = next(&mut socket).await else { panic!("not a close") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "told to"));
    while socket.next().await.is_some() {}
    eventually("nothing is left", async || edge.metric("vx11_websocket_connections_active").await == 0.0).await;
}

#[tokio::test]
async fn a_client_that_goes_away_is_gone_for_the_service_too() {
    let (url, mut ends) = echo().await;
    let edge = Edge::in_front_of(&url, &[]).await;
    let mut socket = open(&edge, Some(TOKEN)).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    next(&mut socket).await;
    drop(socket);
    tokio::time::timeout(PATIENCE, ends.recv()).await.expect("the service learns of it");
    eventually("nothing is left", async || edge.metric("vx11_websocket_connections_active").await == 0.0).await;
}

#[tokio::test]
async fn a_socket_that_falls_silent_is_closed() {
    let (url, mut ends) = echo().await;
    let edge = Edge::in_front_of(&url, &[("VX11_TENTACULO__IDLE_TIMEOUT", "200ms")]).await;
    let mut socket = open(&edge, Some(TOKEN)).await.unwrap();
    let end = tokio::time::timeout(PATIENCE, socket.next()).await.expect("it ends");
    assert!(!matches!(end, Some(Ok(Message::Text(_)))), "{end:?}");
    tokio::time::timeout(PATIENCE, ends.recv()).await.expect("the service learns of it");
}

#[tokio::test]
async fn a_stopping_edge_says_going_away() {
    let (url, _ends) = echo().await;
    let edge = Edge::in_front_of(&url, &[]).await;
    let mut socket = open(&edge, Some(TOKEN)).await.unwrap();
    edge.shut_down();
    let Message::Close(Some(frame)) = next(&mut socket).await else { panic!("not a close") };
    assert_eq!(frame.code, CloseCode::Away);
    drop(socket);
    edge.stopped().await;
}

#[tokio::test]
async fn without_the_token_there_is_no_socket() {
    let (url, _ends) = echo().await;
    let edge = Edge::in_front_of(&url, &[]).await;
    for (token, status) in [(None, 401), (Some("wrong"), 403)] {
        let Err(Error::Http(refused)) = open(&edge, token).await else { panic!("must be refused") };
        assert_eq!(refused.status().as_u16(), status);
    }
}

#[tokio::test]
async fn operator_asks_itself_who_opens_its_sockets() {
    let service = Service::always([answer(404, "", "{}")]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for path in ["/ws", "/ws/interventions?token=a.b", "/ws/dashboard"] {
        for token in [None, Some("a-pilots-own"), Some(TOKEN)] {
            let mut request = format!("ws://{}{path}", edge.address()).into_client_request().unwrap();
            if let Some(token) = token {
                request.headers_mut().insert("x-vx11-token", token.parse().unwrap());
            }
            let Err(Error::Http(_)) = tokio_tungstenite::connect_async(request).await else { panic!("404") };
            assert!(service.last().starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{}", service.last());
            let passed: Vec<String> = token.into_iter().map(str::to_owned).collect();
            assert_eq!(service.header("x-vx11-token"), passed, "{path}: what the caller brought, and nothing else");
            assert_eq!(service.header("upgrade"), ["websocket"]);
        }
    }
    for (method, path) in [("POST", "/ws/interventions"), ("GET", "/wsx"), ("GET", "/operator/ws")] {
        let answer = Answer::of(edge.stranger(method.parse().unwrap(), path)).await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
}

/// An operator that takes nobody's word: it closes each socket with 4401 and this reason.
async fn closes_with(reason: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                let frame = CloseFrame { code: CloseCode::Library(4401), reason: reason.into() };
                let _ = socket.close(Some(frame)).await;
                while socket.next().await.is_some() {}
            });
        }
    });
    url
}

#[tokio::test]
async fn who_guesses_over_a_socket_is_slowed_too_and_who_came_too_late_is_not() {
    let guess = vx11_contracts::intervention::CLOSE_WRONG_TOKEN;
    for (reason, counted) in [(guess, 2.0), ("the token has expired, or was revoked", 0.0)] {
        let edge =
            Edge::in_front_of(&closes_with(reason).await, &[("VX11_TENTACULO__WRONG_TOKENS_PER_MINUTE", "2")]).await;
        let open = async || {
            let request = format!("ws://{}/ws?token=guess", edge.address()).into_client_request().unwrap();
            tokio_tungstenite::connect_async(request).await
        };
        for _ in 0..2 {
            let (mut socket, _) = open().await.unwrap();
            let Message::Close(Some(frame)) = next(&mut socket).await else { panic!("not a close") };
            assert_eq!(u16::from(frame.code), 4401);
        }
        assert_eq!(edge.metric("vx11_wrong_tokens_total").await, counted, "{reason}");
        match open().await {
            Err(Error::Http(refused)) => assert_eq!((refused.status().as_u16(), counted), (429, 2.0)),
            other => assert!(other.is_ok() && counted == 0.0, "{reason}"),
        }
    }
}

#[tokio::test]
async fn a_service_that_does_not_want_one_is_heard() {
    let service = Service::always([answer(404, "x-reason: none here\r\n", r#"{"ok":false}"#)]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let Err(Error::Http(refused)) = open(&edge, Some(TOKEN)).await else { panic!("must be refused") };
    assert_eq!((refused.status().as_u16(), &refused.headers()["x-reason"]), (404, &"none here".parse().unwrap()));
    assert!(service.last().starts_with("GET /operator/ws?tenant=a HTTP/1.1\r\n"), "{}", service.last());
    assert_eq!(service.header("upgrade"), ["websocket"]);
    assert_eq!(service.header("connection"), ["upgrade"]);
}

#[tokio::test]
async fn a_service_that_switches_protocols_unasked_is_a_bad_gateway() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    let service = Service::always([crate::service::Act::Say(head.to_owned())]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    assert_eq!(Answer::of(edge.get("/operator/ws")).await.refusal(), (502, "upstream_error".to_owned()));
}

#[tokio::test]
async fn half_an_upgrade_is_a_plain_request() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for lines in [
        ["upgrade: websocket", "x-nothing: 1", "content-length: 2"],
        ["connection: upgrade", "upgrade: h2c", "content-length: 2"],
    ] {
        let lines = [&["POST /operator/api/chat HTTP/1.1"], &lines[..]].concat();
        let mut connection = edge.connect().await;
        connection.write_all(&[request(&lines).as_slice(), b"{}"].concat()).await.unwrap();
        let head = read_head(&mut connection).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{lines:?}: {head}");
        assert!(service.last().ends_with("\r\n\r\n{}"), "{}", service.last());
        assert!(service.header("upgrade").is_empty(), "{}", service.last());
    }
}
