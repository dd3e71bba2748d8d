//! A proven caller of a connection that stays open: what proved it may have ended since, so it is asked again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use vx11_contracts::identity::Principal;

use super::{Caller, Guard, Refusal};

/// How long a connection that a stream token opened stays open, at most: as long as an event stream. The token itself
/// opens nothing any more after a minute.
pub const STREAM_TOKEN_OPENS_FOR: Duration = Duration::from_secs(300);

/// Who calls, and what proves it.
pub struct Standing {
    caller: Caller,
    guard: Option<Arc<Guard>>,
    by: By,
}

/// What proves who calls.
#[derive(Clone)]
pub(super) enum By {
    /// The shared token, which is good as long as the process.
    Shared,
    /// A stream token, which opened a connection until then.
    StreamToken(Instant),
    /// What the verifier knows.
    Secret(SecretString),
}

impl By {
    pub(super) fn stream_token() -> Self {
        Self::StreamToken(Instant::now() + STREAM_TOKEN_OPENS_FOR)
    }
}

impl Standing {
    pub(super) fn new(principal: Principal, guard: Option<Arc<Guard>>, by: By) -> Self {
        Self { caller: Caller(principal), guard, by }
    }

    /// Who calls, as far as was known when it was last asked.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether the services' own token proves it: such a caller is many.
    pub fn is_services_own(&self) -> bool {
        matches!(self.by, By::Shared) || self.caller.0.subject == Principal::service().subject
    }

    /// Asks again. It's cheap, because a verifier remembers for some seconds what it was told.
    ///
    /// # Errors
    /// [`Refusal`] where what proved the caller has expired or was revoked, or where that cannot be told now.
    pub async fn ask_again(&mut self) -> Result<(), Refusal> {
        match &self.by {
            By::Shared => Ok(()),
            By::StreamToken(until) if Instant::now() >= *until => Err(Refusal::Expired),
            By::StreamToken(_) => match self.guard.as_ref().and_then(|guard| guard.verifier.as_ref()) {
                Some(verifier) if !self.is_services_own() => verifier.stands(&self.caller.0).await,
                _ => Ok(()),
            },
            By::Secret(secret) => {
                let verifier = self.guard.as_ref().and_then(|guard| guard.verifier.as_ref());
                let verifier = verifier.ok_or(Refusal::Invalid)?;
                self.caller = Caller(verifier.verify(secret.expose_secret()).await?);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("caller", &self.caller).finish_non_exhaustive()
    }
}
