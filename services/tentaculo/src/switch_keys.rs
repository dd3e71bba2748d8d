//! Passes callers of `/v1` on whose secret is not the token: switch says whose key it is, and refuses what is nobody's.
//!
//! It must not let them in anywhere else, and must not lend them the services' token.

use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage, HttpRequest};
use vx11_chassis::auth::Credentials;

use crate::upstream::is_straight;

/// Marks a request whose secret is for switch to judge.
#[derive(Clone, Copy, Debug)]
struct Key;

/// The edge's part in switch's keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SwitchKeys;

impl Credentials for SwitchKeys {
    fn accept(&self, request: &HttpRequest, _: &str) -> bool {
        // As the client wrote it: what only looks like `/v1` once it is resolved is not.
        let path = request.uri().path();
        let is_for_switch = path.starts_with("/v1/") && is_straight(path);
        if is_for_switch {
            request.extensions_mut().insert(Key);
        }
        is_for_switch
    }

    fn annotate(&self, _: &HttpRequest, _: &mut HeaderMap) {}
}

/// Whether `request` came in with what may be a key of switch's, and not with the token.
pub(crate) fn has_key(request: &HttpRequest) -> bool {
    request.extensions().contains::<Key>()
}
