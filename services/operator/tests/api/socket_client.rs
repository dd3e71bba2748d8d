//! A pilot's screen, as these tests have one.

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Request;
use vx11_testing::PATIENCE;

use crate::app::{Answer, App, TOKEN};

/// Where requests are.
pub(crate) const ALL: &str = "/operator/api/interventions";
/// Where the socket is.
pub(crate) const PATH: &str = "/ws/interventions";

/// A client of the socket.
pub(crate) struct Socket(pub(crate) tokio_tungstenite::WebSocketStream<TcpStream>);

impl Socket {
    /// Opens `path` with these headers.
    pub(crate) async fn open(app: &App, path: &str, headers: &[(&'static str, &str)]) -> Self {
        let stream = TcpStream::connect(app.address()).await.expect("connects");
        Self::over(stream, app, path, headers).await
    }

    pub(crate) async fn over(stream: TcpStream, app: &App, path: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request: Request<()> =
            format!("ws://{}{path}", app.address()).into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        Self(tokio_tungstenite::client_async(request, stream).await.expect("an open socket").0)
    }

    /// With the token, and subscribed.
    pub(crate) async fn subscribed(app: &App, headers: &[(&'static str, &str)]) -> Self {
        let headers = [&[("x-vx11-token", TOKEN)], headers].concat();
        let mut socket = Self::open(app, PATH, &headers).await;
        assert_eq!(socket.ask(json!({"type": "subscribe"})).await["success"], true);
        socket
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.expect("sent");
    }

    pub(crate) async fn ask(&mut self, frame: Value) -> Value {
        self.say(frame).await;
        self.next().await
    }

    pub(crate) async fn came(&mut self) -> Message {
        loop {
            let came = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something comes");
            match came.expect("not its end").expect("whole") {
                Message::Ping(_) | Message::Pong(_) => {}
                other => return other,
            }
        }
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        match self.came().await {
            Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    /// The code that it is closed with, next.
    pub(crate) async fn closed(mut self) -> u16 {
        match self.came().await {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("{other:?}"),
        }
    }
}

/// The id of a request of `org` that is made of `body`.
pub(crate) async fn ask_as(app: &App, org: &str, body: Value) -> String {
    let answer = Answer::of(app.request(Method::POST, ALL).header("x-vx11-org", org).json(&body)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer["data"]["request_id"].as_str().expect("an id").to_owned()
}

/// The id of a request that waits.
pub(crate) async fn ask(app: &App) -> String {
    ask_as(app, "default", json!({"title": "Deploy?", "action": {"name": "deploy", "args": {"env": "prod"}}})).await
}

/// A stream token of `org`.
pub(crate) async fn stream_token(app: &App, org: &str) -> String {
    let minting = app.request(Method::POST, "/operator/api/events/sse-token").header("x-vx11-org", org);
    Answer::of(minting).await.data()["sse_token"].as_str().expect("a text").to_owned()
}
