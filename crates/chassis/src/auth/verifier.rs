//! Proof of who calls: what a service knows of access tokens and API keys.

use actix_web::HttpRequest;
use async_trait::async_trait;
use vx11_contracts::ErrorCode;
use vx11_contracts::identity::Principal;

use super::Minted;
use crate::error::ApiError;

/// Says who the bearer of an access token or an API key is.
///
/// It is asked only about what is neither the shared token nor one of the service's own
/// [`Credentials`](super::Credentials), and may look into a store; strangers ask it too, so what it does for a secret
/// that is nobody's must be cheap.
#[async_trait]
pub trait Verifier: Send + Sync {
    /// Who comes with `secret`.
    ///
    /// # Errors
    /// [`Refusal`] when that isn't proven.
    async fn verify(&self, secret: &str) -> Result<Principal, Refusal>;

    /// Whether `secret` may stand in an address at all. Addresses end in logs and histories, so what is good for long
    /// may not.
    fn may_be_in_address(&self, _secret: &str) -> bool {
        true
    }

    /// Whether `principal`, who comes with a stream token that was made as `minted` says, may still come in: nobody has
    /// shut it out since, or ended what it was made for.
    ///
    /// # Errors
    /// [`Refusal`] where it may not, or where that cannot be told.
    async fn stands(&self, _principal: &Principal, _minted: &Minted) -> Result<(), Refusal> {
        Ok(())
    }

    /// `principal`, whom `request` has proven just now, is let in. What the service keeps of its callers may be left in
    /// the request's extensions. `false`: it isn't let in after all, because that can't be told any more.
    fn let_in(&self, _request: &HttpRequest, _principal: &Principal) -> bool {
        true
    }

    /// `principal` asked for a route that it may not use; for the audit log.
    fn denied(&self, request: &HttpRequest, principal: &Principal) {
        let (org, subject, role) = (principal.org.as_str(), &*principal.subject, principal.role.as_str());
        let route = request.match_pattern();
        tracing::info!(auth.org = org, auth.subject = subject, auth.role = role, route, "not permitted");
    }
}

/// Why it isn't proven who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The access token was good once. It's no guess, so it doesn't count as a wrong one.
    Expired,
    /// It is nobody's. Which of many reasons it is, callers don't learn.
    Invalid,
    /// What would have to be asked doesn't answer.
    Unavailable,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Expired => Self::new(ErrorCode::TokenExpired, "the access token has expired"),
            Refusal::Invalid => Self::new(ErrorCode::InvalidToken, "the token is not the right one"),
            Refusal::Unavailable => Self::new(
                ErrorCode::StoreUnavailable,
                "it cannot be told who calls: what knows the keys does not answer",
            ),
        }
    }
}
