//! The edge: what it lets through, what it refuses, and that it holds nothing back.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use vx11_tests::{Caller, Chain, Process, TOKEN, base_env, send, wait_until};

/// The edge alone, with `operator` in place of the operator.
struct Edge {
    process: Process,
    address: String,
    _data: tempfile::TempDir,
}

impl Edge {
    fn start(operator: &str, extra: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let mut env: BTreeMap<String, String> = base_env(data.path());
        env.insert("VX11_OPERATOR_URL".to_owned(), format!("http://{operator}"));
        // Nothing listens there.
        env.insert("VX11_SWITCH_URL".to_owned(), "http://127.0.0.1:9".to_owned());
        env.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut process = Process::start("tentaculo", &env, &[]).expect("starts");
        let address = process.addresses(&["tentaculo"]).expect("listens").remove("tentaculo").expect("an address");
        Self { process, address, _data: data }
    }

    fn call(&self) -> Caller {
        Caller::new(format!("http://{}", self.address), Some(TOKEN))
    }

    async fn websocket(&self) -> tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>> {
        let mut request = format!("ws://{}/operator/ws", self.address).into_client_request().expect("a request");
        request.headers_mut().insert("x-vx11-token", TOKEN.parse().expect("a header"));
        tokio_tungstenite::connect_async(request).await.expect("a WebSocket").0
    }
}

