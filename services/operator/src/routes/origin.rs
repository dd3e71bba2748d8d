//! Where a request comes from, for the audit log.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::identity::Principal;

use crate::domain::audit::Origin;
use crate::domain::intervention::Actor;

/// What the edge says of who is in front of it. Nobody else reaches the operator, who could say otherwise.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Where a request comes from. Made only for routes that ask.
#[derive(Clone, Debug)]
pub(crate) struct CameFrom(pub(crate) Origin);

impl CameFrom {
    /// Who calls from there.
    pub(crate) fn actor(&self, principal: &Principal) -> Actor {
        let origin = Origin { org: Some(principal.org.clone()), ..self.0.clone() };
        Actor::new(principal.subject.as_ref(), principal.role).from(origin)
    }
}

/// The origin of a request.
pub(crate) fn origin_of(request: &HttpRequest) -> Origin {
    let correlation_id = request.extensions().get::<RequestContext>().map(|known| known.correlation_id.to_string());
    let said = request.headers().get(FORWARDED_FOR).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let client = said.or_else(|| request.peer_addr().map(|peer| peer.ip().to_canonical().to_string()));
    Origin { correlation_id, client, org: None }
}

impl FromRequest for CameFrom {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(origin_of(request))))
    }
}
