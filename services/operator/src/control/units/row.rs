//! A unit as a row: all of it as JSON, and beside that what is searched; and its heartbeat, which is written alone.

use diesel::prelude::*;
use diesel::result::Error;
use vx11_contracts::unit::{Unit, UnitEvent, UnitStatus};
use vx11_store::{AnyConnection, StoreError};

use super::super::schema::{unit_events, units};
use super::Moved;
use crate::domain::unit::{Change, clock};

/// Most events of a unit's history that are shown.
const HISTORY: i64 = 200;

#[derive(Debug, Insertable, AsChangeset)]
#[diesel(table_name = units, treat_none_as_null = true)]
struct Row {
    org_id: String,
    uow_id: String,
    instance_id: String,
    status: &'static str,
    created_at: String,
    heartbeat_at: String,
    clock_at: Option<String>,
    ended_at: Option<String>,
    version: i64,
    record: String,
}

impl Row {
    fn of(unit: &Unit) -> QueryResult<Self> {
        Ok(Self {
            org_id: unit.org_id.clone(),
            uow_id: unit.uow_id.clone(),
            instance_id: unit.instance_id.clone(),
            status: unit.status.as_str(),
            created_at: unit.created_at.clone(),
            heartbeat_at: unit.heartbeat_at.clone(),
            clock_at: clock(unit).map(str::to_owned),
            ended_at: unit.ended_at.clone(),
            version: unit.version,
            record: written(unit)?,
        })
    }
}

/// The unit as it is stored.
pub(super) fn find(conn: &mut AnyConnection, org: &str, id: &str) -> QueryResult<Option<Unit>> {
    let row = units::table.find((org, id)).select((units::record, units::heartbeat_at));
    row.first(conn).optional()?.map(read).transpose()
}

/// The unit as it is stored, which nobody else changes until the transaction ends.
pub(super) fn held(conn: &mut AnyConnection, org: &str, id: &str) -> QueryResult<Option<Unit>> {
    let row = units::table.find((org, id)).select((units::record, units::heartbeat_at));
    let row: Option<(String, String)> = match conn {
        AnyConnection::Postgres(conn) => row.for_update().first(conn).optional()?,
        // A transaction that writes has the file to itself.
        AnyConnection::Sqlite(conn) => row.first(conn).optional()?,
    };
    row.map(read).transpose()
}

/// The unit of a row.
pub(super) fn read((record, heartbeat_at): (String, String)) -> QueryResult<Unit> {
    let unit: Unit = serde_json::from_str(&record).map_err(|error| Error::DeserializationError(Box::new(error)))?;
    Ok(Unit { heartbeat_at, ..unit })
}

/// Keeps a unit that is new.
pub(super) fn insert(conn: &mut AnyConnection, unit: &Unit, event: &UnitEvent) -> QueryResult<()> {
    diesel::insert_into(units::table).values(&Row::of(unit)?).execute(conn)?;
    add(conn, &unit.org_id, event)
}

/// Writes `change`, what happened first: a waiver is on record before it is worth anything.
pub(super) fn apply(conn: &mut AnyConnection, change: Change) -> Result<Moved, StoreError> {
    use units::dsl;
    let Change { from_version, heard_at, after, events } = change;
    for event in &events {
        add(conn, &after.org_id, event)?;
    }
    let row = Row::of(&after)?;
    let same = units::table
        .filter(dsl::org_id.eq(&row.org_id))
        .filter(dsl::uow_id.eq(&row.uow_id))
        .filter(dsl::version.eq(from_version))
        .filter(dsl::heartbeat_at.eq(&heard_at));
    if diesel::update(same).set(&row).execute(conn)? == 0 {
        return Err(StoreError::Busy("the unit was changed by others who hold it as well".to_owned()));
    }
    Ok(Moved { unit: after, events })
}

/// Notes the heartbeat of `unit`.
pub(super) fn heard(conn: &mut AnyConnection, unit: &Unit) -> QueryResult<()> {
    use units::dsl;
    let clock = (unit.status == UnitStatus::Active).then(|| unit.heartbeat_at.clone());
    let row = units::table.find((&unit.org_id, &unit.uow_id));
    let set = (dsl::heartbeat_at.eq(&unit.heartbeat_at), dsl::clock_at.eq(clock));
    diesel::update(row).set(set).execute(conn).map(drop)
}

/// What happened to a unit, the newest first.
pub(super) fn events(conn: &mut AnyConnection, org: &str, id: &str) -> QueryResult<Vec<UnitEvent>> {
    use unit_events::dsl;
    let events = unit_events::table.filter(dsl::org_id.eq(org)).filter(dsl::uow_id.eq(id));
    let records: Vec<String> = events.order(dsl::id.desc()).limit(HISTORY).select(dsl::record).load(conn)?;
    // One that a later version wrote is left out.
    Ok(records.iter().filter_map(|record| serde_json::from_str(record).ok()).collect())
}

fn add(conn: &mut AnyConnection, org: &str, event: &UnitEvent) -> QueryResult<()> {
    use unit_events::dsl;
    let row = (dsl::org_id.eq(org), dsl::uow_id.eq(&event.uow_id), dsl::record.eq(written(event)?));
    diesel::insert_into(unit_events::table).values(row).execute(conn).map(drop)
}

fn written(record: &impl serde::Serialize) -> QueryResult<String> {
    serde_json::to_string(record).map_err(|error| Error::SerializationError(Box::new(error)))
}
