//! Starts the real binaries, each on a free port with its own data directory, and speaks only HTTP with them.
//!
//! A process is found by the address in its log, and ends with the value that stands for it. Nothing here waits for a
//! length of time: it waits for a condition, with a deadline.

mod alone;
mod caller;
mod chain;
pub mod cluster;
pub mod history;
mod process;
mod redis;

pub use alone::launch;
pub use caller::{Answer, Caller, send};
pub use chain::{Chain, TOKEN, base_env};
pub use process::{Process, binary_dir, wait_until};
pub use redis::Redis;
