//! `vx11 up`: every service in one process, each on its own port, exactly as in five processes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use http::uri::PathAndQuery;
use vx11_http_client::{Client, Connector};

use anyhow::Context;
use vx11_chassis::config::{Common, Settings};
use vx11_chassis::process::{Section, listen, section};
use vx11_chassis::shutdown;

use crate::stack::{Ports, Stack};
use crate::summary::{self, Token};
use crate::token;

/// Longest wait for one answer of a service that is starting.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn run() -> anyhow::Result<()> {
    let settings = Settings::from_process()?;
    let mut common = settings.common()?;
    if common.http.metrics_bind.is_some() {
        anyhow::bail!("http.metrics_bind: under `vx11 up` every service has its own `/metrics`; leave it out");
    }
    std::fs::create_dir_all(&common.data_dir.0)
        .with_context(|| format!("cannot make the data directory {}", common.data_dir.0.display()))?;
    let token = if common.token.is_some() {
        Token::Configured
    } else {
        common.token = Some(token::kept_in(&common.data_dir.0)?);
        Token::Kept(token::file(&common.data_dir.0))
    };
    if common.http.workers == 0 {
        // Five services share the cores that a process of its own would have to itself.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        common.http.workers = cores.div_ceil(4);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(live(settings, common, token))
}

async fn live(settings: Settings, mut common: Common, token: Token) -> anyhow::Result<()> {
    let ports = open_ports(&settings, &mut common)?;
    let telemetry = vx11_telemetry::init(&common.telemetry, "vx11", &Stack::SERVICES)?;
    let stack = Stack::start(&settings, &common, ports)?;
    let ended = tokio::select! {
        signal = shutdown::signal() => {
            tracing::info!(signal = signal?, "stopping");
            Ok(())
        }
        failed = stack.failed() => Err(failed),
        Err(failed) = announce(&common, &token) => Err(failed),
    };
    stack.stop().await;
    telemetry.shutdown().await;
    ended
}

/// Prints the summary once every service answers, so that who reads it can use it. One that never does fails, and says
/// so itself.
async fn announce(common: &Common, token: &Token) -> anyhow::Result<Infallible> {
    let urls = &common.urls;
    for url in [&urls.mock_provider, &urls.madre, &urls.switch, &urls.operator, &urls.tentaculo] {
        let service = Client::new(Connector::plain(url, PATIENCE)?);
        let health = || service.request(Method::GET, PathAndQuery::from_static("/health")).send();
        while !matches!(tokio::time::timeout(PATIENCE, health()).await, Ok(Ok(_))) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    summary::print(common, token)?;
    std::future::pending().await
}

/// Opens every port before any service starts, so that each knows where the others are, and a taken port stops the
/// start at once.
fn open_ports(settings: &Settings, common: &mut Common) -> anyhow::Result<Ports> {
    let ports = Ports {
        tentaculo: listen("tentaculo", bind::<vx11_tentaculo::TentaculoConfig>(settings)?)?,
        operator: listen("operator", bind::<vx11_operator::OperatorConfig>(settings)?)?,
        switch: listen("switch", bind::<vx11_switch::SwitchConfig>(settings)?)?,
        madre: listen("madre", bind::<vx11_madre::MadreConfig>(settings)?)?,
        mock_provider: listen("mock-provider", bind::<vx11_mock_provider::MockProviderConfig>(settings)?)?,
    };
    let urls = &mut common.urls;
    for (url, listener) in [
        (&mut urls.tentaculo, &ports.tentaculo),
        (&mut urls.operator, &ports.operator),
        (&mut urls.switch, &ports.switch),
        (&mut urls.madre, &ports.madre),
        (&mut urls.mock_provider, &ports.mock_provider),
    ] {
        let address = reachable(listener.local_addr()?);
        *url = format!("http://{address}/").parse()?;
    }
    Ok(ports)
}

fn bind<C: Section>(settings: &Settings) -> anyhow::Result<SocketAddr> {
    Ok(section::<C>(settings)?.bind())
}

/// Where this process reaches a listener that may listen on every address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