/// A WebSocket server that sends back what it gets, and closes with 4001 when it is told to `leave`.
async fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a WebSocket");
                while let Some(Ok(message)) = socket.next().await {
                    if message == Message::text("leave") {
                        let frame = CloseFrame { code: CloseCode::Library(4001), reason: "told to".into() };
                        let _ = socket.close(Some(frame)).await;
                    } else if message.is_text() || message.is_binary() {
                        let _ = socket.send(message).await;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn websockets_go_through_both_ways_with_their_close_codes() {
    let edge = Edge::start(&echo_server().await, &[]);
    let mut socket = edge.websocket().await;
    let large = vec![7_u8; 1024 * 1024];
    for message in [Message::text("hello"), Message::binary(large)] {
        socket.send(message.clone()).await.expect("sent");
        assert!(socket.next().await.expect("an answer").expect("whole") == message);
    }
    wait_until("the edge has counted", async || {
        let text = edge.call().get("/metrics").await.body.as_str().expect("text").to_owned();
        let counted = [
            "vx11_websocket_connections_active 1",
            r#"messages_total{direction="in"} 2"#,
            r#"messages_total{direction="out"} 2"#,
        ];
        counted.iter().all(|line| text.contains(line)).then_some(())
    })
    .await;
    socket.send(Message::text("leave")).await.expect("sent");
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no close") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "told to"));
    drop(socket);
    wait_until("the edge has counted down", async || {
        let text = edge.call().get("/metrics").await.body.as_str().expect("text").to_owned();
        text.contains("vx11_websocket_connections_active 0").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stopping_edge_says_goodbye_to_websockets() {
    let mut edge = Edge::start(&echo_server().await, &[]);
    let mut socket = edge.websocket().await;
    socket.send(Message::text("hello")).await.expect("sent");
    assert!(socket.next().await.expect("an answer").is_ok());
    edge.process.signal(nix::sys::signal::Signal::SIGTERM).expect("signalled");
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no close") };
    assert_eq!(u16::from(frame.code), 1001);
    drop(socket);
    assert_eq!(edge.process.wait().expect("stops").code(), Some(0));
}

#[tokio::test]
async fn a_websocket_without_the_token_is_refused() {
    let edge = Edge::start(&echo_server().await, &[]);
    let refused = tokio_tungstenite::connect_async(format!("ws://{}/operator/ws", edge.address)).await;
    let Err(tokio_tungstenite::tungstenite::Error::Http(answer)) = refused else { panic!("not refused") };
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn tokens_of_a_stream_arrive_one_by_one() {
    let chain = Chain::start().expect("starts");
    // After two tokens the provider falls silent for ever: what came before must not be held back.
    let body =
        json!({ "model": "mock+stall=2", "stream": true, "messages": [{ "role": "user", "content": "tokens: 9" }] });
    let response =
        chain.edge().request(Method::POST, "/v1/chat/completions").json(&body).send().await.expect("an answer");
    let mut stream = response.bytes_stream();
    let mut text = String::new();
    while text.matches("\"content\"").count() < 3 {
        text += &String::from_utf8_lossy(&stream.next().await.expect("more").expect("whole"));
    }
    drop(stream);
    let mock = chain.call("mock-provider");
    wait_until("the provider sees that the client has gone", async || {
        let seen = mock.get("/admin/requests").await;
        (seen.body[0]["outcome"] == "client_disconnected").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_call_all_the_way_down() {
    let chain = Chain::start().expect("starts");
    let set = chain.call("mock-provider").request(Method::PUT, "/admin/faults").json(&json!({ "plan": "hang" }));
    assert_eq!(send(set).await.expect("set").status, 200);
    let edge = chain.edge();
    let chat = tokio::spawn(async move { edge.chat("Hello").await });
    let mock = chain.call("mock-provider");
    wait_until("the provider is asked", async || {
        (mock.get("/admin/requests").await.body[0]["outcome"] == "in_flight").then_some(())
    })
    .await;
    chat.abort();
    wait_until("the provider's caller has gone", async || {
        (mock.get("/admin/requests").await.body[0]["outcome"] == "client_disconnected").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_down_is_named_in_the_shape_that_its_clients_read() {
    let edge = Edge::start("127.0.0.1:9", &[]);
    let chat = edge.call().chat("Hello").await;
    assert_eq!((chat.status, chat.code()), (503, "service_unavailable"), "{}", chat.body);
    assert!(chat.body["detail"].as_str().is_some_and(|text| text.contains("operator")), "{}", chat.body);
    for _ in 0..6 {
        let models = edge.call().get("/v1/models").await;
        assert_eq!((models.status, &models.body["error"]["type"]), (503, &json!("server_error")), "{}", models.body);
        assert_ne!(models.header("retry-after"), "");
    }
    let ready = edge.call().get("/ready").await;
    assert_eq!(ready.body["dependencies"]["switch"]["status"], "down", "the circuit is open: {}", ready.body);
}

#[tokio::test]
async fn limits_by_address_and_browsers_rules_hold() {
    let edge = Edge::start(
        "127.0.0.1:9",
        &[
            ("VX11_TENTACULO__ADDRESS_LIMIT__PER_MINUTE", "1"),
            ("VX11_TENTACULO__ADDRESS_LIMIT__BURST", "3"),
            ("VX11_TENTACULO__ALLOWED_ORIGINS", r#"["https://app.example"]"#),
        ],
    );
    let preflight = edge.call().with_token(None).request(Method::OPTIONS, "/operator/api/chat");
    let preflight = preflight
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-vx11-token, content-type");
    let allowed = send(preflight).await.expect("an answer");
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, "https://app.example"));
    let stranger = edge.call().request(Method::GET, "/").header("origin", "https://evil.example");
    assert_eq!(send(stranger).await.expect("an answer").header("access-control-allow-origin"), "");

    let answer = wait_until("the limit is reached", async || {
        let answer = edge.call().get("/").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!((answer.status, answer.code()), (429, "rate_limited"), "{}", answer.body);
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    assert_eq!(answer.body["retry_after"], answer.header("retry-after").parse::<u64>().expect("seconds"));
    assert_eq!(edge.call().get("/health").await.status, 200, "probes are not limited");
}

#[tokio::test]
async fn a_path_cannot_climb_into_another_service() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let chain = Chain::start().expect("starts");
    for path in ["/operator/../madre/power/state", "/operator/%2e%2e/madre/power/state", "/operator\\..\\madre"] {
        let mut stream = TcpStream::connect(chain.address("tentaculo")).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-vx11-token: {TOKEN}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
}
