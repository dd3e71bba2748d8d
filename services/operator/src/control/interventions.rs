//! The requests of one organisation: made once, found, and changed by one at a time.

use std::sync::Arc;

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use jiff::Timestamp;
use vx11_contracts::audit::AuditOutcome;
use vx11_contracts::intervention::{
    Cursor, HistoryEntry, Intervention, InterventionMetrics, InterventionPage, ListInterventions,
};
use vx11_contracts::time;
use vx11_store::{AnyConnection, Database, Scope, StoreError};

use super::row::{self, Row};
use super::schema::{idempotency_keys, interventions};
use super::sweep::settle;
use super::units::{self, Moved};
use super::{audit, counts, history, list, notices};
use crate::domain::audit::step;
use crate::domain::intervention::{Actor, Change, Command, Refusal, TIMEOUT, Transition, decide, seen_at};
use crate::domain::unit;

/// The requests of one organisation.
#[derive(Clone, Debug)]
pub(crate) struct Interventions {
    database: Database,
    org: Arc<str>,
}

/// What a client does not want done twice.
#[derive(Clone, Debug)]
pub(crate) struct Idempotency {
    /// The `Idempotency-Key`.
    pub(crate) key: String,
    /// SHA-256 of the body, in hex.
    pub(crate) digest: String,
}

/// What came of a request to make one.
#[derive(Debug)]
pub(crate) enum Created {
    /// It is there now.
    New,
    /// The same key brought the same body before: what it made, as it is now.
    Before(Box<Intervention>),
    /// The same key brought another body before.
    OtherBody,
    /// There is one of this id.
    Exists,
}

/// What a command changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changed {
    /// The request as it is now.
    pub(crate) after: Intervention,
    /// What happened, in order.
    pub(crate) transitions: Vec<Transition>,
    /// What the decision did to units.
    pub(crate) units: Vec<Moved>,
    /// What became of other requests with it.
    pub(crate) others: Vec<Changed>,
}

impl Changed {
    /// A change that does nothing to units.
    pub(super) fn alone(change: Change) -> Self {
        let Change { after, transitions, .. } = change;
        Self { after, transitions, units: Vec::new(), others: Vec::new() }
    }
}

/// A request as somebody saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Looked {
    /// As it is.
    pub(crate) request: Intervention,
    /// What time had changed and nobody had written: it is written now.
    pub(crate) settled: Option<Changed>,
}

/// Why a command changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecideError {
    /// There is none of this id in this organisation.
    #[error("there is no such intervention")]
    NotFound,
    /// The state machine refuses it.
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// What time had changed and nobody had written: it is written now, so that what the refusal says stays true.
        settled: Option<Box<Changed>>,
    },
    /// The unit that it would change stands where that is not possible.
    #[error(transparent)]
    Unit(#[from] unit::Refusal),
    /// The database does not answer, or refuses a query.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DecideError {
    /// What came of the attempt, and why, as the audit log says it.
    pub(crate) fn for_the_log(&self) -> (AuditOutcome, &'static str) {
        match self {
            Self::NotFound => (AuditOutcome::Refused, "not_found"),
            Self::Refused { refusal, .. } => (AuditOutcome::Refused, refusal.class().as_str()),
            Self::Unit(_) => (AuditOutcome::Refused, "conflict"),
            Self::Store(_) => (AuditOutcome::Failed, "store_unavailable"),
        }
    }
}

impl From<Refusal> for DecideError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { refusal, settled: None }
    }
}

impl From<Error> for DecideError {
    fn from(error: Error) -> Self {
        Self::Store(error.into())
    }
}

/// How often a command is decided anew because somebody else was faster. Each time somebody was: it ends.
const ROUNDS: usize = 1000;

impl Interventions {
    pub(super) fn new(database: Database, org: Arc<str>) -> Self {
        Self { database, org }
    }

    /// Makes `request`, which is of this organisation.
    ///
    /// # Errors
    /// When the database does not answer, or refuses it.
    pub(crate) async fn create(
        &self,
        request: Intervention,
        idempotency: Option<Idempotency>,
    ) -> Result<Created, StoreError> {
        let violates = |created: &Result<Created, StoreError>| {
            let unique = DatabaseErrorKind::UniqueViolation;
            matches!(created, Err(StoreError::Query(Error::DatabaseError(kind, _))) if *kind == unique)
        };
        let created = self.create_once(request.clone(), idempotency.clone()).await;
        if !violates(&created) {
            return created;
        }
        // Somebody made it in between, and what they made is seen now.
        let created = self.create_once(request, idempotency).await;
        if violates(&created) { Ok(Created::Exists) } else { created }
    }

