//! A proven caller of a connection that stays open: what proved it may have ended since, so it is asked again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use vx11_contracts::identity::Principal;

use super::{Caller, Guard, Minted, Refusal};

/// How long a connection that a stream token opened stays open, at most: as long as an event stream. The token itself
/// opens nothing any more after a minute.
pub const STREAM_TOKEN_OPENS_FOR: Duration = Duration::from_secs(300);
/// How old an answer may be when something is sent. With the four seconds that a verifier believes its database, what was
/// ended is sent nothing after five.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// Who calls, and what proves it.
pub struct Standing {
    caller: Caller,
    guard: Option<Arc<Guard>>,
    by: By,
    asked_at: Instant,
}

/// What proves who calls.
#[derive(Clone)]
pub(super) enum By {
    /// The shared token, which is good as long as the process.
    Shared,
    /// A stream token, which opened a connection until then; whose it was, but for the services' own.
    StreamToken(Instant, Option<Minted>),
    /// What the verifier knows.
    Secret(SecretString),
}

impl By {
    pub(super) fn stream_token(minted: Option<Minted>) -> Self {
        Self::StreamToken(Instant::now() + STREAM_TOKEN_OPENS_FOR, minted)
    }
}

impl Standing {
    pub(super) fn new(principal: Principal, guard: Option<Arc<Guard>>, by: By) -> Self {
        Self { caller: Caller(principal), guard, by, asked_at: Instant::now() }
    }

    /// Who calls, as far as was known when it was last asked.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether the services' own token proves it: such a caller is many.
    pub fn is_services_own(&self) -> bool {
        matches!(self.by, By::Shared) || self.caller.0.subject == Principal::service().subject
    }

    /// Asks again, unless it was asked a moment ago; before something is sent.
    ///
    /// # Errors
    /// As [`Self::ask_again`].
    pub async fn ask_before_sending(&mut self) -> Result<(), Refusal> {
        if matches!(self.by, By::Shared) || self.asked_at.elapsed() < FRESH_FOR {
            return Ok(());
        }
        self.ask_again().await
    }

    /// Asks again. It's cheap, because a verifier remembers for some seconds what it was told.
    ///
    /// # Errors
    /// [`Refusal`] where what proved the caller has expired or was revoked, or where that cannot be told now.
    pub async fn ask_again(&mut self) -> Result<(), Refusal> {
        match &self.by {
            By::Shared => {}
            By::StreamToken(until, _) if Instant::now() >= *until => return Err(Refusal::Expired),
            By::StreamToken(_, minted) => {
                if let (Some(guard), Some(minted)) = (&self.guard, minted) {
                    guard.still_stands(&self.caller.0, minted).await?;
                }
            }
            By::Secret(secret) => {
                let verifier = self.guard.as_ref().and_then(|guard| guard.verifier.as_ref());
                let verifier = verifier.ok_or(Refusal::Invalid)?;
                self.caller = Caller(verifier.verify(secret.expose_secret()).await?);
            }
        }
        self.asked_at = Instant::now();
        Ok(())
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("caller", &self.caller).finish_non_exhaustive()
    }
}
