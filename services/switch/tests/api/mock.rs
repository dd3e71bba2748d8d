//! The gateway in front of the real mock provider and its faults.

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use vx11_chassis::Shutdown;
use vx11_chassis::client::http_client;
use vx11_chassis::config::Settings;
use vx11_chassis::process::{Start, listen};
use vx11_mock_provider::MockProviderConfig;

use crate::app::{Answer, App, PATIENCE, eventually};

/// A running mock provider.
pub(crate) struct Mock {
    url: String,
    _serving: JoinHandle<anyhow::Result<()>>,
}

impl Mock {
    pub(crate) async fn start() -> Self {
        let listener = listen("mock-provider", "127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings::load(None, [("VX11_HTTP__WORKERS".to_owned(), "1".to_owned())]).unwrap();
        let common = settings.common().unwrap();
        let start = Start { config: MockProviderConfig::default(), common, listener, shutdown: Shutdown::new() };
        Self { url, _serving: tokio::spawn(vx11_mock_provider::serve(start)) }
    }

    /// A gateway in which `m` asks this provider under two names, the first time with `fault`.
    async fn behind_gateway(&self, fault: &str) -> App {
        let targets = format!(r#"["mock/mock+{fault}","spare/mock"]"#);
        App::start(&[
            ("VX11_MOCK_PROVIDER_URL", self.url.as_str()),
            ("VX11_SWITCH__MODELS__M__TARGETS", targets.as_str()),
            ("VX11_SWITCH__RETRIES__ATTEMPTS", "0"),
            ("VX11_SWITCH__PROVIDERS__MOCK__TIMEOUT", "1s"),
            ("VX11_SWITCH__PROVIDERS__MOCK__STREAM_IDLE_TIMEOUT", "1s"),
            ("VX11_SWITCH__PROVIDERS__SPARE__BASE_URL", &format!("{}/v1", self.url)),
            ("VX11_SWITCH__PROVIDERS__SPARE__MODELS", r#"["mock"]"#),
        ])
        .await
    }

    /// A gateway in which `m` asks this provider in two wires, each a kind and where its API begins; the first time with
    /// `fault`.
    pub(crate) async fn in_two_kinds(&self, fault: &str, first: (&str, &str), second: (&str, &str)) -> App {
        let targets = format!(r#"["a/mock+{fault}","b/mock"]"#);
        App::start(&[
            ("VX11_SWITCH__MODELS__M__TARGETS", targets.as_str()),
            ("VX11_SWITCH__RETRIES__ATTEMPTS", "0"),
            ("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", "500ms"),
            ("VX11_SWITCH__PROVIDERS__A__KIND", first.0),
            ("VX11_SWITCH__PROVIDERS__A__BASE_URL", &format!("{}{}", self.url, first.1)),
            ("VX11_SWITCH__PROVIDERS__A__MODELS", r#"["mock*", "mock"]"#),
            ("VX11_SWITCH__PROVIDERS__B__KIND", second.0),
            ("VX11_SWITCH__PROVIDERS__B__BASE_URL", &format!("{}{}", self.url, second.1)),
            ("VX11_SWITCH__PROVIDERS__B__MODELS", r#"["mock"]"#),
        ])
        .await
    }

    /// What it saw.
    async fn log(&self) -> Vec<Value> {
        let client = http_client(PATIENCE).unwrap();
        client.get(format!("{}/admin/requests", self.url)).send().await.unwrap().json().await.unwrap()
    }
}

const MESSAGES: &str = r#""messages":[{"role":"user","content":"tell me something"}]"#;

async fn ask(app: &App, stream: bool) -> Answer {
    let body = format!(r#"{{"model":"m",{MESSAGES},"stream":{stream},"stream_options":{{"include_usage":true}}}}"#);
    Answer::of(app.post("/v1/chat/completions", body).header("x-correlation-id", "corr-9")).await
}

#[tokio::test]
async fn faults_before_the_answer_are_not_seen_by_the_caller() {
    let mock = Mock::start().await;
    let both = ["status=429,retry_after=9", "status=503", "reset", "hang", "html", "empty"];
    for (fault, stream) in both.iter().flat_map(|fault| [(*fault, false), (*fault, true)]).chain([("truncate", false)])
    {
        let app = mock.behind_gateway(fault).await;
        let got = ask(&app, stream).await;
        let said = format!("{fault}, stream {stream}: {}", got.body);
        assert_eq!(
            (got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")),
            (200, "spare", "2"),
            "{said}"
        );
        assert_eq!(got.events().last() == Some(&"[DONE]"), stream, "{said}");
    }
    assert!(mock.log().await.iter().all(|entry| entry["correlation_id"] == "corr-9"));
}

/// What the answer says in all, and its end.
fn said(got: &Answer) -> (String, Value, usize) {
    let chunks: Vec<Value> = got.events().iter().filter_map(|data| serde_json::from_str(data).ok()).collect();
    let text = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    let usage = chunks.last().map(|chunk| chunk["usage"].clone()).unwrap_or_default();
    (text, usage, got.body.matches("[DONE]").count())
}

#[tokio::test]
async fn faults_within_the_answer_are_mended_by_the_next_provider() {
    let mock = Mock::start().await;
    let expected = said(&ask(&mock.behind_gateway("latency=0ms").await, true).await);
    assert!(expected.1["completion_tokens"].as_u64() > Some(2) && expected.2 == 1, "{expected:?}");
    for fault in ["cut=2", "stall=2", "error_frame=2", "malformed=2", "no_done"] {
        let got = ask(&mock.behind_gateway(fault).await, true).await;
        assert_eq!(said(&got), expected, "{fault}: {}", got.body);
        let finished_by = if matches!(fault, "malformed=2" | "no_done") { "" } else { r#""provider":"spare""# };
        assert!(got.body.contains(finished_by), "{fault}: {}", got.body);
    }
}

#[tokio::test]
async fn faults_within_the_only_answer_are_never_a_short_success() {
    let mock = Mock::start().await;
    for fault in ["cut=2", "stall=2", "error_frame=2"] {
        let app = mock.behind_gateway(fault).await;
        let body = format!(r#"{{"model":"m",{MESSAGES},"stream":true}}"#);
        let got = Answer::of(app.post("/v1/chat/completions", body).header("x-vx11-fallback", "off")).await;
        let last: Value = serde_json::from_str(got.events().last().unwrap()).unwrap();
        assert_eq!(
            (got.status, last["error"]["code"].as_str()),
            (200, Some("upstream_error")),
            "{fault}: {}",
            got.body
        );
        assert!(!got.body.contains("[DONE]"), "{fault}");
    }
}

#[tokio::test]
async fn a_request_that_is_at_fault_is_told_so() {
    let mock = Mock::start().await;
    for (fault, code) in [("context_length", "context_length_exceeded"), ("content_filter", "content_filter")] {
        let app = mock.behind_gateway(fault).await;
        for stream in [false, true] {
            let got = ask(&app, stream).await;
            assert_eq!((got.status, got.json()["error"]["code"].as_str()), (400, Some(code)), "{}", got.body);
        }
    }
}

#[tokio::test]
async fn a_streamed_chat_and_a_whole_one_say_the_same() {
    let mock = Mock::start().await;
    let app = App::start(&[("VX11_MOCK_PROVIDER_URL", &mock.url)]).await;
    let whole = app.chat(json!({})).await.json();
    let streamed = app.chat(json!({"stream": true})).await;
    let done = streamed.events().last().map(|data| serde_json::from_str::<Value>(data).unwrap()).unwrap();
    for field in ["reply", "engine_used", "usage", "provider"] {
        assert_eq!(whole[field], done[field], "{field}");
        assert!(!whole[field].is_null(), "{field}");
    }
}

#[tokio::test]
async fn the_provider_learns_that_its_caller_is_gone() {
    let mock = Mock::start().await;
    let app = mock.behind_gateway("drip=1s").await;
    let body = format!(r#"{{"model":"m",{MESSAGES},"stream":true}}"#);
    let mut response = app.post("/v1/chat/completions", body).send().await.unwrap();
    response.chunk().await.unwrap().expect("it has begun");
    drop(response);
    eventually("the log says so", async || mock.log().await[0]["outcome"] == "client_disconnected").await;
}
