//! `/metrics` on a port of its own, which a network policy can open to Prometheus alone.
//!
//! It serves nothing else, and asks for no token: who reaches the port may read.

use std::net::SocketAddr;

use actix_web::dev::ServerHandle;
use actix_web::web::ThinData;
use actix_web::{App, HttpServer};
use tokio::task::JoinHandle;

use crate::health::{self, Probes};
use crate::process::listen;

/// An open port.
pub(crate) struct MetricsPort {
    handle: ServerHandle,
    running: JoinHandle<std::io::Result<()>>,
}

/// Opens `address` and answers there.
pub(crate) fn open(probes: Probes, address: SocketAddr) -> anyhow::Result<MetricsPort> {
    let listener = listen(probes.service, address)?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || App::new().app_data(ThinData(probes.clone())).service(health::metrics))
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
    tracing::info!(address = %address, "metrics have their own port");
    Ok(MetricsPort { handle: server.handle(), running: tokio::spawn(server) })
}

impl MetricsPort {
    /// Closes it once the service has drained, so that its last requests can still be read.
    pub(crate) async fn close(self) {
        self.handle.stop(false).await;
        if let Ok(Err(error)) = self.running.await {
            tracing::warn!(%error, "the metrics port ended badly");
        }
    }
}
