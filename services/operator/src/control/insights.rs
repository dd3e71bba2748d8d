//! What is learned from the requests of one organisation, read: the newest rows of a window, by an index, and no more
//! than can be looked at in one go.

use std::sync::Arc;

use diesel::prelude::*;
use jiff::{SignedDuration, Timestamp};
use vx11_contracts::intervention::{
    HistoryEntry, InterventionType, KeepRouting, PilotRouting, Role, Status, WorkingHours,
};
use vx11_contracts::time;
use vx11_store::{AnyConnection, Database, Scope, StoreError};

use super::schema::{interventions, pilot_routing, pilots};
use super::{audit, history};
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;
use crate::domain::intervention::anomaly::Sample;
use crate::domain::intervention::routing::Candidate;

/// Most requests of one status that anomalies are looked for in.
const SAMPLES: usize = 5000;
/// Most ended requests that performance is computed from.
const ENDED: usize = 10_000;
/// Most pilots that a request is matched with: those who were here last.
const CANDIDATES: usize = 50;
/// Most pilots among whom these are found.
const PILOTS: i64 = 1000;
/// A pilot's newest requests, by which their history and load are known.
const NEWEST: i64 = 100;
/// How far back these reach.
const DAYS: i64 = 30;

/// What is learned from the requests of one organisation.
#[derive(Clone, Debug)]
pub(crate) struct Insights {
    database: Database,
    org: Arc<str>,
}

/// The newest rows of a window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Newest<T> {
    pub(crate) rows: Vec<T>,
    /// Whether they are all there are.
    pub(crate) is_whole: bool,
}

impl<T> Newest<T> {
    /// Of rows of which one more than `most` was read.
    fn of(mut rows: Vec<T>, most: usize) -> Self {
        let is_whole = rows.len() <= most;
        rows.truncate(most);
        Self { rows, is_whole }
    }
}

#[derive(Debug, Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = pilot_routing, treat_none_as_null = true)]
struct Row {
    org_id: String,
    pilot_id: String,
    skills: String,
    hours_from: Option<i16>,
    hours_until: Option<i16>,
    updated_by: String,
    updated_at: String,
}

impl Insights {
    pub(super) fn new(database: Database, org: Arc<str>) -> Self {
        Self { database, org }
    }

    /// The requests that were made since then.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn samples(&self, since: Timestamp) -> Result<Newest<Sample>, StoreError> {
        let (org, since) = (self.org.clone(), time::render(since));
        let read = move |conn: &mut AnyConnection| {
            let mut all = Newest { rows: Vec::new(), is_whole: true };
            // One by one, so that each is read in the order of the index, and no further than it has to be.
            for status in Status::ALL {
                let some = Newest::of(samples(conn, &org, *status, &since)?, SAMPLES);
                all.is_whole &= some.is_whole;
                all.rows.extend(some.rows);
            }
            Ok::<_, StoreError>(all)
        };
        self.database.read(self.scope(), read).await
    }

    /// What became of the requests that ended since then; of those of one pilot where one is named.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn ended(
        &self,
        since: Timestamp,
        pilot: Option<String>,
    ) -> Result<Newest<HistoryEntry>, StoreError> {
        let (org, since) = (self.org.clone(), time::render(since));
        let read = move |conn: &mut AnyConnection| {
            let rows = history::since(conn, &org, &since, pilot.as_deref(), ENDED as i64 + 1)?;
            Ok::<_, StoreError>(Newest::of(rows, ENDED))
        };
        self.database.read(self.scope(), read).await
    }

    /// The pilots that a request of this type may suit.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn candidates(
        &self,
        kind: InterventionType,
        now: Timestamp,
    ) -> Result<Vec<Candidate>, StoreError> {
        let org = self.org.clone();
        let since = time::render(now.checked_sub(SignedDuration::from_hours(24 * DAYS)).unwrap_or(Timestamp::MIN));
        let read = move |conn: &mut AnyConnection| {
            let mut found = Vec::new();
            for (pilot_id, role) in deciding(conn, &org)? {
                let routing = routing(conn, &org, &pilot_id)?;
                let past = past(conn, &org, &pilot_id, &since)?;
                found.extend(candidate(pilot_id, &role, routing, &past, kind.as_str()));
            }
            Ok::<_, StoreError>(found)
        };
        self.database.read(self.scope(), read).await
    }

    /// What is known of a pilot for routing. `None`: there is no such pilot.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn routing(&self, pilot_id: &str) -> Result<Option<PilotRouting>, StoreError> {
        let (org, pilot_id) = (self.org.clone(), pilot_id.to_owned());
        let read = move |conn: &mut AnyConnection| {
            if !is_pilot(conn, &org, &pilot_id)? {
                return Ok(None);
            }
            let none = PilotRouting { pilot_id: pilot_id.clone(), ..PilotRouting::default() };
            Ok::<_, StoreError>(Some(routing(conn, &org, &pilot_id)?.unwrap_or(none)))
        };
        self.database.read(self.scope(), read).await
    }

    /// Keeps what is known of a pilot for routing, in place of what was. `None`: there is no such pilot.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn keep_routing(
        &self,
        pilot_id: &str,
        kept: KeepRouting,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Option<PilotRouting>, StoreError> {
        let noted = Entry::done(by, "pilot.routing", time::render(now)).to("pilot", pilot_id);
        let row = Row {
            org_id: self.org.to_string(),
            pilot_id: pilot_id.to_owned(),
            skills: kept.skills.join("\n"),
            hours_from: kept.hours.map(|hours| i16::from(hours.from)),
            hours_until: kept.hours.map(|hours| i16::from(hours.until)),
            updated_by: by.subject.clone(),
            updated_at: time::render(now),
        };
        let write = move |conn: &mut AnyConnection| {
            if !is_pilot(conn, &row.org_id, &row.pilot_id)? {
                return Ok(None);
            }
            let upsert = diesel::insert_into(pilot_routing::table).values(&row);
            let upsert = upsert.on_conflict((pilot_routing::org_id, pilot_routing::pilot_id)).do_update().set(&row);
            match conn {
                AnyConnection::Postgres(conn) => upsert.execute(conn)?,
                AnyConnection::Sqlite(conn) => upsert.execute(conn)?,
            };
            audit::append(conn, &row.org_id, &noted)?;
            Ok::<_, StoreError>(Some(read(row)))
        };
        self.database.write(self.scope(), write).await
    }

    fn scope(&self) -> Scope {
        Scope::Org(self.org.clone())
    }
}

