//! The edge over real sockets, in front of services that do to the byte what a test says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod edge;
mod service;

mod bodies;
mod browsers;
mod cancel;
mod guard;
mod headers;
mod limits;
mod login;
mod malformed;
mod outage;
mod own_secrets;
mod paths;
mod replicas;
mod retries;
mod streams;
mod switch_keys;
mod websockets;
