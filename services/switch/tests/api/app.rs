//! The service as its callers see it, started on a free port for one test.

use std::net::SocketAddr;
use std::path::Path;

use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;
use vx11_testing::Running;
pub(crate) use vx11_testing::{Answer, eventually};

const TOKEN: &str = "test";

/// A running gateway.
pub(crate) struct App {
    gateway: Running,
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
            ("VX11_TOKEN", TOKEN),
            ("VX11_HTTP__WORKERS", "1"),
            ("VX11_HTTP__DRAIN_TIMEOUT", "1s"),
            ("VX11_DATA_DIR", data.path().to_str().unwrap()),
        ];
        let gateway = Running::start(file, &[&common, variables].concat(), vx11_switch::serve);
        Self { gateway, _data: data }
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

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let url = Url::parse(&self.gateway.url("/")).unwrap();
        url.socket_addrs(|| None).unwrap()[0]
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.get_as(TOKEN, path)
    }

    /// A GET of the caller with this secret.
    pub(crate) fn get_as(&self, secret: &str, path: &str) -> RequestBuilder {
        self.gateway.request(Method::GET, path).bearer_auth(secret)
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.stranger(path).bearer_auth(TOKEN).body(body)
    }

    /// A POST without a token.
    pub(crate) fn stranger(&self, path: &str) -> RequestBuilder {
        self.gateway.request(Method::POST, path)
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
        self.gateway.metric(TOKEN, series).await
    }

    /// Waits until a line of `/metrics` has this value.
    pub(crate) async fn wait_for_metric(&self, series: &str, value: f64) {
        eventually(series, async || self.metric(series).await == value).await;
    }

    /// The row of one provider in `/switch/providers`.
    pub(crate) async fn provider(&self, name: &str) -> Value {
        let list = Answer::of(self.get("/switch/providers")).await;
        list["providers"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone()
    }

    /// Stops it, and waits until it has.
    pub(crate) async fn stop(self) {
        self.gateway.shut_down();
        self.gateway.stopped().await;
    }
}

/// A mock provider.
pub(crate) fn mock_provider() -> Running {
    Running::start(None, &[("VX11_HTTP__WORKERS", "1")], vx11_mock_provider::serve)
}
