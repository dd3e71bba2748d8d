//! Puts the service together.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ThinData;
use tracing::Instrument;
use url::Url;
use utoipa::OpenApi as _;
use vx11_chassis::client::ServiceClient;
use vx11_chassis::process::Start;
use vx11_chassis::{Service, server};
use vx11_telemetry::ServiceMetrics;

use crate::approval::Approvals;
use crate::chat::Chat;
use crate::config::MadreConfig;
use crate::maintenance::{Maintenance, RemoteStore};
use crate::metrics::Metrics;
use crate::plans::Plans;
use crate::power::{self, Power, PowerDriver};
use crate::readiness::Readiness;
use crate::routes::{MadreApi, routes};
use crate::state::State;
use crate::store::Store;

/// Longest wait for rows in memory when the service stops.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);
/// Longest wait for a connection to the operator.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Serves until the shutdown begins, then drains and flushes. `driver` starts and stops the other services.
///
/// # Errors
/// When the store cannot be opened, or the listener cannot be used.
pub async fn serve(start: Start<MadreConfig>, driver: Arc<dyn PowerDriver>) -> anyhow::Result<()> {
    let span = tracing::info_span!("service", service = crate::NAME);
    run(start, driver).instrument(span).await
}

/// The service's whole API document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    server::complete(MadreApi::openapi())
}

async fn run(start: Start<MadreConfig>, driver: Arc<dyn PowerDriver>) -> anyhow::Result<()> {
    let Start { config, common, listener, shutdown } = start;
    let service_metrics = ServiceMetrics::new(crate::NAME, env!("CARGO_PKG_VERSION"))?;
    let data_dir = &common.data_dir.0;
    let store = Store::open(common.database_url.clone(), data_dir, service_metrics.registry())?;
    let metrics = Metrics::new(service_metrics.registry())?;
    let readiness = Arc::new(Readiness::default());
    let power = Power::new(driver, config.driver_timeout, config.power_mode, store.clone(), metrics.clone());
    let plans = Plans::new(store.clone(), power.clone(), metrics.clone(), config.confirm_ttl);
    let remote = |name: &'static str, base: &Url, path: &'static str| RemoteStore {
        name,
        base: base.clone(),
        path,
        token: common.token.clone(),
        limit: config.maintenance_timeout,
    };
    let others = [
        remote("operator", &common.urls.operator, "/operator/api/maintenance"),
        remote("switch", &common.urls.switch, "/switch/maintenance"),
    ];
    let state = State {
        chat: Chat {
            store: store.clone(),
            plans: plans.clone(),
            power: power.clone(),
            readiness: readiness.clone(),
            metrics,
        },
        plans: plans.clone(),
        power: power.clone(),
        maintenance: Maintenance::new(store.clone(), others, power.clone(), data_dir, common.retention_days.clone()),
        store: store.clone(),
    };
    let operator = ServiceClient::new("operator", &common.urls.operator, common.token.as_ref(), CONNECT_LIMIT)?;
    let approvals = Approvals::new(store.clone(), plans.clone(), operator).run(shutdown.clone());
    let approvals = tokio::spawn(approvals.in_current_span());
    let background = power::run_background(power, plans, readiness.clone(), shutdown.clone());
    let background = tokio::spawn(background.in_current_span());

    let watched = store.clone();
    let dependencies = Arc::new(move || readiness.dependencies(&watched));
    let service = Service::new(crate::NAME, &common, service_metrics, dependencies, MadreApi::openapi());
    let served = vx11_chassis::serve(service, listener, shutdown.clone(), move |app| {
        app.app_data(ThinData(state.clone())).configure(routes);
    })
    .await;
    // Also when serving failed: the background must not outlive the service.
    shutdown.begin();
    background.await?;
    approvals.await?;
    if let Err(error) = store.flush(FLUSH_LIMIT).await {
        tracing::error!(%error, "stopping with rows in memory");
    }
    served
}
