//! The move from SQLite to PostgreSQL: every row copied, and every row compared.
//!
//! It knows no table: what is in the SQLite file goes into the tables of the same name, in the columns of the same name, which
//! the services' migrations have made. Rows travel as JSON that SQLite writes and PostgreSQL reads, with each value as text,
//! so that numbers keep their last digit.

mod table;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::database::Postgres;
use crate::sqlite::Sqlite;
use crate::upkeep::quoted;
use crate::{AnyConnection, Database, StoreError};
use table::Table;

/// Rows of one step.
const STEP_ROWS: i64 = 1000;
/// Differences that are told of one table at most.
const MOST_TOLD: usize = 20;

/// What was done, or found, in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableTransfer {
    /// The table.
    pub table: String,
    /// Its rows in the SQLite file.
    pub rows: u64,
    /// Rows that are not in PostgreSQL as they are in the file, or are there alone.
    pub different: u64,
    /// The keys of the first of those that are not there, as JSON.
    pub keys: Vec<String>,
}

/// Why rows are not copied or compared.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// One of the databases does not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is something already, which would be lost.
    #[error("PostgreSQL's table {0} has rows of its own; nothing was copied")]
    NotEmpty(String),
    /// The schemas do not fit.
    #[error("{0}")]
    Unlike(String),
    /// It goes from SQLite to PostgreSQL.
    #[error("rows go from a SQLite file to PostgreSQL")]
    Direction,
}

impl From<diesel::result::Error> for TransferError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Copies every row of the SQLite database `from` to the PostgreSQL database `to`, in one transaction: all of them, as they
/// are at one moment, or none. Rows that are there already, as they are in the file, stay: it may be done again.
///
/// # Errors
/// When there are other rows; and when a database does not answer or the schemas differ.
pub async fn copy(from: &Database, to: &Database) -> Result<Vec<TableTransfer>, TransferError> {
    both(from, to, move |file, server| {
        let tables = Table::of_both(file, server)?;
        for table in &tables {
            if has_others(table, file, server)? {
                return Err(TransferError::NotEmpty(table.name.clone()));
            }
        }
        tables.iter().map(|table| copy_table(table, file, server)).collect()
    })
    .await
}

/// Compares every row of the SQLite database `from` with PostgreSQL's.
///
/// # Errors
/// When a database does not answer or the schemas differ.
pub async fn verify(from: &Database, to: &Database) -> Result<Vec<TableTransfer>, TransferError> {
    both(from, to, |file, server| {
        let tables = Table::of_both(file, server)?;
        tables.iter().map(|table| compare_table(table, file, server)).collect()
    })
    .await
}

/// Runs `work` in a transaction at each: what the file has does not change meanwhile, and what is done at the server is done at once.
async fn both<T: Send + 'static>(
    from: &Database,
    to: &Database,
    work: impl FnOnce(&mut Sqlite, &mut Postgres) -> Result<T, TransferError> + Send + 'static,
) -> Result<T, TransferError> {
    let Some(source) = from.place().sqlite() else { return Err(TransferError::Direction) };
    let mut file = source.open(source.busy_timeout)?.conn;
    let done = to.run_apart(move |_, conn| {
        let AnyConnection::Postgres(server) = conn else { return Ok(Err(TransferError::Direction)) };
        let done = file.transaction(|file| server.transaction(|server| work(file, server)));
        Ok(done)
    });
    done.await?
}

/// Whether PostgreSQL has rows that the file has not, or has otherwise.
fn has_others(table: &Table, file: &mut Sqlite, server: &mut Postgres) -> Result<bool, TransferError> {
    let there = count(table, server)?;
    if there == 0 {
        return Ok(false);
    }
    let found = compare_table(table, file, server)?;
    Ok(found.rows.saturating_sub(found.different) < there)
}

fn count(table: &Table, server: &mut Postgres) -> QueryResult<u64> {
    let count = sql_query(format!("SELECT count(*) AS number FROM {}", quoted(&table.name)));
    Ok(count.get_result::<Number>(server)?.number.unsigned_abs())
}

fn copy_table(table: &Table, file: &mut Sqlite, server: &mut Postgres) -> Result<TableTransfer, TransferError> {
    let mut done = TableTransfer { table: table.name.clone(), ..TableTransfer::default() };
    let insert = table.insert();
    table.each_step(file, |rows, step| {
        sql_query(&insert).bind::<Text, _>(step).execute(server)?;
        done.rows += rows;
        Ok(())
    })?;
    if let Some(renumber) = table.renumber() {
        sql_query(renumber).execute(server)?;
    }
    Ok(done)
}

fn compare_table(table: &Table, file: &mut Sqlite, server: &mut Postgres) -> Result<TableTransfer, TransferError> {
    let mut found = TableTransfer { table: table.name.clone(), ..TableTransfer::default() };
    let missing = table.missing();
    table.each_step(file, |rows, step| {
        let keys: Vec<Key> = sql_query(&missing).bind::<Text, _>(step).load(server)?;
        found.rows += rows;
        found.different += keys.len() as u64;
        let room = MOST_TOLD.saturating_sub(found.keys.len());
        found.keys.extend(keys.into_iter().take(room).map(|Key { key }| key));
        Ok(())
    })?;
    // A key is there once: what is beyond the file's rows is PostgreSQL's alone.
    found.different += count(table, server)?.saturating_sub(found.rows);
    Ok(found)
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    key: String,
}

/// A step's rows, and the key of the last.
#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = Text)]
    step: String,
    #[diesel(sql_type = Nullable<Text>)]
    last: Option<String>,
}
