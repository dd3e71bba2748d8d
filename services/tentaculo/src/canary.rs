//! Which of a service's sessions its canary gets.

use actix_web::HttpRequest;
use vx11_chassis::auth::presented_token;
use vx11_chassis::header_names::SESSION_ID;
use vx11_resilience::is_canary;

use crate::own_secrets;
use crate::state::State;
use crate::upstream::Upstream;

/// Whether a request is the canary's. A session is what the request says it is; else who calls, by a secret of their
/// own, or from one address.
pub(crate) fn is_canarys(state: &State, upstream: &Upstream, http: &HttpRequest) -> bool {
    if upstream.canary_percent == 0 {
        return false;
    }
    let is_chosen = |session: &[u8]| is_canary(upstream.name.as_str(), session, upstream.canary_percent);
    let said = || http.headers().get(SESSION_ID).map(|session| session.as_bytes());
    let own = || presented_token(http.headers()).filter(|_| own_secrets::is_own(http)).map(str::as_bytes);
    match said().or_else(own) {
        Some(session) => is_chosen(session),
        None => state.trusted.client(http).is_some_and(|address| is_chosen(address.to_string().as_bytes())),
    }
}
