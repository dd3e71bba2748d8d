//! A service in this process, as its callers see it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use reqwest::{Client, Method, RequestBuilder};
use tokio::task::JoinHandle;
use vx11_chassis::Shutdown;
use vx11_chassis::config::Settings;
use vx11_chassis::process::{Section, Start, listen, section};

use crate::{Answer, PATIENCE};

/// A free port of the loopback interface, taken for a service that is to know its address before it starts.
#[derive(Debug)]
pub struct Port {
    /// Where the service will listen.
    pub address: SocketAddr,
    listener: TcpListener,
}

impl Port {
    /// Takes one.
    ///
    /// # Panics
    /// When there is none.
    pub fn take() -> Self {
        let listener = listen("a test", ([127, 0, 0, 1], 0).into()).expect("a port");
        Self { address: listener.local_addr().expect("an address"), listener }
    }

    /// Starts here what `serve` serves, with this configuration file and these variables over it, of which later ones
    /// win.
    ///
    /// # Panics
    /// When the settings are wrong.
    pub fn start<C, Served>(
        self,
        file: Option<&Path>,
        variables: &[(&str, &str)],
        serve: impl FnOnce(Start<C>) -> Served,
    ) -> Running
    where
        C: Section,
        Served: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: BTreeMap<String, String> = variables.iter().map(owned).collect();
        let settings = Settings::load(file, variables).expect("settings");
        let shutdown = Shutdown::new();
        let start = Start {
            config: section(&settings).expect("a section"),
            common: settings.common().expect("common settings"),
            listener: self.listener,
            shutdown: shutdown.clone(),
        };
        let serving = tokio::spawn(serve(start));
        Running { address: self.address, client: client(), shutdown, serving }
    }
}

/// A running service.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    client: Client,
    shutdown: Shutdown,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Starts what `serve` serves on a free port, like [`Port::start`].
    pub fn start<C, Served>(
        file: Option<&Path>,
        variables: &[(&str, &str)],
        serve: impl FnOnce(Start<C>) -> Served,
    ) -> Self
    where
        C: Section,
        Served: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Port::take().start(file, variables, serve)
    }

    /// Where `path` is.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request that brings nothing.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).timeout(PATIENCE)
    }

    /// The value of one line of `/metrics`, series written as there; 0 where there is none.
    ///
    /// # Panics
    /// When it is no number.
    pub async fn metric(&self, token: &str, series: &str) -> f64 {
        let metrics = Answer::of(self.request(Method::GET, "/metrics").bearer_auth(token)).await;
        let line = metrics.body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Tells it to stop, and does not wait for it.
    pub fn shut_down(&self) {
        self.shutdown.begin();
    }

    /// Waits until it has stopped.
    ///
    /// # Panics
    /// When it does not, or not in order.
    pub async fn stopped(self) {
        tokio::time::timeout(PATIENCE, self.serving).await.expect("stops").expect("no panic").expect("in order");
    }
}

/// A client as callers have one: their own proxy settings do not count, and it follows no redirect.
fn client() -> Client {
    // Two tests in one process may both come here; the first one wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().tcp_nodelay(true).redirect(reqwest::redirect::Policy::none());
    client.connect_timeout(PATIENCE).build().expect("a client")
}
