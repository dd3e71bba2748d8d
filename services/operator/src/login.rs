//! How people come in: through a provider that knows them, or with a password; and how they stay, and leave.
//!
//! What has to be remembered between two requests is in the database, or sealed in the browser's own cookie, so any
//! replica goes on with what another began. Here only what was read of providers is kept, and who tries too often.

mod admission;
mod at_provider;
mod denied;
mod fetch;
mod github;
mod metrics;
mod oidc;
mod password;
mod provider;
mod session;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;
use vx11_chassis::config::Secrets;
use vx11_chassis::{ApiError, auth};
use vx11_contracts::ErrorCode;
use vx11_contracts::identity::{LoginProvider, LoginWays};
use vx11_identity::{LoginThrottle, Passwords};
use vx11_resilience::{RetryAfter, SlidingWindow, SlidingWindowConfig};

use crate::config::LoginConfig;
use crate::control::Control;
use crate::verifier::Verifier;
pub(crate) use at_provider::Answered;
pub(crate) use denied::{Denied, ProviderError};
use fetch::Fetch;
pub(crate) use metrics::LoginMetrics;
pub(crate) use password::{LOGIN_RULE, is_login};
use provider::Provider;
pub(crate) use session::REUSE;

/// Passwords that are hashed at a time: each takes a core and 19 MiB.
const MOST_HASHES: usize = 2;
/// Longest wait for one of these places.
const WAIT: Duration = Duration::from_secs(5);
/// Logins at providers that one address may begin or finish in a minute.
const OF_ADDRESS: SlidingWindowConfig =
    SlidingWindowConfig { limit: 60, window: Duration::from_secs(60), max_keys: 50_000 };
/// The ways in beside providers, as they are counted.
const PASSWORD: &str = "password";
const REFRESH: &str = "refresh";

/// Lets people in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Login(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    control: Control,
    verifier: Verifier,
    metrics: LoginMetrics,
    /// Where people come from; `None` where nobody logs in.
    public_url: Option<Url>,
    with_passwords: bool,
    /// In the order of their names.
    providers: Vec<Provider>,
    passwords: Arc<Passwords>,
    throttle: LoginThrottle,
    addresses: SlidingWindow,
    hashes: Arc<Semaphore>,
}

impl Login {
    /// # Errors
    /// When a provider's secret is missing or cannot be read.
    pub(crate) fn new(
        config: &LoginConfig,
        secrets: &Secrets,
        control: Control,
        verifier: Verifier,
        metrics: LoginMetrics,
    ) -> anyhow::Result<Self> {
        let providers = providers(config, secrets)?;
        if config.is_on() {
            let ways = providers.iter().map(|provider| provider.id.as_str());
            ways.chain([PASSWORD, REFRESH]).for_each(|way| metrics.show(way));
        }
        Ok(Self(Arc::new(Inner {
            control,
            verifier,
            metrics,
            public_url: config.public_url.clone().filter(|_| config.is_on()),
            with_passwords: config.passwords,
            providers,
            passwords: Arc::default(),
            throttle: LoginThrottle::default(),
            addresses: SlidingWindow::new(OF_ADDRESS),
            hashes: Arc::new(Semaphore::new(MOST_HASHES)),
        })))
    }

    /// The address that people come to.
    ///
    /// # Errors
    /// `not_found` where nobody logs in.
    pub(crate) fn public_url(&self) -> Result<&Url, ApiError> {
        self.0
            .public_url
            .as_ref()
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "nobody logs in here: operator.login is not set"))
    }

    /// The ways in that there are.
    pub(crate) fn ways(&self) -> LoginWays {
        let shown = |provider: &Provider| LoginProvider {
            id: provider.id.clone(),
            name: provider.label.clone(),
            login: format!("/operator/api/auth/login/{}", provider.id),
        };
        LoginWays { providers: self.0.providers.iter().map(shown).collect(), passwords: self.0.with_passwords }
    }
}

/// Whether people could log in by this configuration.
///
/// # Errors
/// When a secret is missing or cannot be read.
pub(crate) fn check(config: &LoginConfig, secrets: &Secrets) -> anyhow::Result<()> {
    providers(config, secrets).map(drop)
}

/// The providers of a configuration, in the order of their names.
///
/// # Errors
/// When a secret is missing or cannot be read.
fn providers(config: &LoginConfig, secrets: &Secrets) -> anyhow::Result<Vec<Provider>> {
    let fetch = Fetch::default();
    config.providers.iter().map(|(id, config)| Provider::new(id, config, secrets, &fetch)).collect()
}

/// A place among those who do the same, until it is dropped.
async fn turn(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
    match tokio::time::timeout(WAIT, places.clone().acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(ApiError::new(ErrorCode::Overloaded, "too many people log in at this moment").with_retry_after(5)),
    }
}

fn too_many(RetryAfter(wait): &RetryAfter) -> ApiError {
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
    ApiError::rate_limited(seconds, "too many attempts to log in")
}

fn keys_missing() -> ApiError {
    auth::Refusal::Unavailable.into()
}
