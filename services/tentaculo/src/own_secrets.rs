//! Passes callers on whose secret is not the token, with the secret that they came with: the service behind the edge
//! says whose it is, and refuses what is nobody's.
//!
//! `/v1`, `/operator` and `/api/interventions` take access tokens and API keys, which are told by their form; `/v1` the
//! keys of switch's configuration too, where the edge is told so; `/operator` stream tokens that were made for their
//! bearer. None lets anybody in anywhere else, and none is lent the services' token: who may read must not decide,
//! because the edge could.

use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage, HttpRequest};
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use vx11_chassis::auth::Credentials;
use vx11_chassis::error::INVALID_TOKEN;
use vx11_contracts::identity::Principal;
use vx11_http_client::Response;
use vx11_identity::{PresentedKey, access_token};

use crate::upstream::{is_operators_api, is_straight};

/// Marks a request whose secret is for the service behind the edge to judge.
#[derive(Clone, Copy, Debug)]
struct Judged;

/// The edge's part in secrets that are not the token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnSecrets {
    /// Whether `/v1` takes keys of switch's configuration.
    pub(crate) switch_keys: bool,
}

impl Credentials for OwnSecrets {
    fn accept(&self, request: &HttpRequest, secret: &str) -> bool {
        // As the client wrote it: what only looks like `/v1` once it is resolved is not.
        let path = request.uri().path();
        let is_judged = if path.starts_with("/v1/") {
            self.switch_keys || is_of_a_caller(secret)
        } else {
            is_operators_api(path) && is_of_a_caller(secret)
        };
        if !is_judged {
            return false;
        }
        let is_straight = is_straight(path);
        if is_straight {
            request.extensions_mut().insert(Judged);
        }
        is_straight
    }

    fn annotate(&self, _: &HttpRequest, _: &mut HeaderMap) {}
}

/// Whether a secret has the form of an API key or an access token. Guesses of the token have not, and are counted.
fn is_of_a_caller(secret: &str) -> bool {
    PresentedKey::parse(secret).is_some() || access_token::has_form(secret)
}

/// Whether `request` came in with a secret of its own, and not with the token.
pub(crate) fn is_own(request: &HttpRequest) -> bool {
    let known = request.extensions();
    known.contains::<Judged>() || known.contains::<Principal>()
}

/// Whether the service that judged the request's secret says that it is nobody's. One that has only expired was no guess.
pub(crate) fn was_wrong(request: &HttpRequest, response: &Response) -> bool {
    let says_invalid =
        || response.headers().get(WWW_AUTHENTICATE).is_some_and(|value| value.as_bytes() == INVALID_TOKEN.as_bytes());
    // 403 is also for who is known and may not.
    matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        && request.extensions().contains::<Judged>()
        && says_invalid()
}
