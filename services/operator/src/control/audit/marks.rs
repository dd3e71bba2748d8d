//! Where in the log a time is, on SQLite: as in the trail, a mark every so often is enough, as ids go with time.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;

/// Ids from one mark to the next. The index `audit_log_marks` names it too.
pub(super) const STRIDE: i64 = 256;

#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// No row of `time` or later has a smaller id: what is of then was written then or later, and the mark behind it later
/// still. Only what was written in the moments before a clock was set back may be away from its mark; two strides of it
/// are found.
pub(super) fn first_id_since(conn: &mut SqliteConnection, time: &str) -> QueryResult<i64> {
    let newest = format!("SELECT max(id) FROM audit_log INDEXED BY audit_log_marks WHERE id % {STRIDE} = 0");
    let mark: Mark = sql_query(format!(
        "SELECT coalesce(min(id), ({newest}), 0) AS id
         FROM audit_log INDEXED BY audit_log_marks WHERE id % {STRIDE} = 0 AND written_at >= ?"
    ))
    .bind::<Text, _>(time)
    .get_result(conn)?;
    Ok(mark.id - 2 * STRIDE)
}
