//! True connection resets: the socket of each connection is remembered, so that a handler can make the kernel answer a
//! close with RST.

use std::any::Any;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use socket2::{SockRef, Socket};

/// Keeps a second handle to a new connection's socket.
pub(crate) fn remember_socket(connection: &dyn Any, data: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    // Out of descriptors: this connection cannot be reset, and is closed instead.
    if let Ok(socket) = SockRef::from(stream).try_clone() {
        data.insert(socket);
    }
}

/// Makes the close of this request's connection a reset: what was not sent is thrown away.
pub(crate) fn on_close(http: &HttpRequest) {
    if let Some(socket) = http.conn_data::<Socket>() {
        // Refused only for a socket that is gone already.
        let _ = socket.set_linger(Some(Duration::ZERO));
    }
}
