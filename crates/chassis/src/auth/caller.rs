//! Who calls, as an argument of a handler.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::SystemTime;

use actix_web::dev::Payload;
use actix_web::web::ThinData;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use secrecy::SecretString;
use vx11_contracts::ErrorCode;
use vx11_contracts::identity::{OrgId, Permission, Principal};

use super::{Guard, is_token, presented_token, stream_token};
use crate::error::ApiError;
use crate::header_names::ORG;

/// The proven caller. A handler that takes it is not reached by anybody else.
///
/// It's made when it is asked for: a route that doesn't ask pays nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(pub Principal);

impl Caller {
    /// The caller, if it may do what `permission` names.
    ///
    /// # Errors
    /// `forbidden` when it may not.
    pub fn require(&self, permission: Permission) -> Result<&Principal, ApiError> {
        if self.0.may(permission) { Ok(&self.0) } else { Err(forbidden()) }
    }

    pub(super) fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        if let Some(principal) = request.extensions().get::<Principal>() {
            return Ok(Self(principal.clone()));
        }
        // The guard has let it in, but a route may be open to all: only what proves the platform's own makes it that.
        let guard = request.app_data::<ThinData<Arc<Guard>>>();
        let token = guard.and_then(|guard| guard.token.as_ref());
        token.map_or_else(|| Err(nobody()), |token| service(request, token)).map(Self)
    }
}

/// The services' own principal, for one who comes with the shared token: of the organisation that it says it acts for.
fn service(request: &HttpRequest, token: &SecretString) -> Result<Principal, ApiError> {
    let principal = match presented_token(request.headers()) {
        Some(sent) if is_token(token, sent) => Principal::service(),
        Some(_) => return Err(nobody()),
        None => {
            let sent = stream_token_of(request).ok_or_else(nobody)?;
            let is_good = stream_token::verify(token, &sent, SystemTime::now());
            is_good.then(|| stream_token::reader(Principal::service())).ok_or_else(nobody)?
        }
    };
    Ok(acting_for(principal, acts_for(request)?))
}

/// The organisation that a service says it acts for.
pub(super) fn acts_for(request: &HttpRequest) -> Result<Option<OrgId>, ApiError> {
    let Some(org) = request.headers().get(ORG) else { return Ok(None) };
    let org = org.to_str().ok().and_then(|text| text.parse().ok());
    org.map(Some).ok_or_else(|| {
        ApiError::new(ErrorCode::MalformedRequest, format!("{ORG}: {}", vx11_contracts::identity::BadOrgId))
    })
}

/// The services' own principal, within the organisation that it acts for.
pub(super) fn acting_for(service: Principal, org: Option<OrgId>) -> Principal {
    match org {
        Some(org) => Principal { org, ..service },
        None => service,
    }
}

/// What stands in `?token=`.
pub(super) fn stream_token_of(request: &HttpRequest) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    pairs.find(|(name, _)| name == "token").map(|(_, value)| value.into_owned())
}

fn nobody() -> ApiError {
    ApiError::new(ErrorCode::MissingToken, "this needs an access token, an API key or the token")
}

pub(super) fn forbidden() -> ApiError {
    ApiError::new(ErrorCode::Forbidden, "neither the role nor the scopes of the caller allow this")
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
