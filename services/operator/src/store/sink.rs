//! How a batch of records becomes one transaction.

use std::collections::BTreeMap;

use diesel::prelude::*;
use tokio::sync::watch;
use vx11_store::{Connection, Sink, trail};

use super::record::{Minute, NewPerformance, NewTurn, Record, SessionTurn};
use super::schema::{performance_minutes, turns};
use crate::domain::minute_summary::MinuteSummary;

/// Writes batches of records, and keeps the summaries of the minutes that this process still adds to.
pub(super) struct RecordSink {
    /// Rows of one process are summed up under its own id, so that no two ever write to one row.
    writer_id: String,
    /// The newest minutes, as they are stored; `apply` only has a shared borrow, and runs on one thread.
    minutes: BTreeMap<String, MinuteSummary>,
    notify: watch::Sender<i64>,
}

/// What a committed batch changed in memory.
pub(super) struct Receipt {
    minutes: BTreeMap<String, MinuteSummary>,
    newest_action: Option<i64>,
}

/// How many minutes are kept in memory. The summary of another one, that of a late row or of a clock that was set back,
/// is read again before it is added to.
const OPEN_MINUTES: usize = 5;

impl RecordSink {
    pub(super) fn new(notify: watch::Sender<i64>) -> Self {
        Self { writer_id: uuid::Uuid::new_v4().to_string(), minutes: BTreeMap::new(), notify }
    }
}

impl Sink for RecordSink {
    type Row = Record;
    type Receipt = Receipt;

    fn apply(&self, conn: &mut Connection, rows: &[Record]) -> QueryResult<Receipt> {
        let mut has_actions = false;
        let mut minutes = BTreeMap::new();
        for row in rows {
            let (action, performance) = match row {
                Record::Chat(chat) => {
                    if let Some(turn) = &chat.turn {
                        insert_turn(conn, turn)?;
                    }
                    (Some(&chat.action), Some(&chat.performance))
                }
                Record::Outcome(outcome) => {
                    if is_told(conn, &outcome.turn)? {
                        continue;
                    }
                    insert_turn(conn, &outcome.turn)?;
                    (Some(&outcome.action), None)
                }
                Record::Action(action) => (Some(action), None),
                Record::Performance(performance) => (None, Some(performance)),
            };
            if let Some(action) = action {
                trail::append(conn, action)?;
                has_actions = true;
            }
            if let Some(performance) = performance {
                performance.execute(conn)?;
                self.add_up(conn, &mut minutes, performance)?;
            }
        }
        for (minute, summary) in &minutes {
            Minute { minute, writer_id: &self.writer_id, summary: summary.to_json() }.execute(conn)?;
        }
        let newest_action = if has_actions { Some(trail::newest_id(conn)?) } else { None };
        Ok(Receipt { minutes, newest_action })
    }

    fn committed(&mut self, _: &[Record], receipt: Receipt) {
        self.minutes.extend(receipt.minutes);
        while self.minutes.len() > OPEN_MINUTES {
            self.minutes.pop_first();
        }
        if let Some(id) = receipt.newest_action {
            self.notify.send_replace(id);
        }
    }
}

impl RecordSink {
    fn add_up(
        &self,
        conn: &mut Connection,
        minutes: &mut BTreeMap<String, MinuteSummary>,
        row: &NewPerformance,
    ) -> QueryResult<()> {
        let minute = row.minute();
        if !minutes.contains_key(minute) {
            let begun = match self.minutes.get(minute) {
                Some(summary) => summary.clone(),
                None => self.stored_minute(conn, minute)?,
            };
            minutes.insert(minute.to_owned(), begun);
        }
        if let Some(summary) = minutes.get_mut(minute) {
            summary.add(row);
        }
        Ok(())
    }

    /// What this process has written for `minute`; empty where it has not.
    fn stored_minute(&self, conn: &mut Connection, minute: &str) -> QueryResult<MinuteSummary> {
        use performance_minutes::dsl;
        let row = performance_minutes::table.find((minute, &self.writer_id)).select(dsl::summary);
        let text: Option<String> = row.first(conn).optional()?;
        Ok(text.and_then(|text| MinuteSummary::from_json(&text)).unwrap_or_default())
    }
}

fn insert_turn(conn: &mut Connection, turn: &NewTurn) -> QueryResult<()> {
    let at = &turn.timestamp;
    SessionTurn { session_id: &turn.session_id, created_at: at, last_activity_at: at, turns: 1 }.execute(conn)?;
    turn.execute(conn)?;
    Ok(())
}

/// Whether there is a turn of the same request that says the same.
fn is_told(conn: &mut Connection, turn: &NewTurn) -> QueryResult<bool> {
    use turns::dsl;
    let same = turns::table.filter(dsl::correlation_id.eq(&turn.correlation_id).and(dsl::message.eq(&turn.message)));
    let same = same.filter(dsl::session_id.eq(&turn.session_id).and(dsl::model_used.eq(&turn.model_used)));
    diesel::select(diesel::dsl::exists(same)).get_result(conn)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vx11_store::StoreConfig;

    use super::*;
    use crate::store::Store;

    fn performance(minute: u32) -> Record {
        Record::Performance(NewPerformance {
            timestamp: format!("2026-11-21T04:{minute:02}:06.789Z"),
            correlation_id: "c".to_owned(),
            session_id: None,
            endpoint: "/operator/api/chat".to_owned(),
            method: "POST",
            status_code: 200,
            latency_ms: 1,
            provider: None,
            degraded: false,
            error_type: None,
        })
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_adds_to_the_sums_of_its_minutes() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(StoreConfig::at(dir.path().join("operator.sqlite3"))).expect("a store");
        // Each is a batch of its own, because the next waits for it, also where the disk is too slow for its answer.
        for minute in (0..10).chain([1, 0, 0, 9, 0]) {
            let _ = store.writer.write(performance(minute)).await;
            store.writer.flush(Duration::from_secs(60)).await.expect("written");
        }
        let since = async |minute: &str| {
            let sum = store.performance_since(format!("2026-11-21T04:{minute}")).await.expect("a sum");
            sum.total()
        };
        assert_eq!([since("00").await, since("01").await, since("02").await, since("09").await], [15, 11, 9, 2]);
    }
}
