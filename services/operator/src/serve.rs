//! Puts the service together.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use anyhow::Context;
use tracing::Instrument;
use utoipa::OpenApi as _;
use vx11_chassis::Service;
use vx11_chassis::process::Start;
use vx11_redis::Redis;
use vx11_telemetry::ServiceMetrics;

use crate::bus::Bus;
use crate::config::OperatorConfig;
use crate::routes::{OperatorApi, RULES, STREAM_PATHS, routes};
use crate::shared::Shared;

/// Longest wait for Redis. No request waits as long.
const REDIS_ANSWER: Duration = Duration::from_secs(1);
/// Longest wait until other replicas are told what happened here last.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);
/// Longest wait for rows in memory when the service stops.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// Serves until the shutdown begins, then drains and flushes.
///
/// # Errors
/// When the store cannot be opened, or the listener cannot be used.
pub async fn serve(start: Start<OperatorConfig>) -> anyhow::Result<()> {
    let span = tracing::info_span!("service", service = crate::NAME);
    run(start).instrument(span).await
}

async fn run(start: Start<OperatorConfig>) -> anyhow::Result<()> {
    let Start { config, common, listener, shutdown } = start;
    let metrics = ServiceMetrics::new(crate::NAME, env!("CARGO_PKG_VERSION"))?;
    let redis = match &common.redis_url {
        Some(url) => Some(Redis::open(url, REDIS_ANSWER, metrics.registry()).await.context("VX11_REDIS_URL")?),
        None => None,
    };
    let (bus, others) = Bus::over(redis.as_ref(), metrics.registry())?;
    let shared = Shared::new(config, common, metrics.registry(), (bus.clone(), redis), shutdown.clone())?;
    // Dropped, and so ended, when serving is over.
    let _background = shared.start_background(others)?;
    // Each worker makes its own, where a failure cannot be reported any more.
    shared.worker_state()?;
    let service = Service {
        stream_paths: STREAM_PATHS,
        verifier: Some(Arc::new(shared.verifier.clone())),
        rules: RULES,
        ..Service::new(crate::NAME, &shared.common, metrics, shared.dependencies(), OperatorApi::openapi())
    };
    let (writer, audit) = (shared.store.writer.clone(), shared.audit.clone());
    let served = vx11_chassis::serve(service, listener, shutdown, move |app| match shared.worker_state() {
        Ok(state) => {
            app.app_data(Data::new(state)).configure(routes);
        }
        Err(error) => tracing::error!(%error, "a worker has no HTTP client, and serves nothing"),
    })
    .await;
    if tokio::time::timeout(LEAVE_LIMIT, bus.leave()).await.is_err() {
        tracing::warn!("stopping with hints that other replicas were not told");
    }
    if tokio::time::timeout(FLUSH_LIMIT, audit.close()).await.is_err() {
        tracing::error!("stopping with refusals that are not in the audit log");
    }
    if let Err(error) = writer.flush(FLUSH_LIMIT).await {
        tracing::error!(%error, "stopping with rows in memory");
    }
    served
}
