//! Why power is not changed as asked.

use std::time::Duration;

use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;
use vx11_contracts::error::PolicyRefusal;
use vx11_store::StoreError;

use super::driver::DriverError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum PowerError {
    #[error("there is no service {service} that power can act on")]
    UnknownService { service: String, known: Vec<String> },
    #[error("no window can be opened for {service}")]
    NotForWindows { service: String, allowed: Vec<String> },
    #[error("{problem}")]
    Field { field: &'static str, problem: &'static str },
    #[error("a power window is open already; close it first")]
    WindowOpen,
    #[error("no power window is open")]
    NoWindow,
    #[error("another change of power is under way; try again when it is done")]
    Busy,
    #[error("{}", .0.message)]
    OffByPolicy(PolicyRefusal),
    #[error("{0}")]
    Unconfirmed(&'static str),
    #[error("six actions of a kind a minute; wait before the next")]
    TooOften(Duration),
    #[error("{service}: {error}")]
    Driver { service: String, error: DriverError },
    #[error("the store does not answer, and without it power is not changed")]
    Store(#[from] StoreError),
}

impl PowerError {
    pub(super) fn driver(service: &str) -> impl FnOnce(DriverError) -> Self {
        move |error| Self::Driver { service: service.to_owned(), error }
    }

    /// Stopping or restarting what power must never stop.
    pub(super) fn protected(service: &str) -> Self {
        Self::OffByPolicy(PolicyRefusal {
            service: service.to_owned(),
            message: format!("{service} is never stopped by power: without it nothing could be started again"),
            recommended_action: format!("restart the process of {service} where it was started"),
        })
    }

    /// Starting what the applied policy keeps off.
    pub(super) fn kept_off(service: &str) -> Self {
        Self::OffByPolicy(PolicyRefusal {
            service: service.to_owned(),
            message: format!("the policy solo_madre keeps {service} off"),
            recommended_action: "open a power window for it, or release the policy".to_owned(),
        })
    }
}

impl From<PowerError> for ApiError {
    fn from(error: PowerError) -> Self {
        let text = error.to_string();
        match error {
            PowerError::UnknownService { known, .. } => Self::new(ErrorCode::NotFound, text).with_known(known),
            PowerError::NotForWindows { allowed, .. } => Self::invalid_field("services", text).with_known(allowed),
            PowerError::Field { field, .. } => Self::invalid_field(field, text),
            PowerError::NoWindow => Self::new(ErrorCode::NotFound, text),
            PowerError::WindowOpen | PowerError::Busy => Self::new(ErrorCode::Conflict, text),
            PowerError::OffByPolicy(refusal) => Self::off_by_policy(refusal),
            PowerError::Unconfirmed(_) => Self::new(ErrorCode::InvalidConfirmation, text),
            PowerError::TooOften(wait) => Self::rate_limited(wait.as_secs() + 1, text),
            PowerError::Driver { .. } => Self::new(ErrorCode::ServiceUnavailable, text),
            PowerError::Store(cause) => Self::new(ErrorCode::StoreUnavailable, text).with_cause(cause),
        }
    }
}
