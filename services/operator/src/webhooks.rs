//! Webhooks: those who asked for a decision are told that there is one, at least once, signed.
//!
//! What is to be told stands in the outbox, written with the change itself ([`crate::control`]). Here it is sent: by
//! whichever replica leases it, again and again with growing pauses, until the receiver takes it or it is given up.

mod metrics;
mod pause;
mod reach;
mod send;
mod signature;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use url::{Host, Url};
use vx11_chassis::Shutdown;
use vx11_chassis::config::Secrets;
use vx11_contracts::identity::OrgId;

use crate::config::WebhooksConfig;
use crate::control::{Control, Due, Outcome, Room};
use reach::Reach;
use send::{Failure, NO_ANSWER, Sender};
use signature::SigningKeys;

pub(crate) use metrics::WebhookMetrics;

/// Deliveries at a time, of all organisations.
const MOST: usize = 32;
/// Deliveries at a time, of one organisation.
const EACH: usize = 8;
/// How often the outbox is looked at, for what is due again and for what other replicas wrote.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often those that wait are counted.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// How long a lease is beyond the attempt's own time: for the database.
const LEASE_SPARE: Duration = Duration::from_secs(20);

/// Sends what stands in the outbox. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Webhooks {
    control: Control,
    sender: Arc<Sender>,
    metrics: WebhookMetrics,
    config: Arc<WebhooksConfig>,
    wake: Arc<Notify>,
}

impl Webhooks {
    /// # Errors
    /// When the secret of the platform's own organisation is none.
    pub(crate) fn new(
        control: Control,
        config: WebhooksConfig,
        secrets: Secrets,
        metrics: WebhookMetrics,
    ) -> anyhow::Result<Self> {
        let keys = SigningKeys::new(config.secret_env.clone(), secrets);
        keys.check(OrgId::PLATFORM)?;
        let sender = Sender::new(keys, config.allow_private);
        Ok(Self { control, sender: Arc::new(sender), metrics, config: Arc::new(config), wake: Arc::default() })
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

    /// Has the outbox looked at now: something was committed to it.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Sends until the service stops. What is under way then is not waited for: its lease lapses, and it is sent again.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut attempts = JoinSet::new();
        let mut orgs: HashMap<Id, String> = HashMap::new();
        let mut count_at = Instant::now();
        let pause = LOOK_EVERY.min(self.config.retry_base);
        while !shutdown.has_begun() {
            for due in self.take(&orgs).await {
                let org = due.org.clone();
                let attempt = attempts.spawn(self.clone().attempt(due));
                orgs.insert(attempt.id(), org);
            }
            if Instant::now() >= count_at {
                count_at = Instant::now() + COUNT_EVERY;
                self.count().await;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = shutdown.begun() => {}
                Some(ended) = attempts.join_next_with_id() => {
                    orgs.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
                }
            }
        }
    }

    /// What is to be sent now, as far as there is room beside what is under way.
    async fn take(&self, orgs: &HashMap<Id, String>) -> Vec<Due> {
        let mut under_way: HashMap<String, usize> = HashMap::new();
        orgs.values().for_each(|org| *under_way.entry(org.clone()).or_default() += 1);
        let room = Room { all: MOST.saturating_sub(orgs.len()), each: EACH, under_way };
        if room.all == 0 {
            return Vec::new();
        }
        let taken = self.control.take_deliveries(Timestamp::now(), self.config.timeout + LEASE_SPARE, room).await;
        taken.unwrap_or_else(|error| {
            tracing::warn!(%error, "webhooks wait for the database");
            Vec::new()
        })
    }

    async fn count(&self) {
        match self.control.pending_deliveries().await {
            Ok(pending) => self.metrics.set_pending(pending),
            Err(error) => tracing::debug!(%error, "webhooks that wait cannot be counted"),
        }
    }

    async fn attempt(self, due: Due) {
        let timeout = self.config.timeout;
        let sent = tokio::time::timeout(timeout, self.sender.send(&due, Timestamp::now())).await;
        let sent = sent.unwrap_or_else(|_| Err(Failure::again(NO_ANSWER)));
        let now = Timestamp::now();
        let outcome = self.outcome(&due, sent, now);
        if let Outcome::Dead(error) = &outcome {
            tracing::warn!(org = due.org, delivery = due.id, attempts = due.attempt, error, "a webhook is given up");
        }
        self.metrics.attempted(&outcome);
        if let Err(error) = self.control.settle_delivery(&due, outcome, now).await {
            tracing::warn!(%error, delivery = due.id, "a webhook will be sent again: what came of it cannot be written");
        }
    }

    fn outcome(&self, due: &Due, sent: Result<(), Failure>, now: Timestamp) -> Outcome {
        match sent {
            Ok(()) => Outcome::Delivered,
            Err(Failure::Final(error)) => Outcome::Dead(error),
            Err(Failure::Again { error, .. }) if due.attempt >= pause::ATTEMPTS => Outcome::Dead(error),
            Err(Failure::Again { error, not_before }) => {
                let pause = pause::before_next(self.config.retry_base, due.attempt, rand::random::<f64>());
                let pause = pause.max(not_before.unwrap_or_default()).min(pause::LONGEST);
                Outcome::Again(now.checked_add(pause).unwrap_or(now), error)
            }
        }
    }
}

/// Whether a name means this machine (RFC 6761), so that nobody has to ask where it leads.
fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}
