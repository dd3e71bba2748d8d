//! One table as both databases have it, and the statements that move its rows.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Nullable, Text};

use super::{STEP_ROWS, Step, TransferError};
use crate::database::Postgres;
use crate::sqlite::Sqlite;
use crate::upkeep::{ColumnShape, postgres, quoted, shape};

/// A table.
pub(super) struct Table {
    pub(super) name: String,
    /// Those of the file, with PostgreSQL's types.
    columns: Vec<Column>,
}

struct Column {
    name: String,
    sql_type: String,
    is_key: bool,
}

impl Table {
    /// The tables of the file, as they are in PostgreSQL.
    pub(super) fn of_both(file: &mut Sqlite, server: &mut Postgres) -> Result<Vec<Self>, TransferError> {
        let there = postgres::schema_map(server)?;
        let mut tables = Vec::new();
        for name in shape::tables(file)? {
            let own = shape::columns(file, &name)?;
            let Some(other) = there.iter().find(|table| table.table == name) else {
                return Err(TransferError::Unlike(format!("PostgreSQL has no table {name}")));
            };
            tables.push(Self::new(name, &own, &other.columns)?);
        }
        Ok(tables)
    }

    fn new(name: String, own: &[ColumnShape], other: &[ColumnShape]) -> Result<Self, TransferError> {
        let missing = |column: &str| TransferError::Unlike(format!("{name}.{column} is in one database alone"));
        if let Some(alone) = other.iter().find(|there| !own.iter().any(|column| column.name == there.name)) {
            return Err(missing(&alone.name));
        }
        let column = |column: &ColumnShape| {
            let there = other.iter().find(|there| there.name == column.name).ok_or_else(|| missing(&column.name))?;
            let (name, sql_type) = (column.name.clone(), there.sql_type.clone());
            Ok(Column { name, sql_type, is_key: column.primary_key })
        };
        let columns = own.iter().map(column).collect::<Result<Vec<_>, TransferError>>()?;
        if !columns.iter().any(|column| column.is_key) {
            return Err(TransferError::Unlike(format!("{name} has no key")));
        }
        Ok(Self { name, columns })
    }

    fn keys(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.is_key)
    }

    /// Gives the file's rows to `take` in the order of their keys, some at a time: how many, and as JSON.
    pub(super) fn each_step(
        &self,
        file: &mut Sqlite,
        mut take: impl FnMut(u64, &str) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let query = self.step();
        let mut after: Option<String> = None;
        loop {
            let Step { rows, step, last } = sql_query(&query).bind::<Nullable<Text>, _>(&after).get_result(file)?;
            if rows > 0 {
                // PostgreSQL's texts have no place for this character.
                take(rows.unsigned_abs(), &step.replace("\\u0000", "\\u2400"))?;
            }
            if rows < STEP_ROWS {
                return Ok(());
            }
            after = last;
        }
    }

    /// The rows after a key, which is bound as a JSON array; `NULL`: from the first on.
    fn step(&self) -> String {
        // Seventeen digits are enough for each of SQLite's numbers to be read as the same again.
        let value = |column: &Column| {
            let name = quoted(&column.name);
            match column.sql_type.as_str() {
                "double precision" => format!("format('%!.17g', {name})"),
                _ => format!("CAST({name} AS TEXT)"),
            }
        };
        let row = self.columns.iter().map(value).collect::<Vec<_>>().join(", ");
        let keys: Vec<String> = self.keys().map(|key| quoted(&key.name)).collect();
        let (key, order) = (keys.join(", "), keys.join(", "));
        let bound = (0..keys.len()).map(|at| format!("json_extract(?1, '$[{at}]')")).collect::<Vec<_>>().join(", ");
        format!(
            "SELECT count(*) AS rows, json_group_array(json(row)) AS step, max(CASE WHEN place = {STEP_ROWS} THEN key END) AS last
             FROM (SELECT json_array({row}) AS row, json_array({key}) AS key, row_number() OVER (ORDER BY {order}) AS place
                   FROM {table} WHERE ?1 IS NULL OR ({key}) > ({bound}) ORDER BY {order} LIMIT {STEP_ROWS})",
            table = quoted(&self.name)
        )
    }

    /// Adds those rows of a step, `$1`, that are not there.
    pub(super) fn insert(&self) -> String {
        let names = self.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
        let values = (0..self.columns.len()).map(|at| self.value(at)).collect::<Vec<_>>().join(", ");
        format!(
            "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM json_array_elements($1::json) r (r)
             ON CONFLICT DO NOTHING",
            table = quoted(&self.name)
        )
    }

    /// The keys of those rows of a step, `$1`, that are not there as they are in it.
    pub(super) fn missing(&self) -> String {
        let is_same = |(at, column): (usize, &Column)| {
            let operator = if column.is_key { "=" } else { "IS NOT DISTINCT FROM" };
            format!("t.{} {operator} {}", quoted(&column.name), self.value(at))
        };
        let same = self.columns.iter().enumerate().map(is_same).collect::<Vec<_>>().join(" AND ");
        let keys = self.columns.iter().enumerate().filter(|(_, column)| column.is_key);
        let key = keys.map(|(at, _)| format!("r.r->>{at}")).collect::<Vec<_>>().join(", ");
        format!(
            "SELECT json_build_array({key})::text AS key FROM json_array_elements($1::json) r (r)
             WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same})",
            table = quoted(&self.name)
        )
    }

    /// A column's value of a row `r`. SQLite's truth is a number.
    fn value(&self, at: usize) -> String {
        match self.columns[at].sql_type.as_str() {
            "boolean" => format!("((r.r->>{at})::integer)::boolean"),
            sql_type => format!("(r.r->>{at})::{sql_type}"),
        }
    }

    /// Has new ids begin after those that were copied; where ids are given out.
    pub(super) fn renumber(&self) -> Option<String> {
        let is_number = self.keys().any(|key| key.name == "id" && key.sql_type == "bigint");
        let table = quoted(&self.name);
        is_number.then(|| {
            format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'id'), greatest(max(id), 1), max(id) IS NOT NULL)
                 FROM {table} HAVING pg_get_serial_sequence('{table}', 'id') IS NOT NULL"
            )
        })
    }
}
