//! The API that people and applications use: chat, sessions, events, metrics, audit, replay.
//!
//! Routes call the domain and the store; the store is the only place that knows SQL, `clients` the only one that knows
//! other services. Chat must answer whatever else fails: it goes on without the switch, and without the store.

mod admin;
mod audit;
mod bus;
mod chat;
mod clients;
mod config;
mod control;
mod desk;
mod domain;
mod events;
mod feed;
mod health_watch;
mod hearing;
mod hub;
mod login;
mod mail;
mod metrics;
mod metrics_cache;
mod outbox;
mod rate;
mod routes;
mod row_total;
mod serve;
mod shared;
mod state;
mod store;
mod verifier;
mod webhooks;

pub use admin::{Admin, AdminError, LeftOut};
pub use config::OperatorConfig;
pub use serve::serve;

/// The service's name in logs, metrics and health.
pub const NAME: &str = "operator";

/// Checks what the configuration names and does not hold: the secrets of providers that people log in at, and the server
/// that e-mail goes to.
///
/// # Errors
/// When one is missing or cannot be read.
pub fn check_config(config: &OperatorConfig, common: &vx11_chassis::config::Common) -> anyhow::Result<()> {
    login::check(&config.login, &common.secrets)?;
    mail::Mail::new(config.email.clone(), common.secrets.clone()).map(drop)
}

/// The databases that it keeps things in, for those who look after them without the service.
pub fn databases(common: &vx11_chassis::config::Common) -> Vec<vx11_store::ServiceDatabase> {
    shared::databases(common)
}

/// The document of the service's routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    use utoipa::OpenApi as _;
    vx11_chassis::server::complete(routes::OperatorApi::openapi())
}
