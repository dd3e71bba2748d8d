//! Why there is no answer.

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection came about: nothing was sent.
    #[error("cannot connect")]
    Connect(#[source] Cause),
    /// No connection came about in the time that the request allows, which is less than others have: nothing was sent.
    #[error("no connection within the request's own time limit")]
    Hurried,
    /// The connection broke; the request may have been received.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// The other side did not change protocols.
    #[error("no other protocol was agreed on")]
    NotUpgraded,
}

impl Error {
    /// Whether nothing was sent.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Hurried)
    }

    pub(crate) fn connect(cause: impl Into<Cause>) -> Self {
        Self::Connect(cause.into())
    }
}

/// An address that cannot be called.
#[derive(Debug, thiserror::Error)]
#[error("`{address}` cannot be called: {reason}")]
pub struct InvalidAddress {
    pub(crate) address: String,
    pub(crate) reason: &'static str,
}
