//! E-mail: subscribers, and the pilots whom a request is meant for, are told what happens to it.
//!
//! Who gets what is decided where the change is written ([`crate::control`]). Here a message is made of what was kept
//! then, and handed to the mail server that the configuration names.

mod message;
mod page;
mod server;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use lettre::Address;
use lettre::message::Mailbox;
use vx11_chassis::client::chain;
use vx11_chassis::config::Secrets;
use vx11_contracts::intervention::Channel as Kind;

use crate::config::EmailConfig;
use crate::control::Due;
use crate::domain::intervention::Notice;
use crate::outbox::{Channel, Failure, GiveUp, Pace};
use message::Look;
use server::{NotTaken, Server};

/// Sends e-mail.
#[derive(Debug)]
pub(crate) struct Mail {
    server: Server,
    from: Option<Mailbox>,
    look: Look,
    config: EmailConfig,
}

impl Mail {
    /// # Errors
    /// When a mail server is named and no mail could be sent to it as this is configured.
    pub(crate) fn new(config: EmailConfig, secrets: Secrets) -> anyhow::Result<Self> {
        let server = Server::new(config.smtp_url_env.clone(), config.ca_file.clone(), config.timeout, secrets);
        let from = config.from.as_deref().map(str::parse::<Mailbox>).transpose().context("operator.email.from")?;
        let look = Look::new(config.link.clone(), config.show_arguments).context("operator.email.link")?;
        let mail = Self { server, from, look, config };
        if mail.server.relay().with_context(|| mail.config.smtp_url_env.clone())?.is_some() && mail.from.is_none() {
            anyhow::bail!("operator.email.from is needed where {} is set", mail.config.smtp_url_env);
        }
        Ok(mail)
    }

    /// An address that e-mail may go to, as it is kept.
    ///
    /// # Errors
    /// Why none would be sent there, for whoever asks.
    pub(crate) fn admit(&self, to: &str) -> Result<String, String> {
        let address: Address = to.parse().map_err(|_| "neither an e-mail address nor `pilots`".to_owned())?;
        self.check_is_allowed(&address)?;
        Ok(address.to_string())
    }

    /// Whether there is a mail server.
    ///
    /// # Errors
    /// What has to be set, for whoever asks.
    pub(crate) fn check_is_on(&self) -> Result<(), String> {
        match (self.server.relay(), &self.from) {
            (Ok(Some(_)), Some(_)) => Ok(()),
            (Err(error), _) => {
                tracing::error!(%error, "the mail server's address cannot be used");
                Err("the mail server's address cannot be used".to_owned())
            }
            _ => Err(format!("no e-mail is sent: {} and operator.email.from name no server", self.config.smtp_url_env)),
        }
    }

    fn check_is_allowed(&self, address: &Address) -> Result<(), String> {
        let domains = &self.config.allowed_domains;
        if domains.is_empty() || domains.iter().any(|domain| domain.eq_ignore_ascii_case(address.domain())) {
            return Ok(());
        }
        Err(format!("`{}` is none of the domains in operator.email.allowed_domains", address.domain()))
    }

    async fn attempt(&self, due: &Due) -> Result<(), Failure> {
        let notice: Notice = serde_json::from_str(&due.body).map_err(|error| Failure::Final(error.to_string()))?;
        let to: Address = notice.to.parse().map_err(|_| Failure::Final("no e-mail address".to_owned()))?;
        self.check_is_allowed(&to).map_err(Failure::Final)?;
        // A server that is named again, or mended, gets what has waited.
        self.check_is_on().map_err(Failure::again)?;
        let (Ok(Some(relay)), Some(from)) = (self.server.relay(), &self.from) else {
            return Err(Failure::no_answer());
        };
        let message = message::of(&notice, &due.id, from, to, &self.look);
        let message = message.map_err(|error| Failure::Final(format!("no message can be made of it: {error}")))?;
        relay.send(&message).await.map_err(|not_taken| failure(&not_taken, &due.id))
    }
}

impl Channel for Mail {
    const KIND: Kind = Kind::Email;
    // Each attempt is a connection, of which mail servers take few.
    const MOST: usize = 4;
    const EACH: usize = 2;
    // As long as mail servers keep what they cannot deliver (RFC 5321, 4.5.4.1), which nobody counts in attempts.
    const GIVE_UP: GiveUp = GiveUp::AfterAge(Duration::from_secs(5 * 24 * 60 * 60));

    fn pace(&self) -> Pace {
        Pace { timeout: self.config.timeout, retry_base: self.config.retry_base }
    }

    async fn send(&self, due: &Due, _: Timestamp) -> Result<(), Failure> {
        self.attempt(due).await
    }
}

/// What the server says of a message is told to whoever subscribed; what is the matter with the server, to the log.
fn failure(not_taken: &NotTaken, delivery: &str) -> Failure {
    match not_taken {
        NotTaken::Message(error) if error.is_permanent() => Failure::Final(chain(error)),
        NotTaken::Message(error) => Failure::again(chain(error)),
        NotTaken::Server(error) => {
            let cause = chain(error);
            tracing::warn!(delivery, cause, "the mail server takes nothing from us");
            Failure::again("the mail server takes nothing from VX11 now: the message waits")
        }
    }
}
