//! Circuit breakers as they are shown to people.

use jiff::Timestamp;
use vx11_contracts::switch::{BreakerInfo, BreakerState as Shown};
use vx11_contracts::time;
use vx11_resilience::{Breaker, BreakerState};

/// The state of `breaker` as it stands on the wire.
pub fn info(breaker: &Breaker) -> BreakerInfo {
    let snapshot = breaker.snapshot();
    let state = match snapshot.state {
        BreakerState::Closed => Shown::Closed,
        BreakerState::Open => Shown::Open,
        BreakerState::HalfOpen => Shown::HalfOpen,
    };
    let last_failure = snapshot.last_failure.and_then(|at| Timestamp::try_from(at).ok());
    BreakerInfo { state, failure_count: snapshot.failure_count, last_failure: last_failure.map(time::render) }
}
