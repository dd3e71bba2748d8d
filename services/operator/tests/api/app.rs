//! A running operator between a fake switch and a fake madre, as its callers see it.

use std::net::SocketAddr;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
pub(crate) use vx11_testing::{Answer, eventually};
use vx11_testing::{PATIENCE, Port, Running};

use crate::event_stream::{Event, events};
use crate::fake::{Does, Fake};

pub(crate) const TOKEN: &str = "test-token";

/// The operator with its surroundings.
pub(crate) struct App {
    pub(crate) switch: Fake,
    pub(crate) madre: Fake,
    operator: Running,
    dir: TempDir,
}

impl App {
    /// With everything well.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these variables.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let switch = Fake::start("/switch/chat", Does::Say("from the switch"));
        let madre = Fake::start("/madre/chat", Does::Say("from madre"));
        let port = Port::take();
        let data_dir = dir.path().display().to_string();
        let own = format!("http://{}", port.address);
        // Nobody listens on port 9.
        let common = [
            ("VX11_TOKEN", TOKEN),
            ("VX11_DATA_DIR", &data_dir),
            ("VX11_HTTP__WORKERS", "2"),
            ("VX11_HTTP__DRAIN_TIMEOUT", "1s"),
            ("VX11_SWITCH_URL", &switch.url),
            ("VX11_MADRE_URL", &madre.url),
            ("VX11_OPERATOR_URL", &own),
            ("VX11_TENTACULO_URL", "http://127.0.0.1:9"),
            ("VX11_MOCK_PROVIDER_URL", "http://127.0.0.1:9"),
        ];
        let operator = port.start(None, &[&common, variables].concat(), vx11_operator::serve);
        Self { switch, madre, operator, dir }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.operator.address
    }

    pub(crate) fn data_dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// A request without a token.
    pub(crate) fn anyone(&self, method: Method, path: &str) -> RequestBuilder {
        self.operator.request(method, path)
    }

    /// A request with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anyone(method, path).header("x-vx11-token", TOKEN)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.kept(self.request(Method::POST, path).json(&body)).await
    }

    /// What comes back for `request`, and its rows on disk. The operator says where a disk that is slow at this moment
    /// made it answer before them.
    async fn kept(&self, request: RequestBuilder) -> Answer {
        let answer = Answer::of(request).await;
        if answer.body.contains(r#""storage":"deferred""#) {
            self.written().await;
        }
        answer
    }

    /// Waits until no row waits for its transaction; not for those that the store cannot take.
    pub(crate) async fn written(&self) {
        let waiting = async {
            while self.operator.metric(TOKEN, "vx11_store_queue_rows").await > 0.0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the rows are written");
    }

    /// One of its numbers, as Prometheus would read it.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        self.operator.metric(TOKEN, series).await
    }

    /// A chat; `body` is the request's.
    pub(crate) fn chat_request(&self, body: &Value) -> RequestBuilder {
        self.request(Method::POST, "/operator/api/chat").json(body)
    }

    pub(crate) async fn chat(&self, body: Value) -> Answer {
        self.kept(self.chat_request(&body)).await
    }

    /// A plain message in no session.
    pub(crate) async fn say(&self, message: &str) -> Answer {
        self.chat(json!({ "message": message })).await
    }

    /// A streamed chat, read to its end.
    pub(crate) async fn stream(&self, message: &str) -> Vec<Event> {
        let answer = self.chat(json!({ "message": message, "stream": true })).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        events(&answer.body)
    }

    /// The number that a query answers with, asked by a connection that the operator knows nothing of.
    pub(crate) fn count(&self, query: &str) -> i64 {
        let mut stranger = self.stranger();
        diesel::select(diesel::dsl::sql::<BigInt>(&format!("({query})"))).get_result(&mut stranger).expect("a number")
    }

    /// Waits until the trail says that the client of the chat `correlation_id` went away; it is counted as such then.
    pub(crate) async fn notes_who_left(&self, correlation_id: &str) {
        let of_chat = format!("WHERE correlation_id = '{correlation_id}' AND");
        let row = format!("SELECT count(*) FROM copilot_actions_log {of_chat} status = 'client_disconnected'");
        eventually("the trail has it", async || self.count(&row) == 1).await;
        let counted = "status_code = 499 AND error_type IS NOT NULL";
        assert_eq!(self.count(&format!("SELECT count(*) FROM performance_logs {of_chat} {counted}")), 1);
    }

    /// A connection that the operator knows nothing of.
    pub(crate) fn stranger(&self) -> diesel::SqliteConnection {
        let path = self.dir.path().join("operator.sqlite3");
        let mut stranger = diesel::SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a connection");
        stranger.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
        stranger
    }

    /// Tells it to stop, and does not wait for it.
    pub(crate) fn begin_shutdown(&self) {
        self.operator.shut_down();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        self.operator.stopped().await;
    }
}
