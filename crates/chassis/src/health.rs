//! `/health`, `/ready` and `/metrics`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, ThinData};
use actix_web::{HttpResponse, get};
use vx11_contracts::health::{DependencyState, Health, Level, Readiness, ReadyStatus};
use vx11_telemetry::ServiceMetrics;

use crate::shutdown::Shutdown;

/// Names the state of each of a service's dependencies. It must answer at once, from what is already known.
pub type Dependencies = Arc<dyn Fn() -> BTreeMap<String, DependencyState> + Send + Sync>;

/// What the three routes need of their service.
#[derive(Clone)]
pub(crate) struct Probes {
    pub(crate) service: &'static str,
    pub(crate) metrics: Arc<ServiceMetrics>,
    pub(crate) dependencies: Dependencies,
    pub(crate) shutdown: Shutdown,
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The routes; `/metrics` only where it has no port of its own.
pub(crate) fn routes(with_metrics: bool) -> impl Fn(&mut web::ServiceConfig) {
    move |config| {
        config.service(health).service(ready);
        if with_metrics {
            config.service(metrics);
        }
    }
}

/// The process is alive.
#[utoipa::path(tag = "health", responses((status = 200, body = Health)), security(()))]
#[get("/health")]
async fn health(probes: ThinData<Probes>) -> HttpResponse {
    HttpResponse::Ok().json(Health {
        status: "ok".to_owned(),
        module: probes.service.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        timestamp: vx11_contracts::time::now(),
    })
}

/// The service can do its main job; each dependency by name.
#[utoipa::path(tag = "health", responses((status = 200, body = Readiness), (status = 503, body = Readiness)), security(()))]
#[get("/ready")]
async fn ready(probes: ThinData<Probes>) -> HttpResponse {
    let mut dependencies = (probes.dependencies)();
    let status = if probes.shutdown.has_begun() {
        dependencies.insert("process".to_owned(), DependencyState::down("stopping"));
        ReadyStatus::NotReady
    } else if dependencies.values().all(|state| state.status == Level::Up) {
        ReadyStatus::Ready
    } else {
        ReadyStatus::Degraded
    };
    let body =
        Readiness { status, module: probes.service.to_owned(), dependencies, timestamp: vx11_contracts::time::now() };
    match status {
        ReadyStatus::NotReady => HttpResponse::ServiceUnavailable().json(body),
        ReadyStatus::Ready | ReadyStatus::Degraded => HttpResponse::Ok().json(body),
    }
}

/// Prometheus text format.
#[utoipa::path(tag = "health", responses((status = 200, body = String, content_type = "text/plain")), security(()))]
#[get("/metrics")]
pub(crate) async fn metrics(probes: ThinData<Probes>) -> HttpResponse {
    let (content_type, text) = probes.metrics.encode();
    HttpResponse::Ok().insert_header((CONTENT_TYPE, content_type)).body(text)
}

/// The OpenAPI of the three routes, to be merged into a service's own.
#[derive(utoipa::OpenApi)]
#[openapi(paths(health, ready, metrics))]
pub(crate) struct HealthApi;
