//! How many requests an address, and a token, may make.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use vx11_chassis::ApiError;
use vx11_contracts::headers;
use vx11_resilience::{RateLimit, RetryAfter};

use crate::config::TentaculoConfig;
use crate::metrics::Metrics;

/// The two limits. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    addresses: Arc<RateLimit>,
    tokens: Arc<RateLimit>,
    trusted_proxies: Arc<[IpAddr]>,
    metrics: Metrics,
}

impl Limits {
    pub(crate) fn new(config: &TentaculoConfig, metrics: Metrics) -> Self {
        Self {
            addresses: Arc::new(RateLimit::new(config.address_limit)),
            tokens: Arc::new(RateLimit::new(config.token_limit)),
            trusted_proxies: config.trusted_proxies.as_slice().into(),
            metrics,
        }
    }

    /// Counts a request against its address, before anything else is looked at.
    pub(crate) fn check_address(&self, request: &HttpRequest) -> Result<(), ApiError> {
        if matches!(request.path(), "/health" | "/ready" | "/metrics") {
            return Ok(());
        }
        let Some(peer) = request.peer_addr().map(|address| address.ip()) else { return Ok(()) };
        let client = client_address(peer, request.headers(), &self.trusted_proxies);
        self.addresses.check(client).map_err(|wait| self.refuse("address", wait))
    }

    /// Counts a request against the token that it was let in with.
    pub(crate) fn check_token(&self, request: &HttpRequest) -> Result<(), ApiError> {
        let header = |name: &str| request.headers().get(name).map(|value| value.as_bytes());
        let token = header(headers::TOKEN).or_else(|| header(AUTHORIZATION.as_str()));
        self.tokens.check(token).map_err(|wait| self.refuse("token", wait))
    }

    fn refuse(&self, scope: &str, RetryAfter(wait): RetryAfter) -> ApiError {
        self.metrics.limited.with_label_values(&[scope]).inc();
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        ApiError::rate_limited(seconds, format!("too many requests of one {scope}"))
    }
}

/// The address that is counted: the peer's, or where that is a trusted proxy the last one that no trusted proxy wrote.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    let written = headers.get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let chain: Vec<IpAddr> =
        written.flat_map(|list| list.split(',')).filter_map(|address| address.trim().parse().ok()).collect();
    chain.into_iter().rev().find(|address| !trusted.contains(address)).unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn only_a_trusted_proxy_may_name_the_client() {
        let mut headers = HeaderMap::new();
        headers
            .insert("x-forwarded-for".parse().expect("a name"), HeaderValue::from_static("6.6.6.6, 9.9.9.9, 10.0.0.2"));
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let trusted = [address("10.0.0.1"), address("10.0.0.2")];
        assert_eq!(client_address(address("8.8.8.8"), &headers, &trusted), address("8.8.8.8"));
        assert_eq!(client_address(address("10.0.0.1"), &headers, &trusted), address("9.9.9.9"));
        assert_eq!(client_address(address("10.0.0.1"), &HeaderMap::new(), &trusted), address("10.0.0.1"));
    }
}
