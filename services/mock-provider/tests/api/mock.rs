//! The provider as its callers see it, started on a free port for one test.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vx11_testing::Running;
pub(crate) use vx11_testing::{Answer, PATIENCE, eventually};

/// A running provider.
pub(crate) struct Mock(Running);

impl Mock {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts it with these variables.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let common = [("VX11_HTTP__WORKERS", "1"), ("VX11_HTTP__DRAIN_TIMEOUT", "5s")];
        Self(Running::start(None, &[&common, variables].concat(), vx11_mock_provider::serve))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.0.request(Method::GET, path)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> RequestBuilder {
        self.0.request(Method::PUT, path).body(body.to_string())
    }

    pub(crate) fn delete(&self, path: &str) -> RequestBuilder {
        self.0.request(Method::DELETE, path)
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.0.request(Method::POST, path).body(body)
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
        let mut connection = TcpStream::connect(self.0.address).await.unwrap();
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
        self.0.shut_down();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        self.0.stopped().await;
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
