//! Who calls whom, and what tells it where.

use crate::chain::upper;

pub(super) const POSTGRES: &str = "postgres";
pub(super) const REDIS: &str = "redis";
const PROVIDER: &str = "mock-provider";

/// Services in the order in which they start, each with what it calls.
pub(super) const SERVICES: [(&str, &[&str]); 5] = [
    (PROVIDER, &[]),
    ("switch", &[POSTGRES, REDIS, PROVIDER, "operator"]),
    ("madre", &[POSTGRES, REDIS, "switch", "operator"]),
    ("operator", &[POSTGRES, REDIS, "switch", "madre", PROVIDER, "tentaculo"]),
    ("tentaculo", &[REDIS, "operator", "switch", "madre"]),
];

/// The names of a service's parts.
pub(super) fn replicas_of(service: &str, replicas: usize) -> Vec<String> {
    match service {
        POSTGRES | REDIS | PROVIDER => vec![service.to_owned()],
        _ => (1..=replicas).map(|number| format!("{service}-{number}")).collect(),
    }
}

/// The parts of `service` that `caller` calls. Each replica calls the one of its own number, because nobody chooses among
/// several yet; who does calls `all` of them.
pub(super) fn called_by(caller: &str, service: &str, replicas: usize) -> Vec<String> {
    let mut all = replicas_of(service, replicas);
    let own = caller.rsplit_once('-').map(|(_, number)| format!("{service}-{number}"));
    if let Some(own) = own.filter(|own| all.contains(own)) {
        all.retain(|name| *name == own);
    }
    all
}

/// What tells a caller that `service` is at these ports.
pub(super) fn variable(service: &str, ports: &[u16]) -> (String, String) {
    let urls: Vec<String> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    (format!("VX11_{}_URL", upper(service)), urls.join(","))
}