fn samples(conn: &mut AnyConnection, org: &str, status: Status, since: &str) -> QueryResult<Vec<Sample>> {
    use interventions::dsl;
    type Columns = (String, Option<String>, Option<String>, String, Option<String>);
    let rows: Vec<Columns> = interventions::table
        .filter(dsl::org_id.eq(org))
        .filter(dsl::status.eq(status.as_str()))
        .filter(dsl::created_at.ge(since))
        .order((dsl::created_at.desc(), dsl::request_id.desc()))
        .limit(SAMPLES as i64 + 1)
        .select((dsl::request_id, dsl::created_by, dsl::uow_id, dsl::created_at, dsl::assigned_to))
        .load(conn)?;
    let read = |(request_id, created_by, uow_id, created_at, pilot): Columns| {
        let created_at = created_at.parse().ok()?;
        Some(Sample { request_id, created_by, uow_id, created_at, status, pilot })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Pilots that decide, by id and role: those who were here last.
fn deciding(conn: &mut AnyConnection, org: &str) -> QueryResult<Vec<(String, String)>> {
    let roles = [Role::Operator, Role::Admin].map(Role::as_str);
    let mut found: Vec<(String, String, Option<String>)> = pilots::table
        .filter(pilots::org_id.eq(org))
        .filter(pilots::role.eq_any(roles))
        .filter(pilots::disabled_at.is_null())
        .order(pilots::pilot_id)
        .limit(PILOTS)
        .select((pilots::pilot_id, pilots::role, pilots::last_login))
        .load(conn)?;
    found.sort_by(|(.., one), (.., other)| other.cmp(one));
    Ok(found.into_iter().take(CANDIDATES).map(|(pilot_id, role, _)| (pilot_id, role)).collect())
}

/// The newest requests that came to a pilot: their type, and where they stand.
fn past(conn: &mut AnyConnection, org: &str, pilot_id: &str, since: &str) -> QueryResult<Vec<(String, String)>> {
    use interventions::dsl;
    interventions::table
        .filter(dsl::org_id.eq(org))
        .filter(dsl::assigned_to.eq(pilot_id))
        .filter(dsl::created_at.ge(since))
        .order(dsl::created_at.desc())
        .limit(NEWEST)
        .select((dsl::intervention_type, dsl::status))
        .load(conn)
}

/// `None`: of a later version.
fn candidate(
    pilot_id: String,
    role: &str,
    routing: Option<PilotRouting>,
    past: &[(String, String)],
    kind: &str,
) -> Option<Candidate> {
    let routing = routing.unwrap_or_default();
    let stand = |only: Option<&str>| {
        let of_type = past.iter().filter(move |(of, _)| only.is_none_or(|kind| of == kind));
        of_type.filter_map(|(_, status)| status.parse::<Status>().ok()).collect::<Vec<_>>()
    };
    let ended: Vec<Status> = stand(Some(kind)).into_iter().filter(|status| !status.is_open()).collect();
    Some(Candidate {
        pilot_id,
        role: role.parse().ok()?,
        skills: routing.skills,
        decided: ended.iter().filter(|status| **status != Status::Expired).count() as u64,
        received: ended.len() as u64,
        open: stand(None).into_iter().filter(|status| status.is_open()).count() as u64,
        hours: routing.hours.map(|hours| (hours.from, hours.until)),
    })
}

fn is_pilot(conn: &mut AnyConnection, org: &str, pilot_id: &str) -> QueryResult<bool> {
    let found = pilots::table.find((org, pilot_id)).select(pilots::pilot_id).first::<String>(conn).optional()?;
    Ok(found.is_some())
}

fn routing(conn: &mut AnyConnection, org: &str, pilot_id: &str) -> QueryResult<Option<PilotRouting>> {
    let row: Option<Row> =
        pilot_routing::table.find((org, pilot_id)).select(Row::as_select()).first(conn).optional()?;
    Ok(row.map(read))
}

fn read(row: Row) -> PilotRouting {
    let hour = |hour: Option<i16>| hour.and_then(|hour| u8::try_from(hour).ok());
    PilotRouting {
        pilot_id: row.pilot_id,
        skills: row.skills.lines().map(str::to_owned).collect(),
        hours: hour(row.hours_from).zip(hour(row.hours_until)).map(|(from, until)| WorkingHours { from, until }),
        updated_by: Some(row.updated_by),
        updated_at: Some(row.updated_at),
    }
}
