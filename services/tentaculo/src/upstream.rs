//! The services behind the edge, and which of them a path leads to.

use std::sync::Arc;

use actix_web::http::Method;
use vx11_chassis::auth::{Access, Rule};
use vx11_chassis::config::Urls;
use vx11_contracts::health::DependencyState;
use vx11_http_client::InvalidAddress;
use vx11_resilience::{Breaker, BreakerState, Change, Choice, Outcome};

use crate::config::{ReplicaConfig, TentaculoConfig};
use crate::replicas::{Replicas, Target};

/// Path prefixes and the services they lead to. The only place that knows them.
pub(crate) const TABLE: [(&str, Name); 7] = [
    ("/operator", Name::Operator),
    (INTERVENTIONS, Name::Operator),
    (KEYS, Name::Operator),
    (SOCKETS, Name::Operator),
    ("/madre", Name::Madre),
    ("/switch", Name::Switch),
    ("/v1", Name::Switch),
];

/// Where older clients look for operator's interventions.
const INTERVENTIONS: &str = "/api/interventions";

/// Where operator's WebSockets are. A browser says who it is once they are open, so operator asks, and not the edge:
/// callers are passed on with what they bring, and are never lent the services' token.
pub(crate) const SOCKETS: &str = "/ws";

/// Where operator's public keys are, for libraries that look for them there.
const KEYS: &str = "/.well-known/jwks.json";

/// Addresses of operator's that are open to all, or ask for a cookie: people who log in, and public keys. As above, nobody
/// is lent the services' token there.
pub(crate) const OPEN: [&str; 3] = [LOGIN_PATTERN, "/operator/api/jwks", KEYS];
const LOGIN_PATTERN: &str = "/operator/api/auth/{path:.*}";
const LOGIN: &str = "/operator/api/auth";

/// What the edge asks of callers without the token.
pub(crate) const RULES: &[Rule] = &[
    Rule::new(Method::GET, LOGIN_PATTERN, Access::Public),
    Rule::new(Method::POST, LOGIN_PATTERN, Access::Public),
    Rule::new(Method::GET, OPEN[1], Access::Public),
    Rule::new(Method::GET, KEYS, Access::Public),
    Rule::new(Method::GET, SOCKETS, Access::Public),
    Rule::new(Method::GET, "/ws/{path:.*}", Access::Public),
    // Stream tokens are proven by the edge itself: by whom they were made they open the operator, and nothing else does.
    Rule::new(Method::GET, "/operator/{path:.*}", Access::Known),
];

/// Whether the service at `path` asks itself who calls.
pub(crate) fn asks_itself(path: &str) -> bool {
    is_socket(path) || is_login(path) || path == OPEN[1] || path == KEYS
}

/// Whether operator's API is at `path`, whose callers come with keys and access tokens of their own.
pub(crate) fn is_operators_api(path: &str) -> bool {
    path.starts_with("/operator/") || is_below(INTERVENTIONS, path)
}

/// Whether operator's WebSockets are at `path`.
pub(crate) fn is_socket(path: &str) -> bool {
    is_below(SOCKETS, path)
}

/// Whether people log in at `path`, so that the service has to know from where.
pub(crate) fn is_login(path: &str) -> bool {
    is_below(LOGIN, path)
}

fn is_below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A service behind the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Operator,
    Madre,
    Switch,
}

impl Name {
    pub(crate) const ALL: [Self; 3] = [Self::Operator, Self::Madre, Self::Switch];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Madre => "madre",
            Self::Switch => "switch",
        }
    }
}

/// One service: where it is, and whether it is worth asking.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: Name,
    /// What its addresses have before the path that is asked for.
    pub(crate) prefix: String,
    /// What all of its replicas together have shown.
    pub(crate) breaker: Breaker,
    pub(crate) replicas: Replicas,
    /// How many of its sessions in a hundred are its canary's.
    pub(crate) canary_percent: u8,
}

/// All of them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Upstreams(Arc<[Upstream; 3]>);

