//! What each route asks of callers that come with an access token or an API key of their own.
//!
//! A route that isn't in its service's table is closed to them. The services' shared token is not asked: it is the
//! platform's own.

use actix_web::HttpRequest;
use actix_web::http::Method;
use vx11_contracts::identity::{Permission, Principal};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token: logging in, and public keys. Who comes with a good token is known all the same.
    Public,
    /// Every caller that is known; the handler says what it may.
    Known,
    /// Callers with this permission.
    Needs(Permission),
    /// Callers with either permission: the first is for all there is, the second for what is the caller's own, which the
    /// handler sees to.
    NeedsForOwn(Permission, Permission),
    /// Callers of the platform's own organisation with this permission: what the route shows or changes belongs to no
    /// other.
    NeedsOfPlatform(Permission),
    /// Only who has the shared token; as without a rule, but said.
    Services,
}

/// What one route asks.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its method; a rule for GET holds for HEAD.
    pub method: Method,
    /// Its pattern, as it is registered: `/operator/api/interventions/{id}`. Where several patterns fit an address, it
    /// is the first one registered, whatever its method; so routes of one address are registered under one pattern.
    pub pattern: &'static str,
    /// What it asks.
    pub access: Access,
}

impl Rule {
    /// A rule for one route.
    pub const fn new(method: Method, pattern: &'static str, access: Access) -> Self {
        Self { method, pattern, access }
    }
}

impl Access {
    /// What the route of `request` asks; `None` where no rule names it, so that it is closed.
    pub(super) fn of(rules: &[Rule], request: &HttpRequest) -> Option<Self> {
        if rules.is_empty() {
            return None;
        }
        let pattern = request.match_pattern()?;
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        rules.iter().find(|rule| rule.method == *method && rule.pattern == pattern).map(|rule| rule.access)
    }

    pub(super) fn permits(self, principal: &Principal) -> bool {
        match self {
            Self::Public | Self::Known => true,
            Self::Services => false,
            Self::Needs(permission) => principal.may(permission),
            Self::NeedsForOwn(all, own) => principal.may(all) || principal.may(own),
            Self::NeedsOfPlatform(permission) => principal.org.is_platform() && principal.may(permission),
        }
    }
}
