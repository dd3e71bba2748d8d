//! The LLM gateway: picks a provider, fails over, streams.
//!
//! Callers speak OpenAI's wire or Anthropic's (`/v1`), or VX11's own (`/switch/chat`); providers are configuration. The
//! way of a request: `routes` read it, `domain` says where its model leads and what a failure means, `gateway` makes
//! the calls, `providers` knows where each provider is and how it is asked, and `wire` translates between what both
//! speak. `accounts` keeps who may ask how much, and what was spent, in the service's own `store`; what the gateway
//! knows of its providers' health is lost when it stops, and learnt anew within a few calls, or from other `replicas`
//! through `redis`. `cache` keeps answers for who asks the same again. What a rule holds for a person, `hold` puts to the
//! operator and waits for.

mod accounts;
mod cache;
mod check_config;
pub mod config;
mod domain;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gateway;
mod hold;
mod metrics;
mod named;
mod providers;
mod reload;
mod replicas;
mod routes;
mod store;
mod tokenizer;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ThinData;
use anyhow::Context;
use tokio::sync::Semaphore;
use utoipa::OpenApi as _;
use vx11_chassis::config::Common;
use vx11_chassis::process::{Section, Start};
use vx11_chassis::{Service, server};
use vx11_contracts::health::DependencyState;
use vx11_redis::Redis;
use vx11_telemetry::ServiceMetrics;

use accounts::{Accounts, Callers, PriceTable};
use cache::Cache;
pub use check_config::check_config;
use config::RetryConfig;
pub use config::SwitchConfig;
use domain::retry::RetryPolicy;
use domain::routing::{Labels, Routes};
use gateway::{Listed, Shared, Worker};
use hold::{Desk, HoldMetrics};
use metrics::Metrics;
use providers::Registry;
use reload::{Current, Watched};
use replicas::Replicas;

/// The service's name in logs, metrics and health.
pub const NAME: &str = "switch";

/// The databases that it keeps things in, for those who look after them without the service.
pub fn databases(common: &Common) -> Vec<vx11_store::ServiceDatabase> {
    vec![store::database(common)]
}

/// Longest wait for what is not settled or written yet when the service stops.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Serves until `start.shutdown` begins and the requests under way are done.
///
/// # Errors
/// When a key, Redis' address or the system's certificates cannot be used, or the listener cannot.
pub async fn serve(start: Start<SwitchConfig>) -> anyhow::Result<()> {
    let Start { config, common, listener, shutdown } = start;
    let service_metrics = ServiceMetrics::new(NAME, env!("CARGO_PKG_VERSION"))?;
    let metrics = Metrics::new(service_metrics.registry())?;
    config.check()?;
    let redis = open_redis(&config, &common, service_metrics.registry()).await?;
    let accounts = Accounts::open(&config, &common, redis.clone(), service_metrics.registry()).await?;
    let replicas = redis.map(|redis| Arc::new(Replicas::new(redis)));
    let desk = Desk::new(&common, config.hold_limits, HoldMetrics::new(service_metrics.registry())?, shutdown.clone())?;
    let shared = share(&config, &common, &metrics, accounts.clone(), Arc::new(desk), None)?;
    let shared = Shared { replicas: replicas.clone(), ..shared };
    // Each worker makes its own clients, where a failure cannot be reported any more.
    shared.registry.clients(None)?;
    let current = Arc::new(Current::new(shared));
    let watched = Watched::new(&config, &common);
    tokio::spawn(reload::watch(current.clone(), common.clone(), watched, shutdown.clone()));

    let dependencies = dependencies(current.clone());
    let service = Service {
        credentials: Some(Arc::new(Callers(accounts.clone()))),
        verifier: Some(Arc::new(Callers(accounts.clone()))),
        rules: routes::RULES,
        ..Service::new(NAME, &common, service_metrics, dependencies, routes::Document::openapi())
    };
    let upkeep = tokio::spawn(accounts.ledger().clone().keep_bounded());
    let in_step = replicas.map(|replicas| tokio::spawn(keep_in_step(replicas, current.clone())));
    let served = vx11_chassis::serve(service, listener, shutdown, move |app| match Worker::new(current.clone()) {
        Ok(worker) => {
            app.app_data(ThinData(worker)).configure(routes::routes);
        }
        Err(error) => tracing::error!(%error, "a worker has no clients and serves nothing"),
    })
    .await;
    upkeep.abort();
    if let Some(in_step) = in_step {
        in_step.abort();
    }
    accounts.flush(FLUSH_LIMIT).await;
    served
}

