//! Where in the trail a time is.
//!
//! An index of all rows by time would cost each commit a page, for a question that is seldom asked. Rows are added as
//! time goes, so the index needs only a mark every so often (PostgreSQL's BRIN): the table's index `actions_by_time`
//! holds at least the rows whose id is a multiple of [`STRIDE`]. It answers with ids between which the rows of a time
//! are, and some of their neighbours.
//!
//! PostgreSQL has its partitions for that: there all ids are between.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};

use crate::AnyConnection;

/// Ids from one mark to the next. The schemas of services name it too.
const STRIDE: i64 = 256;
/// Ids that a row can be away from the mark of its time: rows of one moment are not written in its order.
const MARGIN: i64 = 2 * STRIDE;

#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// No row from `time` on has a smaller id, but for fewer than [`STRIDE`] in a row that a wrong clock dated into it.
/// Where a clock was set back, the first mark counts that had the time.
pub(super) fn first_id_since(conn: &mut AnyConnection, time: &str) -> QueryResult<i64> {
    let AnyConnection::Sqlite(conn) = conn else { return Ok(i64::MIN) };
    let newest = "SELECT max(id) FROM copilot_actions_log";
    let mark: Mark = sql_query(format!(
        "SELECT coalesce(min(id), ({newest}), 0) AS id
         FROM copilot_actions_log INDEXED BY actions_by_time WHERE id % {STRIDE} = 0 AND timestamp >= ?"
    ))
    .bind::<Text, _>(time)
    .get_result(conn)?;
    Ok(mark.id - MARGIN)
}

/// No row from before `time` has a greater id, with the same exception. Where a clock was set back, the last mark
/// counts.
pub(super) fn last_id_before(conn: &mut AnyConnection, time: &str) -> QueryResult<i64> {
    let AnyConnection::Sqlite(conn) = conn else { return Ok(i64::MAX) };
    let oldest = "SELECT min(id) FROM copilot_actions_log";
    let mark: Mark = sql_query(format!(
        "SELECT coalesce(max(id), ({oldest}), 0) AS id
         FROM copilot_actions_log INDEXED BY actions_by_time WHERE id % {STRIDE} = 0 AND timestamp < ?"
    ))
    .bind::<Text, _>(time)
    .get_result(conn)?;
    Ok(mark.id + MARGIN)
}
