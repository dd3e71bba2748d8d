//! Partitions of PostgreSQL's log tables: one for each UTC day, made ahead and dropped whole.
//!
//! A log of a hundred million rows is then as quick to add to as an empty one, and its old days are gone at once, without a
//! row being looked at. A table is partitioned where its migration says so, by its text of the time, and has a last
//! partition for what no day takes: nothing depends on a day's being there. To make or drop one takes a lock of the table
//! for a moment; who does not get it soon leaves it for the next time.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Text};
use jiff::ToSpan;
use jiff::civil::Date;

use super::quoted;
use crate::database::Postgres;

/// Days that there are partitions for, after today.
const AHEAD: i32 = 3;
/// Longest wait for the lock that everybody's writes wait behind.
const LOCK: &str = "SET LOCAL lock_timeout = '500ms'";
/// What follows a table's name in a partition's.
const NAME_DAY: &str = "_d%Y%m%d";

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct There {
    #[diesel(sql_type = Bool)]
    is_there: bool,
}

/// Makes the partitions of `today` and the next days that are missing, of all tables that have partitions.
pub(crate) fn make_ahead(conn: &mut Postgres, today: Date) -> QueryResult<()> {
    let partitioned =
        "SELECT c.relname::text AS name FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
        WHERE c.relnamespace = current_schema()::regnamespace ORDER BY 1";
    let tables: Vec<Name> = sql_query(partitioned).load(conn)?;
    for Name { name } in tables {
        for days in 0..=AHEAD {
            let Ok(day) = today.checked_add(days.days()) else { continue };
            if let Err(error) = make(conn, &name, day) {
                // Another replica made it, or the table is busy, or rows of the day are in the last partition already.
                tracing::debug!(table = name, %day, %error, "a partition is left for later");
            }
        }
    }
    Ok(())
}

fn make(conn: &mut Postgres, table: &str, day: Date) -> QueryResult<()> {
    let name = format!("{table}{}", day.strftime(NAME_DAY));
    let query = sql_query("SELECT to_regclass(quote_ident($1)) IS NOT NULL AS is_there").bind::<Text, _>(&name);
    let Ok(next) = day.tomorrow() else { return Ok(()) };
    if query.get_result::<There>(conn)?.is_there {
        return Ok(());
    }
    conn.transaction(|conn| {
        conn.batch_execute(&format!(
            "{LOCK}; CREATE TABLE {partition} PARTITION OF {table} FOR VALUES FROM ('{day}') TO ('{next}')",
            partition = quoted(&name),
            table = quoted(table),
        ))
    })
}

/// Drops the partitions of `table` all of whose rows are from before `cutoff`, RFC 3339; `rows` counts along.
pub(super) fn drop_before(conn: &mut Postgres, table: &str, cutoff: &str, rows: &mut u64) -> QueryResult<()> {
    let partitions = "SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(quote_ident($1)) ORDER BY 1";
    let partitions: Vec<Name> = sql_query(partitions).bind::<Text, _>(table).load(conn)?;
    for Name { name } in partitions {
        let day = name.strip_prefix(table).and_then(|day| Date::strptime(NAME_DAY, day).ok());
        let Some(end) = day.and_then(|day| day.tomorrow().ok()) else { continue };
        if end.to_string().as_str() <= cutoff {
            let count = super::postgres::count(conn, &name)?;
            conn.transaction(|conn| conn.batch_execute(&format!("{LOCK}; DROP TABLE {}", quoted(&name))))?;
            *rows += count.unsigned_abs();
        }
    }
    Ok(())
}
