//! The LLM gateway: picks a provider, fails over, streams.
//!
//! Callers speak OpenAI's wire or Anthropic's (`/v1`), or VX11's own (`/switch/chat`); providers are configuration. The way
//! of a request: `routes` read it, `domain` says where its model leads and what a failure means, `gateway` makes the calls,
//! `providers` knows where each provider is and how it is asked, and `wire` translates between what both speak. The gateway has no store: what it knows of its
//! providers' health is lost when it stops, and learnt anew within a few calls.

pub mod config;
mod domain;
mod gateway;
mod metrics;
mod providers;
mod routes;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::ThinData;
use utoipa::OpenApi as _;
use vx11_chassis::config::Common;
use vx11_chassis::process::{Section, Start};
use vx11_chassis::{Service, server};
use vx11_contracts::health::DependencyState;
use vx11_resilience::BreakerState;
use vx11_telemetry::ServiceMetrics;

pub use config::SwitchConfig;
use config::split_target;
use domain::routing::Routes;
use gateway::{Gateway, Shared};
use metrics::Metrics;
use providers::Registry;

/// The service's name in logs, metrics and health.
pub const NAME: &str = "switch";

/// Serves until `start.shutdown` begins and the requests under way are done.
///
/// # Errors
/// When a key or the system's certificates cannot be used, or the listener cannot.
pub async fn serve(start: Start<SwitchConfig>) -> anyhow::Result<()> {
    let Start { config, common, listener, shutdown } = start;
    let service_metrics = ServiceMetrics::new(NAME, env!("CARGO_PKG_VERSION"))?;
    let shared = Arc::new(share(&config, &common, &service_metrics)?);
    // Each worker makes its own clients, where a failure cannot be reported any more.
    shared.registry.clients()?;

    let dependencies = dependencies(shared.clone());
    let service = Service::new(NAME, &common, service_metrics, dependencies, routes::Document::openapi());
    vx11_chassis::serve(service, listener, shutdown, move |app| match Gateway::new(shared.clone()) {
        Ok(gateway) => {
            app.app_data(ThinData(gateway)).configure(routes::routes);
        }
        Err(error) => tracing::error!(%error, "a worker has no clients and serves nothing"),
    })
    .await
}

/// The document of the service's routes, as it is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    server::complete(routes::Document::openapi())
}

fn share(config: &SwitchConfig, common: &Common, metrics: &ServiceMetrics) -> anyhow::Result<Shared> {
    // What a file says was checked when it was read; what a program put together was not.
    config.check()?;
    let registry = Registry::new(config, common)?;
    for provider in registry.all().iter().filter(|provider| !provider.is_usable()) {
        tracing::info!(service = NAME, provider = provider.name, "its key is not set; requests pass it over");
    }
    let models = config.all_models();
    let models = models.iter().map(|(name, model)| {
        let targets = model.targets.iter().filter_map(|target| split_target(target)).collect();
        (name.clone(), targets)
    });
    let routes = Routes::new(registry.all().iter().map(providers::Provider::served).collect(), models);
    let metrics = Metrics::new(metrics.registry(), registry.all())?;
    Ok(Shared { registry, routes, metrics })
}

/// Every provider by its breaker. One without a key is left out on purpose, not at fault.
fn dependencies(shared: Arc<Shared>) -> vx11_chassis::health::Dependencies {
    Arc::new(move || {
        let state = |provider: &providers::Provider| match provider.breaker.snapshot().state {
            BreakerState::Open => DependencyState::degraded("its circuit breaker is open"),
            BreakerState::Closed | BreakerState::HalfOpen => DependencyState::up(),
        };
        let states = shared.registry.all().iter().map(|provider| (provider.name.clone(), state(provider)));
        states.collect::<BTreeMap<_, _>>()
    })
}
