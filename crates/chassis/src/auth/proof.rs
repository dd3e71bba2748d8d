//! Who calls, for a connection that says so once it is open: a browser's WebSocket cannot send headers.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::SystemTime;

use actix_web::dev::Payload;
use actix_web::web::ThinData;
use actix_web::{FromRequest, HttpRequest};
use vx11_contracts::identity::{OrgId, Principal};

use super::caller::{acting_for, acts_for, stream_token_of};
use super::standing::By;
use super::{Caller, Guard, Refusal, Standing, is_token, presented_token, stream_token};
use crate::error::ApiError;

/// Proves who calls on a route that is [open to all](super::Access::Public): by what the request brought, or by a
/// secret that comes later. It doesn't hold the request.
pub struct Proof {
    guard: Option<Arc<Guard>>,
    /// Who the guard found, and by what.
    known: Option<(Principal, By)>,
    /// What the request brought otherwise.
    brought: Option<Brought>,
    /// The organisation that a service says it acts for.
    org: Option<OrgId>,
}

/// A secret, and where it stood.
enum Brought {
    InHeader(String),
    InAddress(String),
}

impl Proof {
    /// Whether the guard has found who calls, so that nothing has to be waited for.
    pub fn is_proven(&self) -> bool {
        self.known.is_some()
    }

    /// Who comes with what the request brought; `None` where it brought nothing.
    ///
    /// # Errors
    /// [`Refusal`] where that doesn't prove who calls. The guard has let it in nevertheless, so it is asked again why.
    pub async fn brought(&mut self) -> Option<Result<Standing, Refusal>> {
        if let Some((known, by)) = self.known.take() {
            return Some(Ok(self.standing(known, by)));
        }
        let verifier = self.guard.as_ref().and_then(|guard| guard.verifier.as_ref());
        match self.brought.take()? {
            Brought::InAddress(secret) if !verifier.is_some_and(|verifier| verifier.may_be_in_address(&secret)) => {
                Some(Err(Refusal::Invalid))
            }
            Brought::InAddress(secret) | Brought::InHeader(secret) => Some(self.verify(&secret).await),
        }
    }

    /// Who comes with `secret`, which isn't from an address: the shared token, a stream token, an access token or an
    /// API key.
    ///
    /// # Errors
    /// [`Refusal`] where that isn't proven.
    pub async fn of(&self, secret: &str) -> Result<Standing, Refusal> {
        if let Some(token) = self.guard.as_ref().and_then(|guard| guard.token.as_ref()) {
            let now = SystemTime::now();
            if is_token(token, secret) {
                return Ok(self.standing(acting_for(Principal::service(), self.org.clone()), By::Shared));
            }
            if stream_token::verify(token, secret, now) {
                let reader = acting_for(stream_token::reader(Principal::service()), self.org.clone());
                return Ok(self.standing(reader, By::stream_token(None)));
            }
            if let (Some(guard), Some((holder, minted))) = (&self.guard, stream_token::holder(token, secret, now)) {
                guard.still_stands(&holder, &minted).await?;
                return Ok(self.standing(holder, By::stream_token(Some(minted))));
            }
        }
        self.verify(secret).await
    }

    async fn verify(&self, secret: &str) -> Result<Standing, Refusal> {
        match self.guard.as_ref().and_then(|guard| guard.verifier.as_ref()) {
            Some(verifier) => {
                let principal = verifier.verify(secret).await?;
                Ok(self.standing(principal, By::Secret(secret.into())))
            }
            None => Err(Refusal::Invalid),
        }
    }

    fn standing(&self, principal: Principal, by: By) -> Standing {
        Standing::new(principal, self.guard.clone(), by)
    }
}

/// What proved to the guard who calls, in the order in which it looks.
fn proved_by(guard: Option<&Guard>, header: Option<&str>, in_query: Option<&str>) -> By {
    let (token, now) = (guard.and_then(|guard| guard.token.as_ref()), SystemTime::now());
    let minted = in_query.zip(token).and_then(|(sent, token)| stream_token::holder(token, sent, now));
    let is_services = |sent: &str| token.is_some_and(|token| stream_token::verify(token, sent, now));
    match (header, minted, in_query) {
        (Some(sent), ..) if token.is_some_and(|token| is_token(token, sent)) => By::Shared,
        (_, Some((_, minted)), _) => By::stream_token(Some(minted)),
        (Some(sent), ..) => By::Secret(sent.into()),
        (None, _, Some(sent)) if is_services(sent) => By::stream_token(None),
        (None, _, sent) => By::Secret(sent.unwrap_or_default().into()),
    }
}

impl FromRequest for Proof {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(acts_for(request).map(|org| {
            let guard = request.app_data::<ThinData<Arc<Guard>>>().map(|guard| guard.0.clone());
            let (header, in_query) = (presented_token(request.headers()), stream_token_of(request));
            let by = || proved_by(guard.as_deref(), header, in_query.as_deref());
            let known = Caller::of(request).ok().map(|caller| (caller.0, by()));
            let in_header = header.map(|sent| Brought::InHeader(sent.to_owned()));
            let brought = in_header.or(in_query.map(Brought::InAddress));
            Self { guard, known, brought, org }
        }))
    }
}
