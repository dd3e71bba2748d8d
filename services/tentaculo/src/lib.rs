//! The edge: the only public port of VX11.
//!
//! It lets in who has the token, limits how much each may ask, and passes requests on to the services behind it, as
//! they are and without holding them back. It knows where paths lead and nothing of what they mean, and it keeps
//! nothing that may not be lost.

mod canary;
mod config;
mod limits;
mod metrics;
mod own_secrets;
mod proxy;
mod replicas;
mod routes;
mod state;
mod trusted;
mod upstream;
mod wrong_tokens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::web::Data;
use tokio::task::JoinSet;
use utoipa::OpenApi as _;
use vx11_chassis::health::Dependencies;
use vx11_chassis::process::Start;
use vx11_chassis::{Service, server};
use vx11_resilience::RetryBudget;
use vx11_telemetry::ServiceMetrics;

pub use config::{PerService, ReplicaConfig, TentaculoConfig};
use limits::Limits;
use metrics::Metrics;
use own_secrets::OwnSecrets;
use state::State;
use trusted::TrustedProxies;
pub use trusted::{NotANetwork, ProxyNetwork};
use upstream::Upstreams;

/// The service's name in logs, metrics and health.
pub const NAME: &str = "tentaculo";

/// How often gauges are brought up to date.
const GAUGE_INTERVAL: Duration = Duration::from_secs(1);

/// Serves until `start.shutdown` begins and the requests under way are done.
///
/// # Errors
/// When a client cannot be made, or the listener cannot be used.
pub async fn serve(start: Start<TentaculoConfig>) -> anyhow::Result<()> {
    let Start { config, common, listener, shutdown } = start;
    let service_metrics = ServiceMetrics::new(NAME, env!("CARGO_PKG_VERSION"))?;
    let upstreams = Upstreams::new(&common.urls, &config, common.http.worker_count())?;
    let metrics = Metrics::new(service_metrics.registry(), &upstreams)?;
    let trusted = TrustedProxies::new(&config.trusted_proxies);
    let limits = Limits::new(&config, trusted.clone(), metrics.clone());
    let state = State {
        worker: 0,
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
    // Aborted when it is dropped.
    let mut beside = JoinSet::new();
    beside.spawn(upstreams.clone().follow_names());
    beside.spawn(async move {
        loop {
            metrics.show_breakers(&upstreams);
            tokio::time::sleep(GAUGE_INTERVAL).await;
        }
    });
    let workers = Arc::new(AtomicUsize::new(0));
    vx11_chassis::serve(service, listener, shutdown, move |app| {
        let worker = workers.fetch_add(1, Ordering::Relaxed);
        app.app_data(Data::new(State { worker, ..state.clone() })).configure(routes::routes);
    })
    .await
}

/// The document of the service's routes, as it is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    server::complete(routes::Document::openapi())
}

/// What `/ready` names: the services, as their circuits and replicas show them.
fn dependencies(upstreams: Upstreams) -> Dependencies {
    Arc::new(move || {
        let named = upstreams.all().map(|upstream| (upstream.name.as_str().to_owned(), upstream.state()));
        named.collect::<BTreeMap<_, _>>()
    })
}