    async fn create_once(
        &self,
        request: Intervention,
        idempotency: Option<Idempotency>,
    ) -> Result<Created, StoreError> {
        let org = self.org.clone();
        let create = move |conn: &mut AnyConnection| {
            if let Some(known) = known(conn, &org, idempotency.as_ref())? {
                return Ok(known);
            }
            if find(conn, &org, &request.request_id)?.is_some() {
                return Ok(Created::Exists);
            }
            insert(conn, &org, &request, idempotency)?;
            Ok::<_, StoreError>(Created::New)
        };
        self.database.write(self.scope(), create).await
    }

    /// A request as it is for whoever looks at `now`. What time has made of it is written before it is told: another
    /// replica, whose clock is behind, could still decide otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn look(&self, id: &str, now: Timestamp) -> Result<Option<Looked>, StoreError> {
        let (org, looked) = (self.org.clone(), id.to_owned());
        let stored =
            self.database.read(self.scope(), move |conn| Ok::<_, StoreError>(find(conn, &org, &looked)?)).await?;
        let Some(stored) = stored else { return Ok(None) };
        let request = seen_at(&stored, now);
        if request.version == stored.version {
            return Ok(Some(Looked { request, settled: None }));
        }
        let (org, id) = (self.org.clone(), id.to_owned());
        let write = move |conn: &mut AnyConnection| {
            let settled = settle_if_due(conn, &org, &id, now)?;
            let stored = find(conn, &org, &id)?;
            Ok::<_, StoreError>(stored.map(|stored| Looked { request: seen_at(&stored, now), settled }))
        };
        self.database.write(self.scope(), write).await
    }

    /// Carries `command` out, unless the state machine refuses it. Of two that race exactly one is carried out on what
    /// both saw; the other one is decided on what the first one left.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub(crate) async fn decide(
        &self,
        id: &str,
        command: Command,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Changed, DecideError> {
        let (org, id) = (self.org.clone(), id.to_owned());
        let change = move |conn: &mut AnyConnection| decide_in(conn, &org, &id, &command, &actor, now);
        // What is written beside a refusal is kept, so it is no failure of the transaction.
        let changed = self.database.write(self.scope(), change).await?;
        changed.map_err(|(refusal, settled)| DecideError::Refused { refusal, settled: Some(Box::new(settled)) })
    }

    /// A page of requests.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn list(
        &self,
        query: ListInterventions,
        after: Option<Cursor>,
        now: Timestamp,
    ) -> Result<InterventionPage, StoreError> {
        let (org, at) = (self.org.clone(), time::render(now));
        let page =
            move |conn: &mut AnyConnection| Ok::<_, StoreError>(list::page(conn, &org, &query, after.as_ref(), &at)?);
        let mut page = self.database.read(self.scope(), page).await?;
        page.items.iter_mut().for_each(|stored| *stored = seen_at(stored, now));
        Ok(page)
    }

    /// What became of past requests, newest first; or of one request.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn history(&self, id: Option<String>, limit: u32) -> Result<Vec<HistoryEntry>, StoreError> {
        let org = self.org.clone();
        let entries = move |conn: &mut AnyConnection| {
            Ok::<_, StoreError>(history::list(conn, &org, id.as_deref(), i64::from(limit))?)
        };
        self.database.read(self.scope(), entries).await
    }

    /// How many there are of each sort, and who decides.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn metrics(&self) -> Result<InterventionMetrics, StoreError> {
        let org = self.org.clone();
        self.database.read(self.scope(), move |conn| Ok::<_, StoreError>(counts::metrics(conn, &org)?)).await
    }

    fn scope(&self) -> Scope {
        Scope::Org(self.org.clone())
    }
}

/// Writes what time has made of a request; what that was, unless somebody else has written it.
fn settle_if_due(conn: &mut AnyConnection, org: &str, id: &str, now: Timestamp) -> Result<Option<Changed>, StoreError> {
    match settle(conn, org, id, now) {
        Ok(settled) => Ok(settled),
        Err(DecideError::Store(error)) => Err(error),
        Err(DecideError::NotFound | DecideError::Refused { .. } | DecideError::Unit(_)) => Ok(None),
    }
}

