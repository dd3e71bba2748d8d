//! The orchestrator: chat of last resort, plans that wait for a person, power windows, maintenance.
//!
//! madre answers when nothing else does, so its chat depends on nothing but this process: no other service, no clock,
//! no model; and a store that does not answer costs it the trail and the plans, not the answer.
//!
//! Nothing that could do harm runs before a person has confirmed it. Whoever starts madre hands it the [`PowerDriver`]
//! that starts and stops the other services.

mod approval;
mod chat;
mod config;
mod engine;
mod maintenance;
mod metrics;
mod plans;
mod power;
mod readiness;
mod routes;
mod secret;
mod serve;
mod services;
mod state;
mod store;
mod trail;

pub use config::MadreConfig;
pub use power::{DriverError, DryRunDriver, PowerDriver, ServiceState};
pub use serve::{openapi, serve};

/// The service's name in logs, metrics and answers.
pub const NAME: &str = "madre";

/// The databases that it keeps things in, for those who look after them without the service.
pub fn databases(common: &vx11_chassis::config::Common) -> Vec<vx11_store::ServiceDatabase> {
    vec![store::database(common.database_url.clone(), &common.data_dir.0)]
}
