//! A service as a process of its own: configuration, telemetry, port, signals, exit code.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Common, ConfigError, Settings};
use crate::shutdown::{self, Shutdown};

/// A service's own configuration section.
pub trait Section: Serialize + DeserializeOwned + Default {
    /// The section's name in the file and in variables.
    const NAME: &'static str;
    /// Whether the service refuses to start without a shared token.
    const NEEDS_TOKEN: bool = true;

    /// The address to listen on.
    fn bind(&self) -> SocketAddr;

    /// Checks what the types cannot express.
    ///
    /// # Errors
    /// Naming the field.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// What a service is started with.
#[derive(Debug)]
pub struct Start<C> {
    /// Its own section.
    pub config: C,
    /// What every service reads.
    pub common: Common,
    /// Where it listens.
    pub listener: TcpListener,
    /// When to stop.
    pub shutdown: Shutdown,
}

/// Reads and checks one service's section.
///
/// # Errors
/// Naming the field and where it was set.
pub fn section<C: Section>(settings: &Settings) -> Result<C, ConfigError> {
    let config: C = settings.section(C::NAME)?;
    config.check().map_err(|error| settings.placed(error))?;
    Ok(config)
}

/// Opens the port that a service listens on.
///
/// # Errors
/// When it is taken, or may not be opened.
pub fn listen(service: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    // A restarted service takes its port back at once.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into()).with_context(|| format!("{service} cannot listen on {address}"))?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// The whole life of a service process named `service`.
pub fn run<C, F, Served>(service: &'static str, serve: F) -> ExitCode
where
    C: Section,
    F: FnOnce(Start<C>) -> Served,
    Served: Future<Output = anyhow::Result<()>>,
{
    match live(service, serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(service, &error);
            ExitCode::FAILURE
        }
    }
}

/// Says on standard error why the process ends; logging may not have begun.
#[expect(clippy::print_stderr, reason = "the last words of a process that cannot log")]
pub fn complain(service: &str, error: &anyhow::Error) {
    eprintln!("{service}: {error:#}");
}

fn live<C, F, Served>(service: &'static str, serve: F) -> anyhow::Result<()>
where
    C: Section,
    F: FnOnce(Start<C>) -> Served,
    Served: Future<Output = anyhow::Result<()>>,
{
    let settings = Settings::from_process()?;
    let common = settings.common()?;
    let config: C = section(&settings)?;
    if C::NEEDS_TOKEN && common.token.is_none() {
        anyhow::bail!(
            "no token is configured: set VX11_TOKEN (or VX11_TENTACULO_LINK_TOKEN) to the token that callers must present"
        );
    }
    let listener = listen(service, config.bind())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let telemetry = vx11_telemetry::init(&common.telemetry, service, &[service])?;
        let shutdown = Shutdown::new();
        stop_on_signal(shutdown.clone());
        let served = serve(Start { config, common, listener, shutdown }).await;
        telemetry.shutdown().await;
        served
    })
}

/// Begins `shutdown` at the first SIGTERM or SIGINT, or when the terminal is gone.
pub fn stop_on_signal(shutdown: Shutdown) {
    tokio::spawn(async move {
        match shutdown::signal().await {
            Ok(signal) => tracing::info!(signal, "stopping"),
            Err(error) => tracing::error!(%error, "cannot listen for signals"),
        }
        shutdown.begin();
    });
}
