//! The keys that sign, in memory: read anew every minute, and when a token names one that isn't known.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::Instant;
use vx11_chassis::Shutdown;
use vx11_chassis::auth::Refusal;
use vx11_identity::login_state::LoginStateError;
use vx11_identity::signing_keys::Jwks;
use vx11_identity::{AccessTokens, Claimed, LoginState, Sealer, SigningKeys, StoredKey, TokenError};

use super::{TokenRefused, unavailable};
use crate::control::Control;

/// How often the keys are read anew; a new one lies there for five minutes before it signs.
const READ_EVERY: Duration = Duration::from_secs(60);
/// The least time between two readings for tokens that name an unknown key: strangers may make up as many as they like.
const READ_AT_MOST_EVERY: Duration = Duration::from_secs(10);
/// Who makes the tokens, and whom they are for.
const ISSUER: &str = "vx11";
/// How long a token that is made here is good.
const LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// The keys, and the tokens that they make and verify.
#[derive(Debug)]
pub(crate) struct KnownKeys {
    control: Control,
    configured: Option<StoredKey>,
    /// `None` until they were read for the first time.
    tokens: RwLock<Option<AccessTokens>>,
    /// What seals the cookies of logins; `None` as above.
    sealer: RwLock<Option<Sealer>>,
    /// When they were read last, or when that was tried.
    last_read: Mutex<Option<Instant>>,
}

impl KnownKeys {
    pub(super) fn new(control: Control, configured: Option<StoredKey>) -> Self {
        Self { control, configured, tokens: RwLock::new(None), sealer: RwLock::new(None), last_read: Mutex::new(None) }
    }

    pub(super) async fn keep(&self, shutdown: Shutdown) {
        loop {
            self.read_unless_read_within(Duration::ZERO).await;
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(READ_EVERY) => {}
            }
        }
    }

    /// What a token says, if it is one of ours.
    pub(crate) async fn verify(&self, token: &str, now: Timestamp) -> Result<Claimed, Refusal> {
        match self.known_so_far(token, now) {
            Some(Err(TokenError::UnknownKey)) | None => {}
            Some(known) => return known.map_err(|error| TokenRefused(error).into()),
        }
        self.read_unless_read_within(READ_AT_MOST_EVERY).await;
        match self.known_so_far(token, now) {
            Some(known) => known.map_err(|error| TokenRefused(error).into()),
            None => Err(Refusal::Unavailable),
        }
    }

    /// The public keys; `None` while they were never read.
    pub(crate) async fn jwks(&self) -> Option<Jwks> {
        if self.tokens.read().is_none() {
            self.read_unless_read_within(READ_AT_MOST_EVERY).await;
        }
        self.tokens.read().as_ref().map(|tokens| tokens.keys().jwks(Timestamp::now()))
    }

    /// What makes tokens; `None` while the keys were never read.
    pub(crate) async fn tokens(&self) -> Option<AccessTokens> {
        if self.tokens.read().is_none() {
            self.read_unless_read_within(READ_AT_MOST_EVERY).await;
        }
        self.tokens.read().clone()
    }

    /// What seals the cookies of logins; `None` while the keys were never read.
    pub(crate) async fn sealer(&self) -> Option<Sealer> {
        if self.sealer.read().is_none() {
            self.read_unless_read_within(READ_AT_MOST_EVERY).await;
        }
        self.sealer.read().clone()
    }

    /// The login that `cookie` holds, if `provider` answers it with `state` in time: one that another replica began too,
    /// under a key that wasn't read here yet.
    pub(crate) async fn open_login(
        &self,
        cookie: &str,
        provider: &str,
        state: &str,
        now: Timestamp,
    ) -> Result<LoginState, LoginStateError> {
        let open = |sealer: Option<Sealer>| match sealer {
            Some(sealer) => LoginState::open(&sealer, cookie, provider, state, now),
            None => Err(LoginStateError::NoLogin),
        };
        match open(self.sealer().await) {
            Err(LoginStateError::NoLogin) if !cookie.is_empty() => {
                self.read_unless_read_within(READ_AT_MOST_EVERY).await;
                open(self.sealer().await)
            }
            opened => opened,
        }
    }

    fn known_so_far(&self, token: &str, now: Timestamp) -> Option<Result<Claimed, TokenError>> {
        self.tokens.read().as_ref().map(|tokens| tokens.verify(token, now))
    }

    async fn read_unless_read_within(&self, period: Duration) {
        let mut last_read = self.last_read.lock().await;
        if last_read.is_some_and(|at| at.elapsed() < period) {
            return;
        }
        *last_read = Some(Instant::now());
        match self.control.signing_keys(Timestamp::now()).await {
            Ok(stored) => {
                match SigningKeys::new(stored.iter().chain(&self.configured)) {
                    Ok(keys) => *self.tokens.write() = Some(AccessTokens::new(keys, ISSUER, ISSUER, LIFETIME)),
                    Err(error) => tracing::error!(%error, "the keys of access tokens cannot be used"),
                }
                match Sealer::new(&stored) {
                    Ok(sealer) => *self.sealer.write() = Some(sealer),
                    Err(error) => tracing::error!(%error, "the keys that seal cookies cannot be used"),
                }
            }
            Err(error) => {
                // Those that were read before go on.
                let _ = unavailable(error);
            }
        }
    }
}
