//! HTTP clients for providers outside: TLS with the system's certificates, and the proxy that the environment names.
//!
//! Providers over plain HTTP are inside the network and are called as services are, directly.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;
use url::{Host, Url};

/// The system's certificates, read once and shared by all clients.
#[derive(Debug)]
pub(super) struct Tls(ClientConfig);

impl Tls {
    /// Reads the system's certificates.
    pub(super) fn from_system() -> anyhow::Result<Self> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_platform_verifier();
        Ok(Self(builder.context("cannot read the system's certificates")?.with_no_client_auth()))
    }

    /// A client for the provider at `base_url`.
    pub(super) fn client(&self, base_url: &Url, connect_timeout: Duration) -> reqwest::Result<Client> {
        let client = Client::builder()
            .tls_backend_preconfigured(self.0.clone())
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(Duration::from_secs(60))
            .redirect(Policy::none())
            // Whoever calls decides about retries; reqwest would copy each request for its own.
            .retry(reqwest::retry::never().max_retries_per_request(0))
            .user_agent(concat!("vx11/", env!("CARGO_PKG_VERSION")));
        if is_loopback(base_url) { client.no_proxy() } else { client }.build()
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        let is_loopback = |url: &str| is_loopback(&Url::parse(url).expect("a URL"));
        assert!(["https://localhost/v1", "https://127.0.0.1:1/", "https://[::1]/"].into_iter().all(is_loopback));
        assert!(!["https://api.example.com/", "https://10.0.0.1/"].into_iter().any(is_loopback));
    }
}
