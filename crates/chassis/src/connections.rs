//! What the kernel is told of every connection that comes in: when it is over though nobody closes it.
//!
//! A handler that writes is not asked for more while its client takes nothing, and so cannot look at a clock itself. It
//! must not hold what it has for ever: the connection ends, and with it the handler and all that it asked for.

use std::any::Any;
use std::io;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

/// The longest time between two looks at a silent client that Linux takes.
const LONGEST_PART: Duration = Duration::from_secs(32_767);
/// The longest limit that it takes.
#[cfg(target_os = "linux")]
const LONGEST: Duration = Duration::from_millis(2_147_483_647);

/// Ends `connection` when its client has taken nothing of what it was sent for `limit`, or cannot be reached for about
/// as long. On Linux a client that answers, and keeps its window shut, takes nothing; other systems bear it.
pub(crate) fn limit(connection: &dyn Any, limit: Duration) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    // Refused only for a socket that is gone already.
    if let Err(error) = set(&SockRef::from(stream), limit) {
        tracing::debug!(%error, "a connection has no limit");
    }
}

fn set(socket: &SockRef<'_>, limit: Duration) -> io::Result<()> {
    // Whole seconds, one at least.
    let part = |of: u32| (limit / of).clamp(Duration::from_secs(1), LONGEST_PART);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limit.min(LONGEST)))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(part(2)).with_interval(part(4)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_limit_may_be_as_long_as_anybody_likes() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        for (limit, timeout) in [(60, 60_000), (24 * 3600, 24 * 3_600_000), (u64::MAX, 2_147_483_647)] {
            let socket = SockRef::from(&listener);
            set(&socket, Duration::from_secs(limit)).expect("set");
            let set = socket.tcp_user_timeout().expect("told").expect("set");
            assert_eq!(set.as_millis(), timeout, "{limit}");
        }
    }
}
