//! One connection of either kind, and a transaction on it.

use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use diesel::result::Error;
use diesel::{QueryResult, SqliteConnection};

use super::postgres::Postgres;
use super::{Access, Scope};

/// A connection that queries run on, whichever database there is.
#[derive(diesel::MultiConnection)]
#[expect(clippy::large_enum_variant, reason = "there are a few, each of which stays where it is")]
pub enum AnyConnection {
    /// To PostgreSQL.
    Postgres(Postgres),
    /// To SQLite.
    Sqlite(SqliteConnection),
}

type Transactions = <AnyConnection as Connection>::TransactionManager;

/// Runs `work` in a transaction of `scope`, which is kept where it succeeds.
pub(crate) fn in_transaction<T, E: From<Error>>(
    conn: &mut AnyConnection,
    access: Access,
    scope: &Scope,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, E> {
    begin(conn, access, scope)?;
    match work(conn) {
        Ok(done) => {
            Transactions::commit_transaction(conn)?;
            Ok(done)
        }
        Err(error) => {
            // A connection that cannot do this is not used again, and its server or file forgets the transaction.
            let _ = Transactions::rollback_transaction(conn);
            Err(error)
        }
    }
}

fn begin(conn: &mut AnyConnection, access: Access, scope: &Scope) -> QueryResult<()> {
    match conn {
        AnyConnection::Postgres(conn) => {
            let mode = match access {
                // Whatever a transaction reads is of one moment, as it is on SQLite.
                Access::Read => "ISOLATION LEVEL REPEATABLE READ READ ONLY",
                Access::Write => "READ WRITE",
            };
            // Both in one message, for which there is one answer to wait for.
            conn.begin(&format!("BEGIN {mode}; {}", scope.setting()))
        }
        AnyConnection::Sqlite(conn) => {
            let sql = match access {
                Access::Read => "BEGIN",
                // The lock at once: a transaction that has read cannot always get it later.
                Access::Write => "BEGIN IMMEDIATE",
            };
            AnsiTransactionManager::begin_transaction_sql(conn, sql)
        }
    }
}
