//! What the hot path writes, and how a batch of it becomes one transaction.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::upsert::excluded;
use tokio::sync::watch;
use vx11_contracts::event::Action;
use vx11_store::{Connection, Sink, trail};

use super::schema::{performance_logs, performance_minutes, sessions, turns};
use crate::domain::minute_summary::MinuteSummary;

/// One unit of writing.
#[derive(Debug)]
pub(crate) enum Record {
    /// An answered chat: the turn and its session where it made one, its audit row and its performance row, together.
    Chat(Box<ChatRecord>),
    /// Something that was done.
    Action(Action),
    /// A request that was not a chat.
    Performance(NewPerformance),
}

/// Everything that one answered chat leaves behind.
#[derive(Debug)]
pub(crate) struct ChatRecord {
    /// The turn; none for a repetition from the answer cache, and none where nothing answered.
    pub(crate) turn: Option<TurnRecord>,
    /// The audit row.
    pub(crate) action: Action,
    /// The performance row.
    pub(crate) performance: NewPerformance,
}

/// A question with its answer, and whether it begins its session.
#[derive(Debug)]
pub(crate) struct TurnRecord {
    /// The row.
    pub(crate) row: NewTurn,
    /// The session was named for this turn, so that nobody else can have made it.
    pub(crate) begins_session: bool,
}

/// A row of `turns`; the migration and the contracts' `Turn` explain the columns.
// Every column is written, so that the statement is always the same and is prepared once.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = turns, treat_none_as_default_value = false)]
pub(crate) struct NewTurn {
    pub(crate) timestamp: String,
    pub(crate) session_id: String,
    pub(crate) correlation_id: String,
    pub(crate) message: String,
    pub(crate) extras: Option<String>,
    pub(crate) response: String,
    pub(crate) reasoning: Option<String>,
    pub(crate) provider: &'static str,
    pub(crate) model_used: String,
    pub(crate) status: &'static str,
    pub(crate) degraded: bool,
    pub(crate) fallback_source: Option<String>,
    pub(crate) latency_ms: i64,
    pub(crate) prompt_tokens: Option<i64>,
    pub(crate) completion_tokens: Option<i64>,
}

/// A row of `performance_logs`; summed up in the contracts' `MetricsSummary`.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = performance_logs, treat_none_as_default_value = false)]
pub(crate) struct NewPerformance {
    pub(crate) timestamp: String,
    pub(crate) correlation_id: String,
    pub(crate) session_id: Option<String>,
    pub(crate) endpoint: String,
    pub(crate) method: &'static str,
    pub(crate) status_code: i32,
    pub(crate) latency_ms: i64,
    pub(crate) provider: Option<String>,
    pub(crate) degraded: bool,
    pub(crate) error_type: Option<String>,
}

impl NewPerformance {
    /// The minute that the row is summed up in, such as `2026-11-21T04:05`.
    fn minute(&self) -> &str {
        self.timestamp.get(..16).unwrap_or(&self.timestamp)
    }
}

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

/// How many minutes are kept in memory. The summary of another one, that of a late row or of a clock that was set back, is
/// read again before it is added to.
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
                Record::Action(action) => (Some(action), None),
                Record::Performance(performance) => (None, Some(performance)),
            };
            if let Some(action) = action {
                trail::append(conn, action)?;
                has_actions = true;
            }
            if let Some(performance) = performance {
                diesel::insert_into(performance_logs::table).values(performance).execute(conn)?;
                self.add_up(conn, &mut minutes, performance)?;
            }
        }
        for (minute, summary) in &minutes {
            self.upsert_minute(conn, minute, summary)?;
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

    fn upsert_minute(&self, conn: &mut Connection, minute: &str, summary: &MinuteSummary) -> QueryResult<usize> {
        use performance_minutes::dsl;
        diesel::insert_into(performance_minutes::table)
            .values((dsl::minute.eq(minute), dsl::writer_id.eq(&self.writer_id), dsl::summary.eq(summary.to_json())))
            .on_conflict((dsl::minute, dsl::writer_id))
            .do_update()
            .set(dsl::summary.eq(excluded(dsl::summary)))
            .execute(conn)
    }
}

fn insert_turn(conn: &mut Connection, turn: &TurnRecord) -> QueryResult<()> {
    use sessions::dsl;
    let TurnRecord { row, begins_session } = turn;
    let session = (
        dsl::session_id.eq(&row.session_id),
        dsl::created_at.eq(&row.timestamp),
        dsl::last_activity_at.eq(&row.timestamp),
        dsl::turns.eq(1),
    );
    let session = diesel::insert_into(sessions::table).values(session);
    if *begins_session {
        // Not an upsert: diesel prepares those anew each time.
        session.execute(conn)?;
    } else {
        session
            .on_conflict(dsl::session_id)
            .do_update()
            .set((dsl::last_activity_at.eq(excluded(dsl::last_activity_at)), dsl::turns.eq(dsl::turns + 1)))
            .execute(conn)?;
    }
    diesel::insert_into(turns::table).values(row).execute(conn)?;
    Ok(())
}

#[cfg(test)]
mod tests {
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
        // Each is a batch of its own, because the next waits for it.
        for minute in (0..10).chain([1, 0, 0, 9, 0]) {
            store.writer.write(performance(minute)).await.expect("written");
        }
        let since = async |minute: &str| {
            let sum = store.performance_since(format!("2026-11-21T04:{minute}")).await.expect("a sum");
            sum.total()
        };
        assert_eq!([since("00").await, since("01").await, since("02").await, since("09").await], [15, 11, 9, 2]);
    }
}
