//! What is in the database: its size, its tables, their columns, indexes and rows.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{postgres, quoted};
use crate::sqlite::Sqlite;
use crate::{AnyConnection, Database, StoreError};

/// How many rows a table has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableRows {
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: i64,
}

/// A table as it is in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableShape {
    /// Its name.
    pub table: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnShape>,
    /// Its indexes, by name.
    pub indexes: Vec<IndexShape>,
}

/// A column as it is in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, QueryableByName)]
pub struct ColumnShape {
    /// Its name.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// Its declared type, such as `TEXT`.
    #[diesel(sql_type = Text)]
    #[serde(rename = "type")]
    pub sql_type: String,
    /// Whether it is declared `NOT NULL`.
    #[diesel(sql_type = Bool)]
    pub not_null: bool,
    /// Whether it is part of the primary key.
    #[diesel(sql_type = Bool)]
    pub primary_key: bool,
}

/// An index as it is in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexShape {
    /// Its name.
    pub name: String,
    /// Whether two rows may not be equal in its columns.
    pub unique: bool,
    /// Its columns, in order; `null` for an expression.
    pub columns: Vec<Option<String>>,
}

impl Database {
    /// The bytes that it takes: on SQLite the file and its write-ahead log, on PostgreSQL the tables and their indexes.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn size_bytes(&self) -> Result<u64, StoreError> {
        let size = |path: &std::path::Path| std::fs::metadata(path).map(|file| file.len());
        if let Some(source) = self.place().sqlite() {
            let database = size(source.path()).map_err(StoreError::file(source.path()))?;
            // Absent when nobody is connected.
            return Ok(database + size(&source.wal_path()).unwrap_or(0));
        }
        self.run_apart(|_, conn| match conn {
            AnyConnection::Postgres(conn) => postgres::size_bytes(conn),
            AnyConnection::Sqlite(_) => Ok(0),
        })
        .await
    }

    /// Counts the rows of every table, by name. SQLite reads of each table its smallest index once, or the table itself
    /// where it has none; PostgreSQL knows about how many rows a large table has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn row_counts(&self) -> Result<Vec<TableRows>, StoreError> {
        self.run_apart(|_, conn| match conn {
            AnyConnection::Postgres(conn) => postgres::row_counts(conn),
            AnyConnection::Sqlite(conn) => {
                let tables = tables(conn)?;
                let count = |table: String| Ok(TableRows { rows: count_rows(conn, &table)?, table });
                tables.into_iter().map(count).collect()
            }
        })
        .await
    }

    /// Describes every table, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn schema_map(&self) -> Result<Vec<TableShape>, StoreError> {
        self.run_apart(|_, conn| match conn {
            AnyConnection::Postgres(conn) => postgres::schema_map(conn),
            AnyConnection::Sqlite(conn) => {
                let tables = tables(conn)?;
                let shape = |table: String| {
                    Ok(TableShape { columns: columns(conn, &table)?, indexes: indexes(conn, &table)?, table })
                };
                tables.into_iter().map(shape).collect()
            }
        })
        .await
    }
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
}

/// The service's tables, without SQLite's and diesel's own.
pub(crate) fn tables(conn: &mut Sqlite) -> QueryResult<Vec<String>> {
    let tables: Vec<Name> = sql_query(
        "SELECT name FROM sqlite_schema WHERE type = 'table'
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> '__diesel_schema_migrations' ORDER BY name",
    )
    .load(conn)?;
    Ok(tables.into_iter().filter_map(|table| table.name).collect())
}

fn count_rows(conn: &mut Sqlite, table: &str) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        rows: i64,
    }
    let count: Count = sql_query(format!("SELECT count(*) AS rows FROM {}", quoted(table))).get_result(conn)?;
    Ok(count.rows)
}

/// The columns of a table; none when it does not exist.
pub(crate) fn columns(conn: &mut Sqlite, table: &str) -> QueryResult<Vec<ColumnShape>> {
    sql_query(
        "SELECT name, type AS sql_type, \"notnull\" AS not_null, pk > 0 AS primary_key
         FROM pragma_table_info(?) ORDER BY cid",
    )
    .bind::<Text, _>(table)
    .load(conn)
}

fn indexes(conn: &mut Sqlite, table: &str) -> QueryResult<Vec<IndexShape>> {
    #[derive(QueryableByName)]
    struct Index {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Bool)]
        is_unique: bool,
    }
    let indexes: Vec<Index> = sql_query("SELECT name, \"unique\" AS is_unique FROM pragma_index_list(?) ORDER BY name")
        .bind::<Text, _>(table)
        .load(conn)?;
    let shape = |Index { name, is_unique }: Index| {
        let columns: Vec<Name> =
            sql_query("SELECT name FROM pragma_index_info(?) ORDER BY seqno").bind::<Text, _>(&name).load(conn)?;
        let columns = columns.into_iter().map(|column| column.name).collect();
        Ok(IndexShape { name, unique: is_unique, columns })
    };
    indexes.into_iter().map(shape).collect()
}
