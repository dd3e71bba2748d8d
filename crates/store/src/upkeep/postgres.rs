//! What PostgreSQL is asked and told in upkeep.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use jiff::Timestamp;

use super::partitions;
use super::retention::cutoff;
use super::{
    ColumnShape, IndexShape, IntegrityReport, IntegrityState, RetentionMode, RetentionRule, RetentionTable, TableRows,
    TableShape, quoted,
};
use crate::StoreError;
use crate::database::Postgres;

/// Rows that are deleted in one transaction, and so locked at a time.
const STEP_ROWS: usize = 5000;
/// Below this many rows by its statistics a table is counted.
const FEW_ROWS: i64 = 100_000;

/// The tables of the schema, the partitioned ones as one, without diesel's own.
const TABLES: &str = "SELECT c.oid, c.relname::text AS name FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relname <> '__diesel_schema_migrations'";

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn number(conn: &mut Postgres, query: &str) -> QueryResult<i64> {
    sql_query(query).get_result(conn).map(|Number { number }| number)
}

/// Tables and indexes of the schema.
pub(super) fn size_bytes(conn: &mut Postgres) -> Result<u64, StoreError> {
    let size = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint AS number FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
    Ok(number(conn, size)?.unsigned_abs())
}

/// PostgreSQL's own statistics of large tables; small ones are counted.
pub(super) fn row_counts(conn: &mut Postgres) -> Result<Vec<TableRows>, StoreError> {
    #[derive(QueryableByName)]
    struct Table {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = BigInt)]
        estimate: i64,
    }
    let estimates = format!(
        "SELECT t.name, (SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint FROM pg_partition_tree(t.oid) p
             JOIN pg_class c ON c.oid = p.relid WHERE p.isleaf) AS estimate
         FROM ({TABLES}) t ORDER BY t.name"
    );
    let tables: Vec<Table> = sql_query(estimates).load(conn)?;
    let about = |Table { name, estimate }: Table| {
        let rows = match estimate {
            FEW_ROWS.. => estimate,
            _ => count(conn, &name)?,
        };
        Ok(TableRows { table: name, rows })
    };
    tables.into_iter().map(about).collect()
}

/// The rows of a table.
pub(super) fn count(conn: &mut Postgres, table: &str) -> QueryResult<i64> {
    number(conn, &format!("SELECT count(*) AS number FROM {}", quoted(table)))
}

/// Tables with their columns and indexes.
pub(crate) fn schema_map(conn: &mut Postgres) -> Result<Vec<TableShape>, StoreError> {
    #[derive(QueryableByName)]
    struct Name {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let tables: Vec<Name> = sql_query(format!("{TABLES} ORDER BY name")).load(conn)?;
    let shape = |Name { name }: Name| {
        Ok(TableShape { columns: columns(conn, &name)?, indexes: indexes(conn, &name)?, table: name })
    };
    tables.into_iter().map(shape).collect()
}

fn columns(conn: &mut Postgres, table: &str) -> QueryResult<Vec<ColumnShape>> {
    let columns = "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS sql_type,
            a.attnotnull AS not_null, coalesce(a.attnum = ANY(i.indkey), false) AS primary_key
        FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
        WHERE a.attrelid = to_regclass(quote_ident($1)) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    sql_query(columns).bind::<Text, _>(table).load(conn)
}

fn indexes(conn: &mut Postgres, table: &str) -> QueryResult<Vec<IndexShape>> {
    #[derive(QueryableByName)]
    struct Index {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Bool)]
        is_unique: bool,
        #[diesel(sql_type = Array<Nullable<Text>>)]
        columns: Vec<Option<String>>,
    }
    let indexes = "SELECT c.relname::text AS name, i.indisunique AS is_unique,
            array(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY k (attnum, position)
                LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
                ORDER BY k.position) AS columns
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = to_regclass(quote_ident($1)) ORDER BY 1";
    let indexes: Vec<Index> = sql_query(indexes).bind::<Text, _>(table).load(conn)?;
    let shape = |Index { name, is_unique, columns }: Index| IndexShape { name, unique: is_unique, columns };
    Ok(indexes.into_iter().map(shape).collect())
}

/// PostgreSQL keeps rows that refer to others from losing them, and notices a damaged page where it keeps checksums.
pub(super) fn integrity(conn: &mut Postgres) -> Result<IntegrityReport, StoreError> {
    let has_checksums = "SELECT (current_setting('data_checksums') = 'on')::int::bigint AS number";
    let messages = match number(conn, has_checksums)? {
        1 => Vec::new(),
        _ => vec!["data_checksums is off: PostgreSQL would not notice a damaged page".to_owned()],
    };
    Ok(IntegrityReport { state: IntegrityState::Ok, messages })
}

/// Deletes the rows that are past the age of `rule`, or counts them.
pub(super) fn enforce(conn: &mut Postgres, rule: RetentionRule, mode: RetentionMode, now: Timestamp) -> RetentionTable {
    let cutoff = cutoff(&rule, now);
    let mut rows = 0;
    let ended = end(conn, &rule, &cutoff, mode, &mut rows);
    let error = ended.err().map(|error| error.to_string());
    RetentionTable { table: rule.table, days: rule.days, cutoff, rows, error }
}

fn end(
    conn: &mut Postgres,
    rule: &RetentionRule,
    cutoff: &str,
    mode: RetentionMode,
    rows: &mut u64,
) -> QueryResult<()> {
    let (table, time) = (quoted(&rule.table), quoted(&rule.time_column));
    if mode == RetentionMode::Plan {
        let count = sql_query(format!("SELECT count(*) AS number FROM {table} WHERE {time} < $1"));
        let Number { number } = count.bind::<Text, _>(cutoff).get_result(conn)?;
        *rows = number.unsigned_abs();
        return Ok(());
    }
    partitions::drop_before(conn, &rule.table, cutoff, rows)?;
    // A partition's rows have places of their own: `ctid` alone may mean a row of another.
    let step = format!(
        "DELETE FROM {table} WHERE (tableoid, ctid) IN
             (SELECT tableoid, ctid FROM {table} WHERE {time} < $1 LIMIT {STEP_ROWS})"
    );
    loop {
        let deleted = sql_query(&step).bind::<Text, _>(cutoff).execute(conn)?;
        *rows += deleted as u64;
        if deleted < STEP_ROWS {
            return Ok(());
        }
    }
}
