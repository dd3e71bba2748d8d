//! Connections to providers: plain HTTP is inside the network and is called as services are, directly; what is outside
//! is called over TLS with the system's certificates, through the proxy that the environment names.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;
use url::Url;
use vx11_http_client::{Client, Connector, InvalidAddress, Proxy};

/// The system's certificates, read once and shared by all clients.
#[derive(Debug)]
pub(super) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Reads the system's certificates.
    pub(super) fn from_system() -> anyhow::Result<Self> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_platform_verifier();
        let config = builder.context("cannot read the system's certificates")?.with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// A client for the provider at `address`. `connect` bounds the making of a connection.
    pub(super) fn client(&self, address: &Url, connect: Duration) -> Result<Client, InvalidAddress> {
        let proxy = Proxy::from_env(address)?;
        Connector::tls(address, self.0.clone(), proxy, connect).map(Client::new)
    }
}
