//! What the kernel is told of every connection that comes in: when it is over though nobody closes it.
//!
//! A handler that writes is not asked for more while its client takes nothing, and so cannot look at a clock itself. It
//! must not hold what it has for ever: the connection ends, and with it the handler and all that it asked for.

use std::any::Any;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

/// Ends `connection` when its client has taken nothing of what it was sent for `limit`, or cannot be reached for about as
/// long. On Linux a client that answers, and keeps its window shut, takes nothing; other systems bear it.
pub(crate) fn limit(connection: &dyn Any, limit: Duration) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let socket = SockRef::from(stream);
    // Whole seconds, one at least.
    let part = |of: u32| (limit / of).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(part(2)).with_interval(part(4));
    let set = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let set = set.and_then(|()| socket.set_tcp_user_timeout(Some(limit)));
    // Refused only for a socket that is gone already.
    if let Err(error) = set {
        tracing::debug!(%error, "a connection has no limit");
    }
}
