//! A running madre in a directory of its own, and what stands in for the rest of VX11.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use vx11_chassis::Shutdown;
use vx11_chassis::config::Settings;
use vx11_chassis::process::{Section, Start, listen};
use vx11_madre::{DriverError, MadreConfig, PowerDriver, ServiceState};
use vx11_store::Connection;

pub(crate) const TOKEN: &str = "test-token";

/// A status and a JSON body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) correlation_id: String,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

/// What a madre is started with.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) driver: Arc<FakeDriver>,
    variables: BTreeMap<String, String>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut home = Self { dir, driver: Arc::default(), variables: BTreeMap::new() };
        let data_dir = home.data_dir().display().to_string();
        // Nobody listens on port 9: unless a test brings them, there are no others.
        for (name, value) in [
            ("VX11_TOKEN", TOKEN),
            ("VX11_DATA_DIR", &data_dir),
            ("VX11_OPERATOR_URL", "http://127.0.0.1:9/"),
            ("VX11_SWITCH_URL", "http://127.0.0.1:9/"),
            ("VX11_HTTP__WORKERS", "2"),
        ] {
            home = home.with(name, value);
        }
        home
    }

    /// With a configuration variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A connection that madre knows nothing of.
    pub(crate) fn stranger(&self) -> Connection {
        let path = self.data_dir().join("madre.sqlite3");
        let mut stranger = Connection::establish(path.to_str().expect("UTF-8")).expect("a connection");
        stranger.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
        stranger
    }

    /// Starts madre here.
    pub(crate) async fn start(&self) -> Madre {
        let settings = Settings::load(None, self.variables.clone()).expect("settings");
        let config: MadreConfig = vx11_chassis::process::section(&settings).expect("a section");
        assert_eq!(config.bind().port(), 8001);
        let common = settings.common().expect("common settings");
        let listener = listen("madre", ([127, 0, 0, 1], 0).into()).expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let shutdown = Shutdown::new();
        let start = Start { config, common, listener, shutdown: shutdown.clone() };
        let serving = tokio::spawn(vx11_madre::serve(start, self.driver.clone()));
        let madre = Madre { base, http: client(), shutdown, serving };
        eventually("madre answers", async || madre.http.get(format!("{}/health", madre.base)).send().await.is_ok())
            .await;
        madre
    }
}

/// A running madre.
pub(crate) struct Madre {
    pub(crate) base: String,
    http: reqwest::Client,
    shutdown: Shutdown,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Madre {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.http.post(format!("{}{path}", self.base)).json(&body)).await
    }

    pub(crate) async fn chat(&self, message: &str) -> Answer {
        self.post("/madre/chat", serde_json::json!({ "message": message, "session_id": "s1" })).await
    }

    /// A chat that waits: its plan's id and token.
    pub(crate) async fn waiting(&self, message: &str) -> (String, String) {
        let answer = self.chat(message).await;
        assert_eq!(answer.body["status"], "WAITING", "{}", answer.body);
        let text = |field: &str| answer.body[field].as_str().expect("a text").to_owned();
        (text("plan_id"), text("confirm_token"))
    }

    pub(crate) async fn confirm(&self, plan_id: &str, token: &str) -> Answer {
        self.post(&format!("/madre/plans/{plan_id}/confirm"), serde_json::json!({ "confirm_token": token })).await
    }

    pub(crate) async fn metric(&self, line: &str) -> Option<String> {
        let text =
            self.http.get(format!("{}/metrics", self.base)).send().await.expect("metrics").text().await.expect("text");
        text.lines().find_map(|found| found.strip_prefix(line)).map(|value| value.trim().to_owned())
    }

    /// Stops in order, and waits for it.
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        self.serving.await.expect("no panic").expect("stopped in order");
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.header("x-vx11-token", TOKEN).send().await.expect("an answer");
        let status = response.status().as_u16();
        let correlation_id = response.headers()["x-correlation-id"].to_str().expect("ASCII").to_owned();
        let body = response.json().await.expect("JSON");
        Answer { status, body, correlation_id }
    }
}

pub(crate) fn client() -> reqwest::Client {
    vx11_chassis::client::http_client(Duration::from_secs(2)).expect("a client")
}

/// Remembers what runs and what it was told; on request it fails or hangs.
pub(crate) struct FakeDriver {
    running: Mutex<BTreeMap<&'static str, bool>>,
    calls: Mutex<Vec<String>>,
    broken: Mutex<BTreeSet<String>>,
    hanging: Mutex<BTreeSet<String>>,
    pretends: AtomicBool,
}

const SERVICES: [&str; 5] = ["tentaculo", "operator", "switch", "madre", "mock-provider"];

impl Default for FakeDriver {
    fn default() -> Self {
        Self {
            running: Mutex::new(SERVICES.into_iter().map(|name| (name, true)).collect()),
            calls: Mutex::default(),
            broken: Mutex::default(),
            hanging: Mutex::default(),
            pretends: AtomicBool::new(false),
        }
    }
}

impl FakeDriver {
    pub(crate) fn set(&self, service: &'static str, runs: bool) {
        self.running.lock().expect("no panic").insert(service, runs);
    }

    pub(crate) fn runs(&self, service: &str) -> bool {
        self.running.lock().expect("no panic")[service]
    }

    /// The service cannot be started or stopped.
    pub(crate) fn break_service(&self, service: &str) {
        self.broken.lock().expect("no panic").insert(service.to_owned());
    }

    /// Nothing it does is real.
    pub(crate) fn pretend(&self) {
        self.pretends.store(true, Ordering::SeqCst);
    }

    /// Nothing about the service is answered.
    pub(crate) fn hang(&self, service: &str) {
        self.hanging.lock().expect("no panic").insert(service.to_owned());
    }

    /// What it was told, in order, since the last time this was asked.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().expect("no panic"))
    }

    async fn told(&self, what: &str, service: &str, runs: bool) -> Result<(), DriverError> {
        self.calls.lock().expect("no panic").push(format!("{what} {service}"));
        if self.hanging.lock().expect("no panic").contains(service) {
            std::future::pending::<()>().await;
        }
        if self.broken.lock().expect("no panic").contains(service) {
            return Err(DriverError("out of order".to_owned()));
        }
        let known = SERVICES.into_iter().find(|name| *name == service).expect("a service it has");
        self.set(known, runs);
        Ok(())
    }
}

#[async_trait]
impl PowerDriver for FakeDriver {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn is_dry_run(&self) -> bool {
        self.pretends.load(Ordering::SeqCst)
    }

    fn services(&self) -> &'static [&'static str] {
        &SERVICES
    }

    async fn start(&self, service: &str) -> Result<(), DriverError> {
        self.told("start", service, true).await
    }

    async fn stop(&self, service: &str) -> Result<(), DriverError> {
        self.told("stop", service, false).await
    }

    async fn state(&self, service: &str) -> Result<ServiceState, DriverError> {
        let hangs = self.hanging.lock().expect("no panic").contains(service);
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(if self.runs(service) { ServiceState::Running } else { ServiceState::Stopped })
    }
}

/// Waits until `holds`, at most ten seconds.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(10), "still not so after 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}
