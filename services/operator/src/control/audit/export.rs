//! Every row of a log once, also while others append to it and link.

use std::collections::BTreeSet;

use vx11_contracts::audit::AuditRow;
use vx11_store::StoreError;

use super::AuditLog;

/// Rows of one look into the database; fewer in tests, which have several looks.
const PAGE: i64 = if cfg!(test) { 7 } else { 500 };

impl AuditLog {
    /// Tells every row: as they are in the chain, and then those that are not linked yet; last, what was linked while
    /// those were read. The answer is how many cannot be read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn export(&self, told: &mut impl FnMut(AuditRow)) -> Result<u64, StoreError> {
        let mut unreadable = 0;
        let mut tell = |row: Option<AuditRow>| match row {
            Some(row) => told(row),
            None => unreadable += 1,
        };
        let mut next = 1;
        self.linked(&mut next, |_, row| tell(row)).await?;
        let (mut after, mut waited) = (0, BTreeSet::new());
        while let Some((last, rows)) = self.unlinked_after(after, PAGE).await? {
            after = last;
            for (id, row) in rows {
                waited.insert(id);
                tell(row);
            }
        }
        // What was linked between the two was in neither.
        self.linked(&mut next, |id, row| {
            if !waited.contains(&id) {
                tell(row)
            }
        })
        .await?;
        Ok(unreadable)
    }

    /// Those that are linked, from the row `next` on, which is behind the last one afterwards.
    async fn linked(&self, next: &mut i64, mut tell: impl FnMut(i64, Option<AuditRow>)) -> Result<(), StoreError> {
        while let Some((last, rows)) = self.rows_from(*next, PAGE).await? {
            *next = last + 1;
            rows.into_iter().for_each(|(id, row)| tell(id, row));
        }
        Ok(())
    }
}
