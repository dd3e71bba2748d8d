//! How many rows the store has, counted at most once a minute.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vx11_store::Database;

/// How long a count is believed.
const TTL: Duration = Duration::from_secs(60);

/// The last count.
#[derive(Debug, Default)]
pub(crate) struct RowTotal(Mutex<Option<(Instant, u64)>>);

impl RowTotal {
    /// The rows of all tables; `None` when the store cannot be read.
    pub(crate) async fn get_or_count(&self, database: &Database) -> Option<u64> {
        if let Some((counted, rows)) = *self.0.lock()
            && counted.elapsed() < TTL
        {
            return Some(rows);
        }
        let tables = database.row_counts().await.ok()?;
        let rows = tables.iter().map(|table| u64::try_from(table.rows).unwrap_or(0)).sum();
        *self.0.lock() = Some((Instant::now(), rows));
        Some(rows)
    }
}
