//! Servers of tests: their ports ([`lasting_port`]), and a real PostgreSQL ([`Postgres`]).
//!
//! For tests only, so everything here panics where something is not as it should be.

mod port;
mod postgres;

pub use port::lasting_port;
pub use postgres::Postgres;
