//! The edge as its callers see it, started on a free port for one test.

use std::net::SocketAddr;

use reqwest::{Method, RequestBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vx11_testing::Running;
pub(crate) use vx11_testing::{Answer, PATIENCE, eventually};

/// The shared token.
pub(crate) const TOKEN: &str = "the-right-token";

/// A running edge.
pub(crate) struct Edge(Running);

impl Edge {
    /// Starts it with these variables.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        let common = [("VX11_TOKEN", TOKEN), ("VX11_HTTP__WORKERS", "1"), ("VX11_HTTP__DRAIN_TIMEOUT", "1s")];
        Self(Running::start(None, &[&common, variables].concat(), vx11_tentaculo::serve))
    }

    /// With one service in every place.
    pub(crate) async fn in_front_of(service: &str, more: &[(&str, &str)]) -> Self {
        let mut variables =
            vec![("VX11_OPERATOR_URL", service), ("VX11_MADRE_URL", service), ("VX11_SWITCH_URL", service)];
        variables.extend_from_slice(more);
        Self::start(&variables).await
    }

    /// A request without a token.
    pub(crate) fn stranger(&self, method: Method, path: &str) -> RequestBuilder {
        self.0.request(method, path)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.stranger(Method::GET, path).bearer_auth(TOKEN)
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.stranger(Method::POST, path).bearer_auth(TOKEN).body(body)
    }

    /// A connection of its own, for what no HTTP client would send.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// What comes back for `head`, whose line ends are added, and `body`, until the edge closes the connection.
    pub(crate) async fn raw(&self, head: &[&str], body: impl AsRef<[u8]>) -> String {
        let mut connection = self.connect().await;
        connection.write_all(&[request(head).as_slice(), body.as_ref()].concat()).await.unwrap();
        read_to_end(&mut connection).await
    }

    /// The circuit of one service, as the edge shows it.
    pub(crate) async fn circuit(&self, service: &str) -> String {
        let circuits = Answer::of(self.get("/tentaculo/circuits")).await.json();
        circuits[service]["state"].as_str().unwrap().to_owned()
    }

    /// The value of one line of `/metrics`, series written as there; 0 where there is none.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        self.0.metric(TOKEN, series).await
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Begins to stop it.
    pub(crate) fn shut_down(&self) {
        self.0.shut_down();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        self.0.stopped().await;
    }
}

/// The head of a request that brings the token and asks for the connection to be closed, `lines` first.
pub(crate) fn request(lines: &[&str]) -> Vec<u8> {
    let mut head = lines.join("\r\n");
    for (name, line) in [("host:", "host: edge".to_owned()), ("x-vx11-token:", format!("x-vx11-token: {TOKEN}"))] {
        if !lines.iter().any(|line| line.starts_with(name)) {
            head.push_str(&format!("\r\n{line}"));
        }
    }
    if !lines.iter().any(|line| line.to_ascii_lowercase().starts_with("connection:")) {
        head.push_str("\r\nconnection: close");
    }
    head.push_str("\r\n\r\n");
    head.into_bytes()
}

/// Everything that comes, until the other side closes.
pub(crate) async fn read_to_end(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends what came as well as a close does.
    let _ = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut bytes)).await.expect("the connection is closed");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The head of one answer, with the empty line that ends it.
pub(crate) async fn read_head(connection: &mut TcpStream) -> String {
    let reading = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.expect("a head with an end"));
        }
        head
    };
    let head = tokio::time::timeout(PATIENCE, reading).await.expect("an answer");
    String::from_utf8_lossy(&head).into_owned()
}
