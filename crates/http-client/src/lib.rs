//! HTTP/1.1 to one origin, on connections that are kept: what services call each other and their providers with.
//!
//! A connection is driven by whoever waits for its answer, in the same task: no task of its own that has to be woken,
//! and nothing goes on upstream once the caller has dropped the answer. It must not follow redirects, retry what may
//! have been received, or know anything of what is sent.

mod body;
mod client;
mod connect;
mod connection;
mod error;
mod idle;
mod response;

pub use body::{Body, BodyError};
pub use client::{Client, Request};
pub use connect::{Connector, Proxy};
pub use error::{Error, InvalidAddress};
pub use response::{Response, Upgraded};
