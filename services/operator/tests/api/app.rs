//! A running operator between a fake switch and a fake madre, as its callers see it.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use vx11_chassis::Shutdown;
use vx11_chassis::config::Settings;
use vx11_chassis::process::{Start, listen, section};

use crate::fake::{Does, Fake};

pub(crate) const TOKEN: &str = "test-token";
/// Longest wait for anything in a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// The operator with its surroundings.
pub(crate) struct App {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) switch: Fake,
    pub(crate) madre: Fake,
    dir: TempDir,
    client: reqwest::Client,
    shutdown: Shutdown,
    serving: JoinHandle<anyhow::Result<()>>,
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
        let listener = listen("operator", ([127, 0, 0, 1], 0).into()).expect("a port");
        let address = listener.local_addr().expect("an address");
        let data_dir = dir.path().display().to_string();
        let own = format!("http://{address}");
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
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        // Later ones win.
        let all: std::collections::BTreeMap<String, String> = common.iter().chain(variables).map(owned).collect();
        let settings = Settings::load(None, all).expect("settings");
        let shutdown = Shutdown::new();
        let start = Start {
            config: section(&settings).expect("a section"),
            common: settings.common().expect("common settings"),
            listener,
            shutdown: shutdown.clone(),
        };
        let serving = tokio::spawn(vx11_operator::serve(start));
        let client = vx11_chassis::client::http_client(PATIENCE).expect("a client");
        Self { address, switch, madre, dir, client, shutdown, serving }
    }

    /// A request without a token.
    pub(crate) fn anyone(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address)).timeout(PATIENCE)
    }

    /// A request with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anyone(method, path).header("x-vx11-token", TOKEN)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    /// A chat; `body` is the request's.
    pub(crate) fn chat_request(&self, body: &Value) -> RequestBuilder {
        self.request(Method::POST, "/operator/api/chat").json(body)
    }

    pub(crate) async fn chat(&self, body: Value) -> Answer {
        Answer::of(self.chat_request(&body)).await
    }

    /// A plain message in no session.
    pub(crate) async fn say(&self, message: &str) -> Answer {
        self.chat(json!({ "message": message })).await
    }

    /// A streamed chat, read to its end.
    pub(crate) async fn stream(&self, message: &str) -> Vec<Event> {
        let answer = self.chat(json!({ "message": message, "stream": true })).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        events(&answer.text)
    }

    /// The number that a query answers with, asked by a connection that the operator knows nothing of.
    pub(crate) fn count(&self, query: &str) -> i64 {
        let mut stranger = self.stranger();
        diesel::select(diesel::dsl::sql::<BigInt>(&format!("({query})"))).get_result(&mut stranger).expect("a number")
    }

    /// A connection that the operator knows nothing of.
    pub(crate) fn stranger(&self) -> vx11_store::Connection {
        let path = self.dir.path().join("operator.sqlite3");
        let mut stranger = vx11_store::Connection::establish(path.to_str().expect("UTF-8")).expect("a connection");
        stranger.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
        stranger
    }

    /// Tells it to stop, and does not wait for it.
    pub(crate) fn begin_shutdown(&self) {
        self.shutdown.begin();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        tokio::time::timeout(PATIENCE, self.serving).await.expect("stops").expect("no panic").expect("in order");
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The body as JSON; null where it is none.
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("the answer has an end");
        Self { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn field(&self) -> &str {
        self.body["error"]["field"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII")).unwrap_or_default()
    }

    /// `data` of the envelope.
    #[track_caller]
    pub(crate) fn data(&self) -> &Value {
        assert_eq!((self.status, &self.body["ok"]), (200, &json!(true)), "{}", self.text);
        &self.body["data"]
    }

    pub(crate) fn correlation_id(&self) -> &str {
        self.body["correlation_id"].as_str().unwrap_or_default()
    }
}

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<i64>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// The events of a text; comments are left out.
pub(crate) fn events(text: &str) -> Vec<Event> {
    text.split_terminator("\n\n").filter_map(event).collect()
}

fn event(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    Some(Event {
        id: field("id: ").map(|id| id.parse().expect("a number")),
        name: field("event: ")?.to_owned(),
        data: serde_json::from_str(field("data: ")?).expect("JSON"),
    })
}

/// An event stream that is being read.
pub(crate) struct Reader {
    response: Response,
    buffer: String,
}

impl Reader {
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200);
        let mut reader = Self { response, buffer: String::new() };
        assert_eq!(reader.block().await.as_deref(), Some(": open"));
        reader
    }

    /// The next event; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(found) = event(&self.block().await?) {
                return Some(found);
            }
        }
    }

    /// The next event or comment as it stands.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("it goes on or ends");
            self.buffer += std::str::from_utf8(&chunk.expect("the stream is whole")?).expect("UTF-8");
        }
    }
}

/// Waits until `holds`.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}
