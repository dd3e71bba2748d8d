//! The edge as its callers see it, started on a free port for one test.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use vx11_chassis::Shutdown;
use vx11_chassis::client::http_client;
use vx11_chassis::config::Settings;
use vx11_chassis::process::{Start, listen, section};

/// Longest wait for anything in a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The shared token.
pub(crate) const TOKEN: &str = "the-right-token";

/// A running edge.
pub(crate) struct Edge {
    pub(crate) address: SocketAddr,
    client: Client,
    shutdown: Shutdown,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Edge {
    /// Starts it with these variables.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        let common = [("VX11_TOKEN", TOKEN), ("VX11_HTTP__WORKERS", "1"), ("VX11_HTTP__DRAIN_TIMEOUT", "1s")];
        let variables = common.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::load(None, variables).unwrap();
        let listener = listen("tentaculo", "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let start = Start {
            config: section(&settings).unwrap(),
            common: settings.common().unwrap(),
            listener,
            shutdown: shutdown.clone(),
        };
        let serving = tokio::spawn(vx11_tentaculo::serve(start));
        Self { address, client: http_client(PATIENCE).unwrap(), shutdown, serving }
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
        self.client.request(method, format!("http://{}{path}", self.address)).timeout(PATIENCE)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.stranger(Method::GET, path).bearer_auth(TOKEN)
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.stranger(Method::POST, path).bearer_auth(TOKEN).body(body)
    }

    /// A connection of its own, for what no HTTP client would send.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
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
        let text = self.get("/metrics").send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Begins to stop it.
    pub(crate) fn shut_down(&self) {
        self.shutdown.begin();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        tokio::time::timeout(PATIENCE, self.serving).await.expect("stops").unwrap().unwrap();
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

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.expect("the edge answers")).await
    }

    async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.text().await.expect("the answer has an end") }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Status and code of an error, in either shape; checks that its body says all that it should.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let sentence = if body["detail"].is_string() { &body["detail"] } else { &body["error"]["message"] };
        assert!(sentence.as_str().is_some_and(|text| !text.is_empty()), "{}", self.body);
        assert!(!self.header("x-correlation-id").is_empty(), "{self:?}");
        (self.status, body["error"]["code"].as_str().unwrap().to_owned())
    }
}
