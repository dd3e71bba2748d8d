//! A running madre in a directory of its own, and what stands in for the rest of VX11.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use diesel::Connection as _;
use diesel::SqliteConnection as Connection;
use diesel::connection::SimpleConnection;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use vx11_madre::{DriverError, PowerDriver, ServiceState};
use vx11_testing::Running;
pub(crate) use vx11_testing::{Answer, eventually};

pub(crate) const TOKEN: &str = "test-token";

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
        let variables: Vec<(&str, &str)> = self.variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        let driver = self.driver.clone();
        let madre = Madre(Running::start(None, &variables, |start| vx11_madre::serve(start, driver)));
        assert_eq!(Answer::of(madre.anyone(Method::GET, "/health")).await.status, 200);
        madre
    }
}

/// A running madre.
pub(crate) struct Madre(Running);

impl Madre {
    /// A request without a token.
    pub(crate) fn anyone(&self, method: Method, path: &str) -> RequestBuilder {
        self.0.request(method, path)
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

    pub(crate) async fn chat(&self, message: &str) -> Answer {
        self.post("/madre/chat", json!({ "message": message, "session_id": "s1" })).await
    }

    /// A chat whose trail is durable when it is answered: where the disk is too slow for that at this moment, it is
    /// sent again.
    pub(crate) async fn chat_kept(&self, message: &str) -> Answer {
        let mut answer = self.chat(message).await;
        for _ in 0..5 {
            if !answer["warnings"].to_string().contains("not durable") {
                break;
            }
            self.written().await;
            answer = self.chat(message).await;
        }
        answer
    }

    /// Waits until all rows are durable: a disk that is slow at this moment has answers sent before their rows.
    pub(crate) async fn written(&self) {
        eventually("every row is written", async || {
            let rows = async |gauge: &str| self.metric(gauge).await;
            rows("vx11_store_queue_rows").await + rows("vx11_store_backlog_rows").await == 0.0
        })
        .await;
    }

    /// A chat that waits: its plan's id and token.
    pub(crate) async fn waiting(&self, message: &str) -> (String, String) {
        let answer = self.chat(message).await;
        assert_eq!(answer["status"], "WAITING", "{}", answer.body);
        let text = |field: &str| answer[field].as_str().expect("a text").to_owned();
        (text("plan_id"), text("confirm_token"))
    }

    pub(crate) async fn confirm(&self, plan_id: &str, token: &str) -> Answer {
        self.post(&format!("/madre/plans/{plan_id}/confirm"), json!({ "confirm_token": token })).await
    }

    /// The value of one line of `/metrics`, series written as there.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        self.0.metric(TOKEN, series).await
    }

    /// Stops in order, and waits for it.
    pub(crate) async fn stop(self) {
        self.0.shut_down();
        self.0.stopped().await;
    }
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

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}
