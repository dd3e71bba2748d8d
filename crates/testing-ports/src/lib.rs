//! Ports for servers of tests that learn theirs before they listen, or come back to it later.
//!
//! The system hands its ephemeral ports to every connection that goes out and to whoever listens on port 0: one that was
//! free, or that a killed server had, may be somebody else's a moment later. So these lie outside. A server that stays
//! while its test runs needs none of this: it listens on port 0. For tests only.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first that is given: those below are often somebody's.
const FIRST: u32 = 10_000;
/// Where the ephemeral ports begin if the system does not say.
const EPHEMERAL: u32 = 32_768;

/// A port of the loopback interface that nobody listens on and that nobody is given unasked. No two calls of a process
/// return the same one; processes begin at different places.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn lasting_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let count = ephemeral_from().saturating_sub(FIRST).max(1);
    // Test binaries run side by side, and their ids follow one another.
    let start = std::process::id().wrapping_mul(97);
    let ports = (0..count).map(|_| {
        let place = start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % count;
        u16::try_from(FIRST + place).expect("below the ephemeral ones")
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.into_iter().find(is_free).expect("a free port")
}

fn ephemeral_from() -> u32 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok());
    first.filter(|first| (FIRST + 1..=EPHEMERAL).contains(first)).unwrap_or(EPHEMERAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_is_given_one() {
        let ports = [lasting_port(), lasting_port()];
        assert_ne!(ports[0], ports[1]);
        assert!(ports.iter().all(|port| (FIRST..ephemeral_from()).contains(&u32::from(*port))));
    }
}
