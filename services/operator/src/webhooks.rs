//! Webhooks: those who asked for a decision are told that there is one, signed, at the address that they named.

mod reach;
mod send;
mod signature;

use jiff::Timestamp;
use url::{Host, Url};
use vx11_chassis::config::Secrets;
use vx11_contracts::identity::OrgId;
use vx11_contracts::intervention::Channel as Kind;

use crate::config::WebhooksConfig;
use crate::control::Due;
use crate::outbox::{Channel, Failure, GiveUp, Pace};
use reach::Reach;
use send::Sender;
use signature::SigningKeys;

/// Signed requests to addresses that callers named.
#[derive(Debug)]
pub(crate) struct Webhooks {
    sender: Sender,
    config: WebhooksConfig,
}

impl Webhooks {
    /// # Errors
    /// When the secret of the platform's own organisation is none.
    pub(crate) fn new(config: WebhooksConfig, secrets: Secrets) -> anyhow::Result<Self> {
        let keys = SigningKeys::new(config.secret_env.clone(), secrets);
        keys.check(OrgId::PLATFORM)?;
        Ok(Self { sender: Sender::new(keys, config.allow_private), config })
    }

    /// The address that a request of `org` wants to be told at, as it is kept.
    ///
    /// # Errors
    /// Why nothing would be sent there, for whoever asks.
    pub(crate) fn admit(&self, org: &OrgId, callback_url: &str) -> Result<String, String> {
        let url = Url::parse(callback_url).map_err(|error| format!("no address: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with https:// or http://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user or a password: receivers check the signature".to_owned());
        }
        let reach = match url.host() {
            Some(Host::Ipv4(address)) => Reach::of(address.into()),
            Some(Host::Ipv6(address)) => Reach::of(address.into()),
            Some(Host::Domain(name)) if is_local(name) => Reach::Private,
            // Where a name leads is looked at when it is sent.
            Some(Host::Domain(_)) => Reach::Public,
            None => return Err("has no host".to_owned()),
        };
        reach.admitted(self.config.allow_private)?;
        self.sender.keys.of(org.as_str()).map_err(|error| error.to_string())?;
        Ok(url.into())
    }
}

impl Channel for Webhooks {
    const KIND: Kind = Kind::Webhook;
    const MOST: usize = 32;
    const EACH: usize = 8;
    const GIVE_UP: GiveUp = GiveUp::AfterAttempts(8);

    fn pace(&self) -> Pace {
        Pace { timeout: self.config.timeout, retry_base: self.config.retry_base }
    }

    async fn send(&self, due: &Due, now: Timestamp) -> Result<(), Failure> {
        self.sender.send(due, now).await
    }
}

/// Whether a name means this machine (RFC 6761), so that nobody has to ask where it leads.
fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}
