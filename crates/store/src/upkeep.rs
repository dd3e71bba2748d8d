//! Upkeep of a store: what maintenance checks, counts, backs up and deletes.
//!
//! Every task is a method of [`Database`](crate::Database), runs on a connection of its own, one at a time, and leaves room for
//! the writer: reads do not block it (WAL), and deletions come in short transactions with pauses between. The
//! reports say what was found; what to make of it is the caller's business.

mod backup;
mod integrity;
pub(crate) mod partitions;
pub(crate) mod postgres;
mod report;
mod retention;
pub(crate) mod shape;

pub use backup::{BackupFile, BackupReport};
pub use integrity::{Depth, IntegrityReport, IntegrityState};
pub use report::{StoreReport, Upkeep};
pub use retention::{RetentionMode, RetentionReport, RetentionRule, RetentionTable, RowOrder};
pub use shape::{ColumnShape, IndexShape, TableRows, TableShape};

/// An SQL identifier, quoted.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
