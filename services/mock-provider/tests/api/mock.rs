//! The provider as its callers see it, started on a free port for one test.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use vx11_chassis::Shutdown;
use vx11_chassis::client::http_client;
use vx11_chassis::config::Settings;
use vx11_chassis::process::{Start, listen, section};

/// Longest wait for anything in a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running provider.
pub(crate) struct Mock {
    pub(crate) address: SocketAddr,
    client: Client,
    shutdown: Shutdown,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Mock {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts it with these variables.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let common = [("VX11_HTTP__WORKERS", "1"), ("VX11_HTTP__DRAIN_TIMEOUT", "5s")];
        let variables = common.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::load(None, variables).unwrap();
        let listener = listen("mock-provider", "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let start = Start {
            config: section(&settings).unwrap(),
            common: settings.common().unwrap(),
            listener,
            shutdown: shutdown.clone(),
        };
        let serving = tokio::spawn(vx11_mock_provider::serve(start));
        Self { address, client: http_client(PATIENCE).unwrap(), shutdown, serving }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).timeout(PATIENCE)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.put(self.url(path)).timeout(PATIENCE).body(body.to_string())
    }

    pub(crate) fn delete(&self, path: &str) -> RequestBuilder {
        self.client.delete(self.url(path)).timeout(PATIENCE)
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(self.url(path)).timeout(PATIENCE).body(body)
    }

    /// A chat completion; `fields` go over a plain request of `mock`.
    pub(crate) fn completion(&self, fields: &Value) -> RequestBuilder {
        self.post("/v1/chat/completions", request(fields).to_string())
    }

    /// Asks for a chat completion.
    pub(crate) async fn chat(&self, fields: Value) -> Answer {
        Answer::of(self.completion(&fields)).await
    }

    /// Asks `mock` with these faults.
    pub(crate) async fn faulty(&self, faults: &str) -> Answer {
        self.chat(json!({ "model": format!("mock+{faults}") })).await
    }

    /// The statuses of `n` requests in a row with these faults.
    pub(crate) async fn statuses(&self, faults: &str, n: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..n {
            statuses.push(self.faulty(faults).await.status);
        }
        statuses
    }

    /// Every byte that comes back for a chat completion, and whether the connection was reset.
    pub(crate) async fn raw(&self, fields: &Value) -> (String, bool) {
        let body = request(fields).to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: mock\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(&[head, body].concat().into_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut bytes)).await.expect("it closes");
        let is_reset = read.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        (String::from_utf8(bytes).unwrap(), is_reset)
    }

    /// What it saw.
    pub(crate) async fn log(&self) -> Vec<Value> {
        Answer::of(self.get("/admin/requests")).await.json().as_array().unwrap().clone()
    }

    /// The last request that it saw.
    pub(crate) async fn last(&self) -> Value {
        self.log().await.pop().expect("it saw one")
    }

    /// Waits until the last request has ended like this.
    pub(crate) async fn wait_for_outcome(&self, outcome: &str) {
        eventually(outcome, async || self.log().await.last().is_some_and(|last| last["outcome"] == outcome)).await;
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

/// A plain request of `mock` with `fields` over it.
fn request(fields: &Value) -> Value {
    let mut whole = saying("Hello");
    whole["model"] = json!("mock");
    whole.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    whole
}

/// The field that says what the user says.
pub(crate) fn saying(text: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": text }] })
}

/// `one` with the fields of `other`.
pub(crate) fn with(mut one: Value, other: Value) -> Value {
    one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    one
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
        let response = request.send().await.expect("the provider answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.text().await.expect("the answer has an end") }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The text of the first choice.
    pub(crate) fn text(&self) -> String {
        self.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned()
    }

    /// The `data:` of each event.
    pub(crate) fn events(&self) -> Vec<&str> {
        self.body.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").expect("an event")).collect()
    }

    /// The JSON of each event but `[DONE]`.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        let events = self.events().into_iter().filter(|event| *event != "[DONE]");
        events.map(|event| serde_json::from_str(event).unwrap()).collect()
    }

    /// Status and code of an error in OpenAI's shape; checks that it is whole.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{}", self.body);
        assert!(error["type"].is_string() && error.get("param").is_some(), "{}", self.body);
        (self.status, error["code"].as_str().expect("a code").to_owned())
    }
}
