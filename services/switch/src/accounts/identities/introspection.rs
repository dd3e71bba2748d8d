//! Asks the operator who comes with a key or a token.

use std::time::Duration;

use jiff::Timestamp;
use vx11_chassis::RequestContext;
use vx11_chassis::client::{CallError, ServiceClient};
use vx11_chassis::config::Common;
use vx11_contracts::identity::{Introspect, Introspected, IntrospectedCaller};
use vx11_contracts::operator::Envelope;
use vx11_http_client::InvalidAddress;

/// Where the operator answers.
const PATH: &str = "/operator/api/introspect";
/// Longest wait for its answer, for who waits at the gateway.
const LIMIT: Duration = Duration::from_secs(1);

/// The operator, as the gateway asks it.
#[derive(Debug)]
pub(super) struct Introspection(ServiceClient);

/// What it said.
#[derive(Debug)]
pub(super) enum Said {
    /// Whose it is, and how long it is good from now on, where that is limited.
    Known(Box<IntrospectedCaller>, Option<Duration>),
    /// It was good once.
    Expired,
    /// It is nobody's.
    Nobodys,
}

impl Introspection {
    /// Calls the operator of the configuration.
    ///
    /// # Errors
    /// When nothing can be called at its address.
    pub(super) fn new(common: &Common) -> Result<Self, InvalidAddress> {
        let client = ServiceClient::new("operator", &common.urls.operator, common.token.as_ref(), LIMIT)?;
        Ok(Self(client))
    }

    /// Who comes with `secret`.
    ///
    /// # Errors
    /// When the operator does not say.
    pub(super) async fn ask(&self, secret: &str) -> Result<Said, CallError> {
        let question = Introspect { token: secret.to_owned() };
        let context = RequestContext::internal();
        let told: Envelope<Introspected> = self.0.post(PATH, &question, &context, LIMIT).await?;
        match told.data {
            Introspected { caller: Some(caller), .. } => {
                let left = left(&caller)?;
                Ok(Said::Known(Box::new(caller), left))
            }
            Introspected { expired: true, .. } => Ok(Said::Expired),
            Introspected { .. } => Ok(Said::Nobodys),
        }
    }
}

fn left(caller: &IntrospectedCaller) -> Result<Option<Duration>, CallError> {
    let Some(expires_at) = &caller.expires_at else { return Ok(None) };
    let expires_at: Timestamp =
        expires_at.parse().map_err(|_| CallError::Schema("expires_at is no time".to_owned()))?;
    Ok(Some(expires_at.duration_since(Timestamp::now()).try_into().unwrap_or_default()))
}
