//! A deterministic model provider that speaks OpenAI's two wires, Anthropic's and Gemini's and misbehaves on request.
//!
//! Answers depend only on the model, the messages, the seed and the choice's index. Every way in which a provider can
//! fail is a *fault*, asked for by model name (`mock+status=503`), by header (`x-mock-fault: status=503`) or through
//! the admin endpoint; `docs/mock-provider.md` lists them. It is a test instrument: it guards nothing, and it must not
//! be reachable from where it is not wanted.

mod config;
mod domain;
mod faults;
mod ledger;
mod reset;
mod routes;
mod streaming;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::ThinData;
use prometheus::{IntCounterVec, Opts};
use utoipa::OpenApi as _;
use vx11_chassis::process::Start;
use vx11_chassis::{Service, server};
use vx11_telemetry::ServiceMetrics;

pub use config::MockProviderConfig;

/// The service's name in logs, metrics and health.
pub const NAME: &str = "mock-provider";

/// What handlers share. Cheap to clone.
#[derive(Clone, Debug)]
struct State {
    config: Arc<MockProviderConfig>,
    ledger: Arc<ledger::Ledger>,
    faults: Arc<faults::Faults>,
    tokens: IntCounterVec,
    shutdown: vx11_chassis::Shutdown,
}

/// Serves until `start.shutdown` begins and the requests under way are done.
///
/// # Errors
/// When the configured faults cannot be read, or the listener cannot be used.
pub async fn serve(start: Start<MockProviderConfig>) -> anyhow::Result<()> {
    let Start { config, common, listener, shutdown } = start;
    let metrics = ServiceMetrics::new(NAME, env!("CARGO_PKG_VERSION"))?;
    let tokens = IntCounterVec::new(Opts::new("vx11_tokens_generated_total", "Tokens sent, by model."), &["model"])?;
    metrics.registry().register(Box::new(tokens.clone()))?;
    let state = State {
        ledger: Arc::new(ledger::Ledger::new(config.log_capacity)),
        faults: Arc::new(faults::Faults::new(&config.faults)?),
        config: Arc::new(config),
        tokens,
        shutdown: shutdown.clone(),
    };
    let service = Service {
        // Callers present the provider's own key, where one is configured.
        token: None,
        on_connect: Some(reset::remember_socket),
        ..Service::new(NAME, &common, metrics, Arc::new(BTreeMap::new), routes::Document::openapi())
    };
    vx11_chassis::serve(service, listener, shutdown, move |app| {
        app.app_data(ThinData(state.clone())).configure(|app| routes::routes(app, state.config.admin));
    })
    .await
}

/// The document of the service's routes, as it is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    server::complete(routes::Document::openapi())
}
