//! The edge: the only public port of VX11.
//!
//! It lets in who has the token, limits how much each may ask, and passes requests on to the services behind it, as
//! they are and without holding them back. It knows where paths lead and nothing of what they mean, and it keeps
//! nothing that may not be lost.

mod config;
mod limits;
mod metrics;
mod own_secrets;
mod proxy;
mod routes;
mod state;
mod trusted;
mod upstream;
mod wrong_tokens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use utoipa::OpenApi as _;
use vx11_chassis::health::Dependencies;
use vx11_chassis::process::Start;
use vx11_chassis::{Service, server};
use vx11_contracts::health::DependencyState;
use vx11_resilience::{BreakerState, RetryBudget};
use vx11_telemetry::ServiceMetrics;

pub use config::TentaculoConfig;
use limits::Limits;
use metrics::Metrics;
use own_secrets::OwnSecrets;
use state::State;
use trusted::TrustedProxies;
pub use trusted::{NotANetwork, ProxyNetwork};
use upstream::{Clients, Upstreams};

/// The service's name in logs, metrics and health.
pub const NAME: &str = "tentaculo";

/// Longest wait for a connection to a service.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often gauges are brought up to date.
const GAUGE_INTERVAL: Duration = Duration::from_secs(1);

/// Serves until `start.shutdown` begins and the requests under way are done.
///
/// # Errors
/// When a client cannot be made, or the listener cannot be used.
pub async fn serve(start: Start<TentaculoConfig>) -> anyhow::Result<()> {
    let Start { config, common, listener, shutdown } = start;
    let service_metrics = ServiceMetrics::new(NAME, env!("CARGO_PKG_VERSION"))?;
    let metrics = Metrics::new(service_metrics.registry())?;
    let upstreams = Upstreams::new(&common.urls, config.circuit);
    let trusted = TrustedProxies::new(&config.trusted_proxies);
    let limits = Limits::new(&config, trusted.clone(), metrics.clone());
    let state = State {
        http: Clients::new(&upstreams, CONNECT_TIMEOUT)?,
        upstreams: upstreams.clone(),
        limits: limits.clone(),
        trusted,
        retries: Arc::new(RetryBudget::new(config.retries)),
        metrics: metrics.clone(),
        token: common.token.clone(),
        shutdown: shutdown.clone(),
        config: Arc::new(config),
    };
    let dependencies = dependencies(upstreams.clone());
    let service = Service {
        stream_paths: &["/operator/api/events"],
        rules: upstream::RULES,
        allowed_origins: state.config.allowed_origins.clone(),
        admit: Some(Arc::new(limits)),
        credentials: Some(Arc::new(OwnSecrets { switch_keys: state.config.switch_keys })),
        ..Service::new(NAME, &common, service_metrics, dependencies, routes::Document::openapi())
    };
    let gauges = tokio::spawn(async move {
        loop {
            metrics.show_breakers(&upstreams);
            tokio::time::sleep(GAUGE_INTERVAL).await;
        }
    });
    let served = vx11_chassis::serve(service, listener, shutdown, move |app| {
        match Clients::new(&state.upstreams, CONNECT_TIMEOUT) {
            Ok(http) => {
                app.app_data(Data::new(State { http, ..state.clone() })).configure(routes::routes);
            }
            Err(error) => tracing::error!(%error, "a worker has no HTTP client, and serves nothing"),
        }
    })
    .await;
    gauges.abort();
    served
}

/// The document of the service's routes, as it is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    server::complete(routes::Document::openapi())
}

/// What `/ready` names: the services, as their circuits know them.
fn dependencies(upstreams: Upstreams) -> Dependencies {
    Arc::new(move || {
        let state = |upstream: &upstream::Upstream| match upstream.breaker.snapshot().state {
            // Half-open: nobody has asked since, which says nothing against it.
            BreakerState::Closed | BreakerState::HalfOpen => DependencyState::up(),
            BreakerState::Open => DependencyState::down("it does not answer"),
        };
        let named = upstreams.all().map(|upstream| (upstream.name.as_str().to_owned(), state(upstream)));
        named.collect::<BTreeMap<_, _>>()
    })
}
