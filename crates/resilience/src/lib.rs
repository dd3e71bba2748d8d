//! What keeps one slow or failing part from taking the rest with it: circuit breaker, deadline, rate limits, retry
//! budget, admission, and the choice among replicas.
//!
//! Everything here is in-process state behind short locks or atomics: nothing does I/O, and nothing waits but
//! [`Deadline::run`], which bounds a caller's own future, and [`Admission::enter`], within a deadline; nothing knows
//! HTTP, metrics or a service. Durations are [`std::time::Duration`], points in time [`std::time::Instant`].

mod admission;
mod balancer;
mod breaker;
mod deadline;
mod rate;
mod retry_budget;
mod ring;
mod window;

pub use admission::{Admission, AdmissionConfig, AdmissionSnapshot, Load, Priority, Slot};
pub use balancer::{Balancer, Change, Choice, Outcome, Replica, is_canary};
pub use breaker::{Breaker, BreakerConfig, BreakerSnapshot, BreakerState, FailureRate, News, Open, Permit, Verdict};
pub use deadline::{BadDeadline, Deadline, DeadlineExceeded};
pub use rate::{RateLimit, RateLimitConfig};
pub use retry_budget::{RetryBudget, RetryBudgetConfig};
pub use window::{SlidingWindow, SlidingWindowConfig};

/// Refused by a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit reached; retry after {} ms", .0.as_millis())]
pub struct RetryAfter(
    /// How long until the same call can succeed.
    pub std::time::Duration,
);
