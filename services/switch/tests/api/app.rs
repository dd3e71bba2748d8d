//! The service as its callers see it, started on a free port for one test.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::task::JoinHandle;
use vx11_chassis::Shutdown;
use vx11_chassis::client::http_client;
use vx11_chassis::config::Settings;
use vx11_chassis::process::{Start, listen, section};

/// Longest wait for anything in a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway.
pub(crate) struct App {
    url: String,
    client: Client,
    shutdown: Shutdown,
    serving: JoinHandle<anyhow::Result<()>>,
    /// Its data, unless the test brought a directory of its own.
    _data: tempfile::TempDir,
}

impl App {
    /// Starts it with these variables.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_with(None, variables).await
    }

    /// Starts it with this configuration file, and these variables over it.
    pub(crate) async fn start_with(file: Option<&Path>, variables: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let common = [
            ("VX11_TOKEN", "test"),
            ("VX11_HTTP__WORKERS", "1"),
            ("VX11_HTTP__DRAIN_TIMEOUT", "1s"),
            ("VX11_DATA_DIR", data.path().to_str().unwrap()),
        ];
        // A variable that comes twice has the value that sorts last; the test's own is to win.
        let common = common.into_iter().filter(|(name, _)| !variables.iter().any(|(own, _)| own == name));
        let common: Vec<(&str, &str)> = common.collect();
        let variables = common.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::load(file, variables).unwrap();
        let listener = listen("switch", "127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let start = Start {
            config: section(&settings).unwrap(),
            common: settings.common().unwrap(),
            listener,
            shutdown: shutdown.clone(),
        };
        let serving = tokio::spawn(vx11_switch::serve(start));
        let client = http_client(PATIENCE).unwrap();
        Self { url, client, shutdown, serving, _data: data }
    }

    /// With one model `m`, served by `provider` fakes `a`, `b`, … in this order. Each is asked once, unless `more` sets
    /// retries.
    pub(crate) async fn in_front_of(providers: &[&str], more: &[(&str, &str)]) -> Self {
        let names: Vec<char> = ('a'..).take(providers.len()).collect();
        let targets: Vec<String> = names.iter().map(|name| format!("\"{name}/m-{name}\"")).collect();
        let targets = format!("[{}]", targets.join(","));
        let mut variables = vec![("VX11_SWITCH__MODELS__M__TARGETS".to_owned(), targets.clone())];
        variables.push(("VX11_SWITCH__MODELS__DEFAULT__TARGETS".to_owned(), targets));
        for (name, url) in names.iter().zip(providers) {
            let field = |field: &str| format!("VX11_SWITCH__PROVIDERS__{}__{field}", name.to_ascii_uppercase());
            variables.push((field("BASE_URL"), format!("{url}/v1")));
            variables.push((field("MODELS"), format!("[\"m-{name}\",\"any-*\"]")));
        }
        let mut variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        if !more.iter().any(|(name, _)| name.starts_with("VX11_SWITCH__RETRIES")) {
            variables.push(("VX11_SWITCH__RETRIES__ATTEMPTS", "0"));
        }
        variables.extend_from_slice(more);
        Self::start(&variables).await
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.get_as("test", path)
    }

    /// A GET of the caller with this secret.
    pub(crate) fn get_as(&self, secret: &str, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(secret).timeout(PATIENCE)
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).bearer_auth("test").timeout(PATIENCE).body(body)
    }

    /// A POST without a token.
    pub(crate) fn stranger(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).timeout(PATIENCE)
    }

    /// Asks `m` for a whole answer.
    pub(crate) async fn complete(&self) -> Answer {
        Answer::of(self.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#)).await
    }

    /// Asks `m` for a stream, and reads it to its end.
    pub(crate) async fn stream(&self) -> Answer {
        Answer::of(self.post("/v1/chat/completions", r#"{"model":"m","messages":[],"stream":true}"#)).await
    }

    /// Asks `/switch/chat`; `more` goes over the plain request.
    pub(crate) async fn chat(&self, more: Value) -> Answer {
        let mut body = serde_json::json!({
            "messages": [{"role": "user", "content": "hello"}], "session_id": "s", "correlation_id": "c",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Answer::of(self.post("/switch/chat", body.to_string())).await
    }

    /// The value of one line of `/metrics`, series written as there; 0 where there is none.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a line of `/metrics` has this value.
    pub(crate) async fn wait_for_metric(&self, series: &str, value: f64) {
        eventually(series, async || self.metric(series).await == value).await;
    }

    /// The row of one provider in `/switch/providers`.
    pub(crate) async fn provider(&self, name: &str) -> Value {
        let list = Answer::of(self.get("/switch/providers")).await.json();
        list["providers"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone()
    }

    /// Stops it, and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        tokio::time::timeout(PATIENCE, self.serving).await.expect("stops").unwrap().unwrap();
    }
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
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.expect("the gateway answers")).await
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

    /// The `data:` of each event.
    pub(crate) fn events(&self) -> Vec<&str> {
        let data = |event: &'_ str| event.lines().find_map(|line| line.strip_prefix("data: ").map(str::len));
        let events = self.body.split("\n\n").filter_map(|event| {
            let length = data(event)?;
            Some(&event[event.len() - length..])
        });
        events.collect()
    }
}
