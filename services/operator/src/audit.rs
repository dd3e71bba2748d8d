//! What is in the audit log beside what is written with a change: refusals, gathered so that a flood of them costs
//! nothing; its rows, linked into the chain once they are written; and its ends, noted elsewhere, so that a log that was
//! cut is found.

mod heads;
mod linking;
mod refusals;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge, Registry};
use tokio::sync::Notify;
use tokio::time::Instant;
use vx11_chassis::Shutdown;
use vx11_contracts::audit::{AuditFlaw, AuditHead, AuditOutcome, AuditVerdict};
use vx11_contracts::identity::OrgId;
use vx11_identity::audit_chain::Head;
use vx11_store::StoreError;

use crate::control::{Control, Proof};
use crate::domain::audit::Entry;
use heads::Heads;
use refusals::{Gathered, Refusals};

pub(crate) use heads::read_heads;

/// How often it is looked whether a minute of refusals is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rows of one transaction.
const BATCH: usize = 200;
/// Logs that are proven at a time, each of another organisation.
const MOST_PROVEN: usize = 4;

/// The audit log, for what is not written with a change. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    control: Control,
    refusals: Arc<Mutex<Refusals>>,
    heads: Arc<Heads>,
    /// Whose logs are being proven.
    proven: Arc<Mutex<BTreeSet<OrgId>>>,
    wake: Arc<Notify>,
    heads_interval: Duration,
    metrics: AuditMetrics,
}

#[derive(Clone, Debug)]
struct AuditMetrics {
    uncounted: IntCounter,
    broken: IntGauge,
}

impl Audit {
    /// `heads`: the file in which the ends of logs are noted.
    ///
    /// # Errors
    /// When that file cannot be read, or a metric's name is taken.
    pub(crate) fn new(
        control: Control,
        heads: PathBuf,
        heads_interval: Duration,
        registry: &Registry,
    ) -> anyhow::Result<Self> {
        let unread = format!("{}: the noted ends of audit logs cannot be read", heads.display());
        let heads = Heads::load(heads).context(unread)?;
        let metrics = AuditMetrics {
            uncounted: IntCounter::new(
                "vx11_audit_refusals_uncounted_total",
                "Refused attempts that the audit log lacks, because too many were gathered.",
            )?,
            broken: IntGauge::new(
                "vx11_audit_logs_broken",
                "Organisations whose audit log does not go on from where it was noted.",
            )?,
        };
        registry.register(Box::new(metrics.uncounted.clone()))?;
        registry.register(Box::new(metrics.broken.clone()))?;
        Ok(Self {
            control,
            refusals: Arc::default(),
            heads: Arc::new(heads),
            proven: Arc::default(),
            wake: Arc::default(),
            heads_interval,
            metrics,
        })
    }

    /// Notes an attempt that changed nothing, in the log of `org`. Nobody waits for it: the first of its kind is written
    /// at once, and those of the minute that follows as one row.
    pub(crate) fn attempted(&self, org: &OrgId, entry: Entry) {
        match self.refusals.lock().add(org, entry, Instant::now()) {
            Gathered::First => self.wake.notify_one(),
            Gathered::Counted => {}
            Gathered::NoRoom => self.metrics.uncounted.inc(),
        }
    }

    /// Writes what is gathered, and notes ends, until the service stops.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut note_at = Instant::now();
        while !shutdown.has_begun() {
            let due = self.refusals.lock().take_due(Instant::now());
            self.write(due).await;
            if Instant::now() >= note_at {
                note_at = Instant::now() + self.heads_interval;
                self.note_heads().await;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY.min(self.heads_interval)) => {}
                () = shutdown.begun() => {}
            }
        }
    }

    /// Writes and links what is left, when nobody is served any more.
    pub(crate) async fn close(&self) {
        let left = self.refusals.lock().take_all(Instant::now());
        self.write(left).await;
        self.link().await;
        self.note_heads().await;
    }

    async fn write(&self, due: Vec<(OrgId, Entry, u64)>) {
        let mut due = due.into_iter().peekable();
        while let Some((org, ..)) = due.peek() {
            let org = org.clone();
            let mut batch = Vec::new();
            while batch.len() < BATCH
                && let Some((_, entry, count)) = due.next_if(|(next, ..)| *next == org)
            {
                batch.push((entry, count));
            }
            let rows = batch.iter().map(|(entry, count)| entry.clone().with("count", *count)).collect();
            if let Err(error) = self.control.audit_log(&org).append(rows).await {
                tracing::warn!(%error, %org, "refusals wait for the database");
                let mut refusals = self.refusals.lock();
                batch.into_iter().for_each(|(entry, count)| refusals.put_back(&org, entry, count, Instant::now()));
            }
        }
    }

    async fn note_heads(&self) {
        match self.heads.note(&self.control).await {
            Ok(broken) => self.metrics.broken.set(i64::try_from(broken).unwrap_or(i64::MAX)),
            Err(error) => tracing::debug!(%error, "the audit log's ends cannot be read"),
        }
    }

    /// Proves the log of `org`, as far as this replica knows its ends. `None`: it is being proven, or too many others are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn verify(&self, org: &OrgId, known: Option<Head>) -> Result<Option<AuditVerdict>, StoreError> {
        let Some(_turn) = Turn::take(&self.proven, org) else { return Ok(None) };
        let noted = self.heads.of(org);
        verify(&self.control, org, noted.into_iter().chain(known).collect()).await.map(Some)
    }
}

/// A place among those who prove a log, until it is dropped.
struct Turn {
    proven: Arc<Mutex<BTreeSet<OrgId>>>,
    org: OrgId,
}

impl Turn {
    /// One for each organisation, so that none takes them all.
    fn take(proven: &Arc<Mutex<BTreeSet<OrgId>>>, org: &OrgId) -> Option<Self> {
        let mut taken = proven.lock();
        let is_free = taken.len() < MOST_PROVEN && taken.insert(org.clone());
        is_free.then(|| Self { proven: proven.clone(), org: org.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.proven.lock().remove(&self.org);
    }
}

/// Proves the log of `org`, through which all of `known` must go.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn verify(control: &Control, org: &OrgId, known: Vec<Head>) -> Result<AuditVerdict, StoreError> {
    let compared_with = known.len() as u64;
    let Proof { found, unlinked } = control.audit_log(org).verify(known, Timestamp::now()).await?;
    let head = found
        .as_ref()
        .ok()
        .map(|verified| AuditHead { seq: verified.head.sequence, hash: verified.head.hash.to_string() });
    let broken = found.err().map(|broken| AuditFlaw { seq: broken.at, flaw: broken.why.to_string() });
    Ok(AuditVerdict { org_id: org.clone(), intact: broken.is_none(), head, broken, unlinked, compared_with })
}

/// What an error is in the audit log's terms.
pub(crate) fn outcome_of(status: u16) -> AuditOutcome {
    if status >= 500 { AuditOutcome::Failed } else { AuditOutcome::Refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_proves_its_log_once_at_a_time_and_keeps_no_other_from_it() {
        let proven = Arc::default();
        let org = |id: &str| id.parse::<OrgId>().expect("an id");
        let acme = Turn::take(&proven, &org("acme")).expect("free");
        assert!(Turn::take(&proven, &org("acme")).is_none());
        let others: Vec<_> = (1..MOST_PROVEN).map(|n| Turn::take(&proven, &org(&format!("org-{n}")))).collect();
        assert!(others.iter().all(Option::is_some), "acme has one of the places");
        assert!(Turn::take(&proven, &org("late")).is_none());
        drop(acme);
        assert!(Turn::take(&proven, &org("late")).is_some());
    }
}
