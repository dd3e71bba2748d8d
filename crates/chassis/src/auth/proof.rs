//! Who calls, for a connection that says so once it is open: a browser's WebSocket cannot send headers.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::SystemTime;

use actix_web::dev::Payload;
use actix_web::web::ThinData;
use actix_web::{FromRequest, HttpRequest};
use vx11_contracts::identity::{OrgId, Principal};

use super::caller::{acting_for, acts_for, stream_token_of};
use super::{Caller, Guard, Refusal, is_token, presented_token, stream_token};
use crate::error::ApiError;

/// Proves who calls on a route that is [open to all](super::Access::Public): by what the request brought, or by a
/// secret that comes later. It doesn't hold the request.
pub struct Proof {
    guard: Option<Arc<Guard>>,
    /// Who the guard found.
    known: Option<Principal>,
    /// What the request brought otherwise.
    brought: Option<String>,
    /// The organisation that a service says it acts for.
    org: Option<OrgId>,
}

impl Proof {
    /// Who comes with what the request brought; `None` where it brought nothing.
    ///
    /// # Errors
    /// [`Refusal`] where that doesn't prove who calls. The guard has let it in nevertheless, so it is asked again why.
    pub async fn brought(&mut self) -> Option<Result<Principal, Refusal>> {
        if let Some(known) = self.known.take() {
            return Some(Ok(known));
        }
        let secret = self.brought.take()?;
        Some(self.verify(&secret).await)
    }

    /// Who comes with `secret`, which isn't from an address: the shared token, a stream token, an access token or an
    /// API key.
    ///
    /// # Errors
    /// [`Refusal`] where that isn't proven.
    pub async fn of(&self, secret: &str) -> Result<Principal, Refusal> {
        if let Some(token) = self.guard.as_ref().and_then(|guard| guard.token.as_ref()) {
            let now = SystemTime::now();
            if is_token(token, secret) {
                return Ok(acting_for(Principal::service(), self.org.clone()));
            }
            if stream_token::verify(token, secret, now) {
                return Ok(acting_for(stream_token::reader(Principal::service()), self.org.clone()));
            }
            if let Some(holder) = stream_token::holder(token, secret, now) {
                return Ok(holder);
            }
        }
        self.verify(secret).await
    }

    async fn verify(&self, secret: &str) -> Result<Principal, Refusal> {
        match self.guard.as_ref().and_then(|guard| guard.verifier.as_ref()) {
            Some(verifier) => verifier.verify(secret).await,
            None => Err(Refusal::Invalid),
        }
    }
}

impl FromRequest for Proof {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(acts_for(request).map(|org| Self {
            guard: request.app_data::<ThinData<Arc<Guard>>>().map(|guard| guard.0.clone()),
            known: Caller::of(request).ok().map(|caller| caller.0),
            brought: presented_token(request.headers()).map(str::to_owned).or_else(|| stream_token_of(request)),
            org,
        }))
    }
}
