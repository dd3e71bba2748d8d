//! Servers of tests: their ports ([`lasting_port`]), a real PostgreSQL ([`Postgres`]), a real Redis ([`Redis`]), and a
//! real mail server ([`SmtpServer`]).
//!
//! For tests only, so everything here panics where something is not as it should be.

mod port;
mod postgres;
mod redis;
mod smtp;

pub use port::lasting_port;
pub use postgres::Postgres;
pub use redis::Redis;
pub use smtp::SmtpServer;
