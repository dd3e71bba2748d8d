//! What goes wrong with a store, and whose fault it is.

use std::path::PathBuf;
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened or connected to.
    #[error("cannot open the store {store}: {reason}")]
    Open {
        /// The database: its file, or its server.
        store: String,
        /// The database's or the system's words.
        reason: String,
    },
    /// A later version of the program has been here; running on would corrupt what it wrote.
    #[error("the store {store} has schema {found}, this program knows {known}: it was written by a newer version")]
    NewerSchema {
        /// The database: its file, or its server.
        store: String,
        /// The newest migration in the database.
        found: String,
        /// The newest migration this program has.
        known: String,
    },
    /// A migration failed; nothing of it was kept.
    #[error("a schema migration failed: {0}")]
    Migration(String),
    /// Every connection is in use, or none can be made.
    #[error("no connection to the store: {0}")]
    Busy(String),
    /// The query did not end in time. It may still take effect.
    #[error("the store did not answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The database refused a statement.
    #[error(transparent)]
    Query(#[from] DieselError),
    /// The file system refused something.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The code that was run on the connection panicked.
    #[error("a store operation panicked")]
    Panicked,
}

impl StoreError {
    /// Whether PostgreSQL refused a text for the character U+0000, which it keeps in none: its sender is at fault.
    #[must_use]
    pub fn is_unfit_text(&self) -> bool {
        // diesel passes on the message, not the code (22021), and the server may say it in another language; the number it
        // says in each.
        let Self::Query(DieselError::DatabaseError(_, info)) = self else { return false };
        info.message().ends_with(": 0x00")
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |reason| Self::File { path, reason }
    }
}

/// Whose fault a failed transaction is.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database cannot be written now: locked, read-only, full, gone. Trying again later helps.
    Environment(String),
    /// The rows themselves: trying again does not help.
    Rows(String),
}

impl Fault {
    /// What an error at SQLite says.
    pub(crate) fn of_sqlite(error: &DieselError) -> Self {
        Self::of(error, |message| !ENVIRONMENT.iter().any(|words| message.starts_with(words)))
    }

    /// What an error at PostgreSQL says: of what is not told apart by its kind, such as a full disk or a server that shuts
    /// down, few are about values.
    pub(crate) fn of_postgres(error: &DieselError) -> Self {
        Self::of(error, |message| VALUES.iter().any(|words| message.contains(words)))
    }

    /// `is_of_rows` judges an error that is of no kind by the database's words.
    fn of(error: &DieselError, is_of_rows: impl Fn(&str) -> bool) -> Self {
        if let DieselError::RollbackErrorOnCommit { commit_error, .. } = error {
            return Self::Environment(commit_error.to_string());
        }
        let message = error.to_string();
        let environment = match error {
            DieselError::DatabaseError(DatabaseErrorKind::Unknown, _) => !is_of_rows(&message),
            DieselError::DatabaseError(kind, _) => matches!(
                kind,
                DatabaseErrorKind::ClosedConnection
                    | DatabaseErrorKind::ReadOnlyTransaction
                    | DatabaseErrorKind::SerializationFailure
                    | DatabaseErrorKind::UnableToSendCommand
            ),
            DieselError::BrokenTransactionManager => true,
            _ => false,
        };
        if environment { Self::Environment(message) } else { Self::Rows(message) }
    }
}

/// What PostgreSQL's messages about values hold (diesel passes on the message, not the code), whose class is 22 or 54. The
/// number is that of a character that no text may have.
const VALUES: [&str; 5] = [": 0x00", "invalid input syntax", "index row size", "out of range", "value too long"];

/// How SQLite's messages begin for results that are not about the statement's values (diesel passes on the message,
/// not the code). Source: `sqlite3ErrStr` in SQLite's main.c, and its texts for a missing schema.
const ENVIRONMENT: [&str; 19] = [
    "access permission denied",
    "attempt to write a readonly database",
    "authorization denied",
    "bad parameter or other API misuse",
    "database disk image is malformed",
    "database is locked",
    "database or disk is full",
    "database schema has changed",
    "database schema is locked",
    "database table is locked",
    "disk I/O error",
    "file is not a database",
    "interrupted",
    "large file support is disabled",
    "locking protocol",
    "malformed database schema",
    "no such table",
    "out of memory",
    "unable to open database file",
];
