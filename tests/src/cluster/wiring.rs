//! Who calls whom, and what tells it where.

use crate::chain::upper;

pub(super) const POSTGRES: &str = "postgres";
pub(super) const REDIS: &str = "redis";
const PROVIDER: &str = "mock-provider";
const EDGE: &str = "tentaculo";

/// Services in the order in which they start, each with what it calls.
pub(super) const SERVICES: [(&str, &[&str]); 5] = [
    (PROVIDER, &[]),
    ("switch", &[POSTGRES, REDIS, PROVIDER, "operator"]),
    ("madre", &[POSTGRES, REDIS, "switch", "operator"]),
    ("operator", &[POSTGRES, REDIS, "switch", "madre", PROVIDER, EDGE]),
    (EDGE, &[REDIS, "operator", "switch", "madre"]),
];

/// The names of a service's parts.
pub(super) fn replicas_of(service: &str, replicas: usize) -> Vec<String> {
    match service {
        POSTGRES | REDIS | PROVIDER => vec![service.to_owned()],
        _ => (1..=replicas).map(|number| format!("{service}-{number}")).collect(),
    }
}

/// The parts of `service` that `caller` calls: an edge all of them, any other the one of its own number, because it does
/// not choose among several.
pub(super) fn called_by(caller: &str, service: &str, replicas: usize) -> Vec<String> {
    let mut all = replicas_of(service, replicas);
    let own =
        caller.rsplit_once('-').filter(|(name, _)| *name != EDGE).map(|(_, number)| format!("{service}-{number}"));
    if let Some(own) = own.filter(|own| all.contains(own)) {
        all.retain(|name| *name == own);
    }
    all
}

/// What tells a caller that `service` is at these ports; only an edge is told of several.
pub(super) fn variable(service: &str, ports: &[u16]) -> (String, String) {
    let name = upper(service);
    match ports {
        [port] => (format!("VX11_{name}_URL"), format!("http://127.0.0.1:{port}")),
        several => {
            let urls: Vec<String> = several.iter().map(|port| format!("{{url=\"http://127.0.0.1:{port}\"}}")).collect();
            (format!("VX11_TENTACULO__REPLICAS__{name}"), format!("[{}]", urls.join(", ")))
        }
    }
}
