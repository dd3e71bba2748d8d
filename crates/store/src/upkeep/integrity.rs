//! Is the database what it should be?

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::postgres;
use crate::sqlite::Sqlite;
use crate::{AnyConnection, Database, StoreError};

/// How many findings are reported at most; SQLite's own bound for a damaged file.
const MOST_FINDINGS: usize = 100;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every page and row. Reads the whole file once.
    Quick,
    /// Also every index against its table. Several times the work.
    Full,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntegrityState {
    /// Nothing is wrong.
    Ok,
    /// The file is sound, but rows refer to rows that do not exist.
    Warning,
    /// The file is damaged: restore a backup.
    Critical,
}

/// What an integrity check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IntegrityReport {
    /// The verdict.
    pub state: IntegrityState,
    /// What is wrong, in SQLite's words; at most 100 lines.
    pub messages: Vec<String>,
}

impl Database {
    /// Checks the SQLite file and the references between its rows; a file too damaged to be read is a report too. PostgreSQL
    /// looks after its own, and is asked whether it would notice a damaged page.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn integrity(&self, depth: Depth) -> Result<IntegrityReport, StoreError> {
        let checked = self.run_apart(move |_, conn| match conn {
            AnyConnection::Postgres(conn) => postgres::integrity(conn),
            AnyConnection::Sqlite(conn) => check(conn, depth),
        });
        checked.await.or_else(|error| match error {
            StoreError::Open { reason, .. } | StoreError::Migration(reason) if is_damage(&reason) => {
                Ok(IntegrityReport { state: IntegrityState::Critical, messages: vec![reason] })
            }
            other => Err(other),
        })
    }
}

fn check(conn: &mut Sqlite, depth: Depth) -> Result<IntegrityReport, StoreError> {
    let damage = match damage(conn, depth) {
        Ok(messages) => messages,
        Err(error) if is_damage(&error.to_string()) => vec![error.to_string()],
        Err(error) => return Err(error.into()),
    };
    if !damage.is_empty() {
        return Ok(IntegrityReport { state: IntegrityState::Critical, messages: damage });
    }
    let messages = dangling(conn)?;
    let state = if messages.is_empty() { IntegrityState::Ok } else { IntegrityState::Warning };
    Ok(IntegrityReport { state, messages })
}

/// What SQLite says of a file that it cannot make sense of.
fn is_damage(message: &str) -> bool {
    message.contains("malformed") || message.contains("file is not a database")
}

fn damage(conn: &mut Sqlite, depth: Depth) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Finding {
        #[diesel(sql_type = Text)]
        message: String,
    }
    let check = match depth {
        Depth::Quick => "SELECT quick_check AS message FROM pragma_quick_check",
        Depth::Full => "SELECT integrity_check AS message FROM pragma_integrity_check",
    };
    let findings: Vec<Finding> = sql_query(check).load(conn)?;
    Ok(findings.into_iter().map(|finding| finding.message).filter(|message| message != "ok").collect())
}

fn dangling(conn: &mut Sqlite) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Dangling {
        #[diesel(sql_type = Text)]
        child: String,
        #[diesel(sql_type = Nullable<BigInt>)]
        row_id: Option<i64>,
        #[diesel(sql_type = Text)]
        parent: String,
    }
    let check = format!(
        "SELECT \"table\" AS child, rowid AS row_id, parent FROM pragma_foreign_key_check LIMIT {MOST_FINDINGS}"
    );
    let rows: Vec<Dangling> = sql_query(check).load(conn)?;
    let describe = |row: Dangling| match row.row_id {
        Some(id) => format!("row {id} of {} refers to a row of {} that does not exist", row.child, row.parent),
        None => format!("a row of {} refers to a row of {} that does not exist", row.child, row.parent),
    };
    Ok(rows.into_iter().map(describe).collect())
}
