//! Pages of units, by keys that an index has.

use diesel::prelude::*;
use vx11_contracts::intervention::{DEFAULT_LIMIT, MAX_LIMIT};
use vx11_contracts::unit::{ListUnits, Unit, UnitCursor};
use vx11_store::AnyConnection;

use super::super::schema::units::{self, dsl};
use super::row;

/// Most bytes of a page's records: read, they take several times that.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// A page, and where the next one begins.
pub(super) fn page(
    conn: &mut AnyConnection,
    org: &str,
    query: &ListUnits,
    after: Option<&UnitCursor>,
) -> QueryResult<(Vec<Unit>, Option<String>)> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT) as usize;
    let mut rows = units::table.filter(dsl::org_id.eq(org)).select((dsl::record, dsl::heartbeat_at)).into_boxed();
    if let Some(status) = query.status {
        rows = rows.filter(dsl::status.eq(status.as_str()));
    }
    if let Some(instance) = &query.instance_id {
        rows = rows.filter(dsl::instance_id.eq(instance.clone()));
    }
    if let Some(UnitCursor { created_at, uow_id }) = after.cloned() {
        let same = dsl::created_at.eq(created_at.clone()).and(dsl::uow_id.lt(uow_id));
        rows = rows.filter(dsl::created_at.lt(created_at).or(same));
    }
    let newest = (dsl::created_at.desc(), dsl::uow_id.desc());
    let mut rows: Vec<(String, String)> = rows.order(newest).limit(limit as i64 + 1).load(conn)?;
    let fit = fitting(&rows).min(limit);
    let more = rows.len() > fit;
    rows.truncate(fit);
    let items = rows.into_iter().map(row::read).collect::<QueryResult<Vec<Unit>>>()?;
    let next = if more { items.last().map(|last| UnitCursor::of(last).to_string()) } else { None };
    Ok((items, next))
}

/// How many of `rows` make a page, of which the first always does.
fn fitting(rows: &[(String, String)]) -> usize {
    let mut bytes = 0;
    let large = rows.iter().position(|(record, _)| {
        bytes += record.len();
        bytes > PAGE_BYTES
    });
    large.map_or(rows.len(), |at| at.max(1))
}