impl Upstreams {
    /// Each is called by so many workers.
    pub(crate) fn new(urls: &Urls, config: &TentaculoConfig, workers: usize) -> Result<Self, InvalidAddress> {
        let upstream = |name| {
            let url = match name {
                Name::Operator => &urls.operator,
                Name::Madre => &urls.madre,
                Name::Switch => &urls.switch,
            };
            let listed = config.replicas.of(name);
            let alone = [ReplicaConfig { url: url.clone(), zone: None, canary: false }];
            let replicas = if listed.is_empty() { &alone } else { listed.as_slice() };
            Ok(Upstream {
                name,
                prefix: replicas[0].url.path().trim_end_matches('/').to_owned(),
                breaker: Breaker::new(config.circuit),
                replicas: Replicas::new(replicas, config.zone.as_deref(), config.circuit, workers)?,
                canary_percent: *config.canary.of(name),
            })
        };
        let [operator, madre, switch] = Name::ALL.map(upstream);
        Ok(Self(Arc::new([operator?, madre?, switch?])))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Upstream> {
        self.0.iter()
    }

    /// The service that `path` leads to.
    pub(crate) fn of_path(&self, path: &str) -> Option<&Upstream> {
        let (_, name) = TABLE.iter().find(|(prefix, _)| is_below(prefix, path))?;
        self.0.iter().find(|upstream| upstream.name == *name)
    }

    /// Keeps to where the services' names lead, for as long as it is polled.
    pub(crate) async fn follow_names(self) {
        let [operator, madre, switch] = &*self.0;
        tokio::join!(operator.replicas.follow_names(), madre.replicas.follow_names(), switch.replicas.follow_names());
    }
}

impl Upstream {
    /// How it is, as far as the edge knows.
    pub(crate) fn state(&self) -> DependencyState {
        // Half-open: nobody has asked since, which says nothing against it.
        if self.breaker.snapshot().state == BreakerState::Open {
            return DependencyState::down("it does not answer");
        }
        let replicas = self.replicas.now();
        let out = replicas.replicas().filter(|replica| replica.is_ejected()).count();
        match (out, replicas.len()) {
            (0, _) => DependencyState::up(),
            (out, all) if out == all => DependencyState::down(format!("none of its {all} replicas answers")),
            (out, all) => DependencyState::degraded(format!("{out} of its {all} replicas are left alone for a while")),
        }
    }

    /// Takes in how the request to `replica` went.
    pub(crate) fn report(&self, replica: &Choice<Target>, outcome: Outcome) {
        let (service, address) = (self.name.as_str(), || replica.target().name.as_str());
        match self.replicas.now().report(replica, outcome) {
            None => {}
            Some(Change::Ejected) => {
                tracing::warn!(upstream = service, replica = address(), "a replica is left alone for a while");
            }
            Some(Change::Back) => tracing::info!(upstream = service, replica = address(), "a replica is back"),
        }
    }
}

/// Whether `path` stays where it says: no dot segments, written out or encoded, and no backslashes, which a URL parser
/// would resolve into another service's paths.
pub(crate) fn is_straight(path: &str) -> bool {
    !path.contains('\\') && !path.as_bytes().split(|byte| *byte == b'/').any(is_dots)
}

/// Whether a segment is one dot or two, each written out or encoded.
fn is_dots(segment: &[u8]) -> bool {
    after_dot(segment).is_some_and(|rest| rest.is_empty() || after_dot(rest) == Some(&[]))
}

fn after_dot(segment: &[u8]) -> Option<&[u8]> {
    match segment {
        [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_to(path: &str) -> Option<&'static str> {
        let upstreams = Upstreams::new(&Urls::default(), &TentaculoConfig::default(), 1).expect("addresses");
        upstreams.of_path(path).map(|upstream| upstream.name.as_str())
    }

    #[test]
    fn prefixes_end_at_a_segment() {
        assert_eq!(leads_to("/operator/api/chat"), Some("operator"));
        assert_eq!(leads_to("/v1/models"), Some("switch"));
        assert_eq!(leads_to("/madre"), Some("madre"));
        for path in ["/ws", "/ws/interventions", "/api/interventions", "/api/interventions/i-1/wait"] {
            assert_eq!(leads_to(path), Some("operator"), "{path}");
        }
        for path in [
            "/operatorx",
            "/wsx",
            "/api",
            "/api/keys",
            "/api/interventionsx",
            "/v10/models",
            "/",
            "/admin/requests",
            "//operator/api",
        ] {
            assert_eq!(leads_to(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_cannot_climb_into_another_service() {
        for path in
            ["/operator/../madre", "/operator/%2e%2E/madre", "/operator/.%2e/x", "/operator/./x", "/operator\\..\\x"]
        {
            assert!(!is_straight(path), "{path}");
        }
        for path in ["/operator/a..b", "/operator/...", "/operator/.well-known", "/operator/a%2Fb"] {
            assert!(is_straight(path), "{path}");
        }
    }

    #[test]
    fn every_way_to_write_one_dot_or_two_is_a_dot_segment() {
        let dots = [".", "%2e", "%2E"];
        let twice = dots.map(|first| dots.map(|second| format!("{first}{second}")));
        for segment in twice.as_flattened().iter().map(String::as_str).chain(dots) {
            for path in [format!("/{segment}"), format!("{segment}/x"), format!("/x/{segment}/"), segment.to_owned()] {
                assert!(!is_straight(&path), "{path}");
            }
            for other in ["...", "x", "%", "%2", "%2F", "%252e", " ", "\u{e9}"] {
                for path in [format!("/{segment}{other}"), format!("/{other}{segment}")] {
                    assert!(is_straight(&path), "{path}");
                }
            }
        }
    }
}
