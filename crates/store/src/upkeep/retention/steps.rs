//! Writing in short transactions, taking turns with the writer.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::BigInt;

use crate::sqlite::{Source, Sqlite};

/// Pages given back to the file system in one transaction.
const STEP_PAGES: usize = 256;
/// The shortest pause between two transactions; the writer gets its turn then.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Steps<'a> {
    pub(super) conn: &'a mut Sqlite,
    pub(super) source: &'a Source,
}

impl Steps<'_> {
    /// Runs one transaction and then pauses for at least as long as it took, so that others get half of the time.
    pub(super) fn take<T>(&mut self, transaction: impl FnOnce(&mut Sqlite) -> T) -> T {
        let turn = self.source.turn(self.source.busy_timeout);
        let start = Instant::now();
        let result = transaction(self.conn);
        drop(turn);
        std::thread::sleep(start.elapsed().max(PAUSE));
        result
    }

    /// Gives the free pages back to the file system.
    pub(super) fn shrink(&mut self) -> QueryResult<()> {
        let mut free = free_pages(self.conn)?;
        while free > 0 {
            self.take(|conn| conn.batch_execute(&format!("PRAGMA incremental_vacuum({STEP_PAGES})")))?;
            let left = free_pages(self.conn)?;
            if left >= free {
                // A database that was not made with incremental vacuum reuses its free pages instead.
                break;
            }
            free = left;
        }
        Ok(())
    }
}

fn free_pages(conn: &mut Sqlite) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Pages {
        #[diesel(sql_type = BigInt)]
        pages: i64,
    }
    let free: Pages = sql_query("SELECT freelist_count AS pages FROM pragma_freelist_count").get_result(conn)?;
    Ok(free.pages)
}
