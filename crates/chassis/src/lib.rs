//! What every VX11 service stands on: configuration, HTTP server, health, auth guard, error mapping, shutdown.
//!
//! A service brings its own configuration section, its routes and its readiness; the chassis gives it everything that
//! all services must do alike. It knows no service, and it holds no state beyond what one service hands it, because all
//! five services can share one process.

mod addresses;
pub mod auth;
pub mod breaker;
pub mod client;
pub mod config;
mod connections;
pub mod context;
pub mod docs;
pub mod error;
pub mod extract;
pub mod header_names;
pub mod health;
mod metrics_port;
mod observe;
pub mod process;
pub mod server;
pub mod shutdown;
pub mod sse;

pub use context::RequestContext;
pub use error::ApiError;
pub use observe::method_label;
pub use server::{Service, serve};
pub use shutdown::Shutdown;