/// What replicas share, where they share it.
async fn open_redis(
    config: &SwitchConfig,
    common: &Common,
    registry: &prometheus::Registry,
) -> anyhow::Result<Option<Arc<Redis>>> {
    let Some((setting, url)) = config.redis(common) else { return Ok(None) };
    Redis::open(url, config.redis_timeout, registry).await.context(setting).map(Some)
}

/// The document of the service's routes, as it is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    server::complete(routes::Document::openapi())
}

/// Goes on telling other replicas of the providers in force, and hearing of them.
async fn keep_in_step(replicas: Arc<Replicas>, current: Arc<Current>) {
    replicas.keep_in_step(|| current.get().registry.all().to_vec()).await;
}

/// What is in force with `config`; the accounts go on, and what replicas share.
fn share(
    config: &SwitchConfig,
    common: &Common,
    metrics: &Metrics,
    accounts: Arc<Accounts>,
    desk: Arc<Desk>,
    before: Option<&Shared>,
) -> anyhow::Result<Shared> {
    // What a file says was checked when it was read; what a program put together was not.
    config.check()?;
    let registry = Registry::new(config, common, before.map(|before| &before.registry))?;
    for provider in registry.all().iter().filter(|provider| !provider.is_usable()) {
        tracing::info!(service = NAME, provider = provider.name, "its key is not set; requests pass it over");
    }
    let prices = PriceTable::new(&config.prices);
    for warning in config.warnings(&prices).into_iter().chain(check_config::without_key(config, &registry)) {
        tracing::warn!(service = NAME, warning, "the configuration may not mean what it says");
    }
    let served = registry.all().iter().map(|provider| provider.served()).collect();
    let routes = Routes::new(served, config.routes(&prices));
    let listed = Listed::new(&registry, routes.labels(), &accounts);
    let metrics = metrics.of(registry.all(), routes.labels());
    let RetryConfig { attempts, base, longest, .. } = config.retries;
    let shadows = before.map(|before| before.shadows.clone());
    let shadows = shadows.unwrap_or_else(|| Arc::new(Semaphore::new(gateway::MOST_SHADOWS)));
    let cache = Cache::new(&config.cache, &metrics.cache, before.and_then(|before| before.cache.as_ref()));
    let holds = config.hold_rules()?;
    if let Some(holds) = &holds {
        holds.all().for_each(|rule| desk.metrics.expect(rule));
    }
    let on_divergence = config.all_models().into_iter().map(|(name, model)| (name, model.on_divergence)).collect();
    Ok(Shared {
        registry,
        listed,
        routes,
        retries: RetryPolicy { attempts, base, longest },
        shadows,
        metrics,
        ping_interval: config.ping_interval,
        accounts,
        replicas: before.and_then(|before| before.replicas.clone()),
        cache,
        on_divergence,
        holds,
        desk,
    })
}

/// Every provider by its breakers, the ledger, the limits, and what replicas tell each other. A provider without a key
/// is left out on purpose, not at fault. Everybody may read this: a model is called as it is in metrics.
fn dependencies(current: Arc<Current>) -> vx11_chassis::health::Dependencies {
    Arc::new(move || {
        let state = |provider: &providers::Provider, labels: &Labels| {
            let open = provider.live.models().into_iter().find(|model| model.is_open());
            open.map_or_else(DependencyState::up, |model| {
                DependencyState::degraded(format!("its circuit breaker for {} is open", labels.of(&model.name)))
            })
        };
        let shared = current.get();
        let providers = shared.registry.all().iter().zip(shared.routes.labels());
        let states = providers.map(|(provider, labels)| (provider.name.clone(), state(provider, labels)));
        let replicas = shared.replicas.as_ref().map(|replicas| {
            let state = replicas.trouble().map_or_else(DependencyState::up, DependencyState::degraded);
            ("replicas".to_owned(), state)
        });
        states.chain(shared.accounts.dependencies()).chain(replicas).collect::<BTreeMap<_, _>>()
    })
}
