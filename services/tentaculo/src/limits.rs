//! How many requests an address, and a token, may make, and how many wrong tokens an address may present.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpRequest;
use vx11_chassis::ApiError;
use vx11_chassis::auth::presented_token;
use vx11_chassis::server::Admission;
use vx11_resilience::{RateLimit, RetryAfter};

use crate::config::TentaculoConfig;
use crate::metrics::Metrics;
use crate::trusted::TrustedProxies;
use crate::wrong_tokens::WrongTokens;

/// The limits. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    addresses: Arc<RateLimit>,
    tokens: Arc<RateLimit>,
    wrong_tokens: Arc<WrongTokens>,
    trusted: TrustedProxies,
    metrics: Metrics,
}

impl Limits {
    pub(crate) fn new(config: &TentaculoConfig, trusted: TrustedProxies, metrics: Metrics) -> Self {
        Self {
            addresses: Arc::new(RateLimit::new(config.address_limit)),
            tokens: Arc::new(RateLimit::new(config.token_limit)),
            wrong_tokens: Arc::new(WrongTokens::new(config.wrong_tokens_per_minute)),
            trusted,
            metrics,
        }
    }

    /// Counts a request against the token that it was let in with, however that was written.
    pub(crate) fn check_token(&self, request: &HttpRequest) -> Result<(), ApiError> {
        let token = presented_token(request.headers());
        self.tokens.check(token).map_err(|wait| self.refuse("token", "too many requests of one token", wait))
    }

    /// Counts a wrong token of an address.
    pub(crate) fn count_wrong_token(&self, client: IpAddr) {
        self.metrics.wrong_tokens.inc();
        self.wrong_tokens.count(client, Instant::now());
    }

    fn refuse(&self, scope: &str, detail: &str, RetryAfter(wait): RetryAfter) -> ApiError {
        self.metrics.limited.with_label_values(&[scope]).inc();
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        ApiError::rate_limited(seconds, detail)
    }
}

impl Admission for Limits {
    /// Counts a request against its address, before anything else is looked at.
    fn admit(&self, request: &HttpRequest) -> Result<(), ApiError> {
        if matches!(request.path(), "/health" | "/ready" | "/metrics") {
            return Ok(());
        }
        let Some(client) = self.trusted.client(request) else { return Ok(()) };
        self.addresses.check(client).map_err(|wait| self.refuse("address", "too many requests of one address", wait))
    }

    fn may_present_token(&self, request: &HttpRequest) -> Result<(), ApiError> {
        let Some(client) = self.trusted.client(request) else { return Ok(()) };
        let checked = self.wrong_tokens.check(client, Instant::now());
        checked.map_err(|wait| self.refuse("wrong_token", "too many wrong tokens from one address", wait))
    }

    fn wrong_token(&self, request: &HttpRequest) {
        if let Some(client) = self.trusted.client(request) {
            self.count_wrong_token(client);
        }
    }
}
