//! What a call on behalf of somebody says beside its body.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};
use vx11_chassis::client::ServiceClient;
use vx11_contracts::headers;

/// On whose behalf a call is made. Most calls are on nobody's, and cost nothing more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallHeaders<'a> {
    /// The organisation that asks.
    pub(crate) org: Option<&'a HeaderValue>,
    /// Who in it asks.
    pub(crate) subject: Option<&'a HeaderValue>,
    /// The intervention by which a person has approved it.
    pub(crate) intervention: Option<&'a HeaderValue>,
}

impl CallHeaders<'_> {
    /// `client`, saying so.
    pub(super) fn on<'c>(&self, client: &'c ServiceClient) -> Cow<'c, ServiceClient> {
        let said =
            [(headers::ORG, self.org), (headers::SUBJECT, self.subject), (headers::INTERVENTION, self.intervention)];
        said.into_iter().fold(Cow::Borrowed(client), |client, (name, value)| match value {
            None => client,
            Some(value) => Cow::Owned(client.into_owned().with_header(HeaderName::from_static(name), value.clone())),
        })
    }
}
