//! What the services' in-process tests share: a service on a free port ([`Port`], [`Running`]), its answers
//! ([`Answer`]), a server that misbehaves to the byte ([`Scripted`]), and waiting for something to come true
//! ([`eventually`]).
//!
//! For tests only, so everything here panics where something is not as it should be.

mod answer;
mod running;
mod scripted;

use std::time::Duration;

pub use answer::Answer;
pub use running::{Port, Running};
pub use scripted::{Act, Scripted, gate, nobody};

/// Longest wait for anything in a test.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`PATIENCE`], with `what`.
pub async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}
