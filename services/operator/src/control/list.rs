//! Pages of requests, by keys that an index has: the thousandth page costs what the first one does.

use diesel::prelude::*;
use diesel::sql_types::Bool;
use vx11_contracts::intervention::{
    Cursor, DEFAULT_LIMIT, Intervention, InterventionPage, ListInterventions, MAX_LIMIT, Status,
};
use vx11_store::AnyConnection;

use super::row;
use super::schema::interventions::{self, dsl};

/// Most bytes of a page's records: read, they take several times that.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

type Condition = Box<dyn BoxableExpression<interventions::table, Backend, SqlType = Bool>>;
type Backend = <AnyConnection as Connection>::Backend;

/// A page, as it is for whoever looks at `now`.
pub(super) fn page(
    conn: &mut AnyConnection,
    org: &str,
    query: &ListInterventions,
    after: Option<&Cursor>,
    now: &str,
) -> QueryResult<InterventionPage> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT) as usize;
    let status = query.status.unwrap_or(Status::Pending);
    let mut rows = interventions::table.filter(dsl::org_id.eq(org)).select(dsl::record).into_boxed();
    for condition in conditions(query, status, now) {
        rows = rows.filter(condition);
    }
    if let Some(cursor) = after {
        rows = rows.filter(behind(cursor, status));
    }
    rows = match status {
        Status::Pending => rows.order((dsl::priority.asc(), dsl::created_at.asc(), dsl::request_id.asc())),
        _ => rows.order((dsl::created_at.desc(), dsl::request_id.desc())),
    };
    let rows = rows.limit(limit as i64 + 1).offset(i64::from(query.offset.unwrap_or(0)));
    let records: Vec<String> = rows.load(conn)?;
    let fit = fitting(&records).min(limit);
    let more = records.len() > fit;
    let items = records[..fit].iter().map(|record| row::read(record)).collect::<QueryResult<Vec<Intervention>>>()?;
    let next = if more { items.last().map(|last| Cursor::of(last).to_string()) } else { None };
    Ok(InterventionPage { items, next })
}

/// How many of `records` make a page, of which the first always does.
fn fitting(records: &[String]) -> usize {
    let mut bytes = 0;
    let large = records.iter().position(|record| {
        bytes += record.len();
        bytes > PAGE_BYTES
    });
    large.map_or(records.len(), |at| at.max(1))
}

fn conditions(query: &ListInterventions, status: Status, now: &str) -> Vec<Condition> {
    let mut all: Vec<Condition> = vec![Box::new(dsl::status.eq(status.as_str()))];
    if status == Status::Pending {
        // What has expired is not waiting any more, whether or not the sweeper was there.
        let waits = dsl::due_at.is_null().or(dsl::due_at.gt(now.to_owned()));
        all.push(Box::new(waits.assume_not_null()));
    }
    if let Some(priority) = query.priority {
        all.push(Box::new(dsl::priority.eq(priority.rank())));
    }
    if let Some(kind) = &query.intervention_type {
        all.push(Box::new(dsl::intervention_type.eq(kind.as_str().to_owned())));
    }
    if let Some(pilot) = &query.pilot_id {
        all.push(Box::new(dsl::assigned_to.eq(pilot.clone()).assume_not_null()));
    }
    if let Some(unit) = &query.uow_id {
        all.push(Box::new(dsl::uow_id.eq(unit.clone()).assume_not_null()));
    }
    all
}

/// What comes after `cursor` in the order of the list.
fn behind(cursor: &Cursor, status: Status) -> Condition {
    let Cursor { priority, created_at: at, request_id: id } = cursor.clone();
    let rank = priority.rank();
    match status {
        Status::Pending => {
            let later = dsl::created_at.gt(at.clone()).or(dsl::created_at.eq(at).and(dsl::request_id.gt(id)));
            Box::new(dsl::priority.gt(rank).or(dsl::priority.eq(rank).and(later)))
        }
        _ => Box::new(dsl::created_at.lt(at.clone()).or(dsl::created_at.eq(at).and(dsl::request_id.lt(id)))),
    }
}
