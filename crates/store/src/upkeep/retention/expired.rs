//! The rows of one table that are past its age: how many there are, and their end.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::steps::Steps;
use super::{RetentionMode, RetentionRule, RowOrder};
use crate::sqlite::Sqlite;
use crate::upkeep::{quoted, shape};

/// Rows looked at, or deleted, in one transaction: few enough that the writer hardly waits for it.
const STEP_ROWS: usize = 500;

/// The expired rows of a table.
pub(super) struct Expired {
    order: RowOrder,
    /// The table, its column with the time and the columns of its primary key, quoted.
    table: String,
    time: String,
    key: String,
    /// Rows from before this time are expired.
    cutoff: String,
    /// Rows from after this time say nothing about those behind them: a clock ran ahead.
    now: String,
}

/// A number of rows that follow each other by id.
#[derive(QueryableByName)]
struct Window {
    /// The last id; none where there are no more rows.
    #[diesel(sql_type = Nullable<BigInt>)]
    last: Option<i64>,
    #[diesel(sql_type = BigInt)]
    expired: i64,
    /// Neither expired nor from the future.
    #[diesel(sql_type = BigInt)]
    current: i64,
}

impl Expired {
    /// SQLite reads an unknown quoted name as a text, which is older than any time or never: worth asking before.
    pub(super) fn of(conn: &mut Sqlite, rule: &RetentionRule, cutoff: String, now: String) -> Result<Self, String> {
        let RetentionRule { table, time_column, order, .. } = rule;
        let columns = shape::columns(conn, table).map_err(|error| error.to_string())?;
        if !columns.iter().any(|column| column.name == *time_column) {
            return Err(format!("there is no column {time_column} in a table {table}"));
        }
        let key: Vec<_> = columns.iter().filter(|column| column.primary_key).map(|column| &*column.name).collect();
        if key.is_empty() || (*order != RowOrder::Indexed && key != ["id"]) {
            return Err(format!("the key of the table {table} is not of use: {key:?}"));
        }
        let key = key.into_iter().map(quoted).collect::<Vec<_>>().join(", ");
        Ok(Self { order: *order, table: quoted(table), time: quoted(time_column), key, cutoff, now })
    }

    /// Counts or deletes them; `rows` counts along, so that it is right where this fails half-way.
    pub(super) fn end(&self, steps: &mut Steps<'_>, mode: RetentionMode, rows: &mut u64) -> QueryResult<()> {
        match (self.order, mode) {
            (RowOrder::Indexed, RetentionMode::Plan) => self.count(steps.conn, rows),
            (RowOrder::Indexed, RetentionMode::Apply) => self.delete(steps, rows),
            (RowOrder::ById | RowOrder::ByLastingId, _) => self.walk(steps, mode, rows),
        }
    }

    fn count(&self, conn: &mut Sqlite, rows: &mut u64) -> QueryResult<()> {
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            rows: i64,
        }
        let Self { table, time, cutoff, .. } = self;
        let query = sql_query(format!("SELECT count(*) AS rows FROM {table} WHERE {time} < ?"));
        let count: Count = query.bind::<Text, _>(cutoff).get_result(conn)?;
        *rows = count.rows.unsigned_abs();
        Ok(())
    }

    fn delete(&self, steps: &mut Steps<'_>, rows: &mut u64) -> QueryResult<()> {
        let Self { table, time, key, cutoff, .. } = self;
        let step = format!(
            "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {time} < ? LIMIT {STEP_ROWS})"
        );
        loop {
            let deleted = steps.take(|conn| sql_query(&step).bind::<Text, _>(cutoff).execute(conn))?;
            *rows += deleted as u64;
            if deleted < STEP_ROWS {
                return Ok(());
            }
        }
    }

    /// From the oldest row on, up to the first window in which nothing is expired and something is of now.
    fn walk(&self, steps: &mut Steps<'_>, mode: RetentionMode, rows: &mut u64) -> QueryResult<()> {
        let Self { table, time, cutoff, .. } = self;
        let step = format!("DELETE FROM {table} WHERE id > ? AND id <= ? AND {time} < ?");
        let mut after = i64::MIN;
        loop {
            let Window { last, expired, current } = self.window(steps.conn, after)?;
            let Some(last) = last.filter(|_| expired > 0 || current == 0) else { return Ok(()) };
            if mode == RetentionMode::Apply && expired > 0 {
                let step = sql_query(&step).bind::<BigInt, _>(after).bind::<BigInt, _>(last).bind::<Text, _>(cutoff);
                steps.take(|conn| step.execute(conn))?;
            }
            *rows += expired.unsigned_abs();
            after = last;
        }
    }

    fn window(&self, conn: &mut Sqlite, after: i64) -> QueryResult<Window> {
        let Self { table, time, cutoff, now, .. } = self;
        let but_the_newest = match self.order {
            RowOrder::ByLastingId => format!("AND id < (SELECT max(id) FROM {table})"),
            RowOrder::ById | RowOrder::Indexed => String::new(),
        };
        sql_query(format!(
            "SELECT max(id) AS last, count(*) FILTER (WHERE time < ?) AS expired,
                    count(*) FILTER (WHERE time >= ? AND time <= ?) AS current FROM
             (SELECT id, {time} AS time FROM {table} WHERE id > ? {but_the_newest} ORDER BY id LIMIT {STEP_ROWS})"
        ))
        .bind::<Text, _>(cutoff)
        .bind::<Text, _>(cutoff)
        .bind::<Text, _>(now)
        .bind::<BigInt, _>(after)
        .get_result(conn)
    }
}