/// Carries `command` out with everything that it does to units, or nothing of it. A refusal beside which something is
/// written, because it was due, comes with that.
pub(super) fn decide_in(
    conn: &mut AnyConnection,
    org: &str,
    id: &str,
    command: &Command,
    actor: &Actor,
    now: Timestamp,
) -> Result<Result<Changed, (Refusal, Changed)>, DecideError> {
    for _ in 0..ROUNDS {
        let stored = find(conn, org, id)?.ok_or(DecideError::NotFound)?;
        let change = match decide(&stored, command, actor, now) {
            Ok(change) => change,
            Err(refusal) if seen_at(&stored, now).version == stored.version => return Err(refusal.into()),
            Err(refusal) => match settle_if_due(conn, org, id, now)? {
                Some(settled) => return Ok(Err((refusal, settled))),
                None => continue,
            },
        };
        if let Some(changed) = carry_out(conn, &stored, change, (actor, command), now)? {
            return Ok(Ok(changed));
        }
    }
    Err(StoreError::Busy("the request never stands still".to_owned()).into())
}

/// Writes `change`, which somebody's command made, and what it does to units; nothing where somebody was faster.
pub(super) fn carry_out(
    conn: &mut AnyConnection,
    stored: &Intervention,
    mut change: Change,
    (actor, command): (&Actor, &Command),
    now: Timestamp,
) -> Result<Option<Changed>, DecideError> {
    let effects = units::plan(conn, &stored.org_id, &mut change, now)?;
    if !apply(conn, stored, &change, (actor, command.name()))? {
        return Ok(None);
    }
    let done = units::carry_out(conn, effects, (actor, units::Withdraws::All), now)?;
    Ok(Some(Changed { units: done.moved, others: done.changed, ..Changed::alone(change) }))
}

/// What an idempotency key brought before.
fn known(conn: &mut AnyConnection, org: &str, key: Option<&Idempotency>) -> QueryResult<Option<Created>> {
    use idempotency_keys::dsl;
    let Some(Idempotency { key, digest }) = key else { return Ok(None) };
    let row = idempotency_keys::table.find((org, key)).select((dsl::digest, dsl::request_id));
    let Some((before, id)) = row.first::<(String, String)>(conn).optional()? else { return Ok(None) };
    if before != *digest {
        return Ok(Some(Created::OtherBody));
    }
    Ok(find(conn, org, &id)?.map(|request| Created::Before(Box::new(request))))
}

/// Keeps a request that is new.
pub(super) fn insert(
    conn: &mut AnyConnection,
    org: &str,
    request: &Intervention,
    idempotency: Option<Idempotency>,
) -> QueryResult<()> {
    use idempotency_keys::dsl;
    diesel::insert_into(interventions::table).values(&Row::of(request)?).execute(conn)?;
    counts::created(conn, request)?;
    notices::opened(conn, request)?;
    if let Some(Idempotency { key, digest }) = idempotency {
        let row = (
            dsl::org_id.eq(org),
            dsl::key.eq(key),
            dsl::digest.eq(digest),
            dsl::request_id.eq(&request.request_id),
            dsl::created_at.eq(&request.created_at),
        );
        diesel::insert_into(idempotency_keys::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// The request as it is stored.
pub(super) fn find(conn: &mut AnyConnection, org: &str, id: &str) -> QueryResult<Option<Intervention>> {
    let row = interventions::table.find((org, id)).select(interventions::record);
    let record: Option<String> = row.first(conn).optional()?;
    record.map(|record| row::read(&record)).transpose()
}

/// Writes `change`, which `command` of `actor` made, if the request still is what it was computed from; whether it was.
pub(super) fn apply(
    conn: &mut AnyConnection,
    stored: &Intervention,
    change: &Change,
    (actor, command): (&Actor, &str),
) -> QueryResult<bool> {
    use interventions::dsl;
    let Change { after, history: entry, .. } = change;
    let row = Row::of(after)?;
    let same = interventions::table
        .filter(dsl::org_id.eq(&row.org_id))
        .filter(dsl::request_id.eq(&row.request_id))
        .filter(dsl::version.eq(change.from_version))
        .filter(dsl::status.eq(stored.status.as_str()));
    if diesel::update(same).set(&row).execute(conn)? == 0 {
        return Ok(false);
    }
    let decided = entry.as_ref().and_then(|entry| Some((decider(after)?, entry.resolution_time_seconds)));
    counts::moved(conn, after, stored.status, decided)?;
    if let Some(entry) = entry {
        history::add(conn, &after.org_id, entry)?;
        notices::ended(conn, after, entry)?;
    }
    if after.escalated > stored.escalated && after.status.is_open() {
        notices::escalated(conn, after)?;
    }
    for transition in &change.transitions {
        audit::append(conn, &after.org_id, &step(actor, command, transition, after))?;
    }
    Ok(true)
}

/// Who ended the wait by deciding. What was withdrawn, by its author or for it, was decided by nobody.
fn decider(request: &Intervention) -> Option<&str> {
    let by = request.decision.as_ref()?.by.as_str();
    (request.assigned_to.is_some() || by == TIMEOUT).then_some(by)
}
