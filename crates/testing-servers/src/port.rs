//! Ports for servers of tests that learn theirs before they listen, or come back to it later.
//!
//! The system hands its ephemeral ports to every connection that goes out and to whoever listens on port 0: one that
//! was free, or that a killed server had, may be somebody else's a moment later. So these lie outside. A server that
//! stays while its test runs needs none of this: it listens on port 0.

use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first that is given where there is a choice: those below are often somebody's.
const FIRST: u32 = 10_000;
/// The first that a program may have that is not the system's.
const UNPRIVILEGED: u32 = 1024;
/// What follows the last.
const END: u32 = 65_536;
/// As many as tests that run side by side do not use up.
const ENOUGH: usize = 1000;

/// A port of the loopback interface that nobody listens on and that nobody is given unasked. No two calls of a process
/// return the same one; processes begin at different places.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn lasting_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let outside = outside(&range);
    let count = outside.end - outside.start;
    // Test binaries run side by side, and their ids follow one another.
    let start = std::process::id().wrapping_mul(97);
    let ports = (0..count).map(|_| {
        let place = start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % count;
        u16::try_from(outside.start + place).expect("below the end")
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.into_iter().find(is_free).expect("a free port")
}

/// The ports outside the ephemeral ones, which the system says are the `range`: those below, else those above, else the
/// lowest. Where there are next to none, any will have to do.
fn outside(range: &str) -> Range<u32> {
    let mut bounds = range.split_whitespace().filter_map(|bound| bound.parse::<u16>().ok().map(u32::from));
    // Linux' own, if it does not say.
    let (first, last) = bounds.next().zip(bounds.next()).unwrap_or((32_768, 60_999));
    let rooms = [FIRST..first, last + 1..END, UNPRIVILEGED..first];
    rooms.into_iter().find(|room| room.len() >= ENOUGH).unwrap_or(FIRST..END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(lasting_port(), lasting_port());
    }

    #[test]
    fn they_lie_where_the_system_gives_none() {
        for (ephemeral, ports) in [
            ("32768\t60999\n", 10_000..32_768),
            ("11000 65535", 10_000..11_000),
            ("10000 60000", 60_001..65_536),
            ("1024 64000", 64_001..65_536),
            ("5000 65535", 1024..5000),
            ("1024 65535", 10_000..65_536),
            ("", 10_000..32_768),
        ] {
            assert_eq!(outside(ephemeral), ports, "{ephemeral}");
        }
    }
}
