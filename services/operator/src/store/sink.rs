//! How a batch of records becomes one transaction.

use std::collections::BTreeMap;

use diesel::prelude::*;
use tokio::sync::watch;
use vx11_contracts::identity::OrgId;
use vx11_store::{Connection, Sink, trail};

use super::record::{Minute, NewPerformance, NewTurn, Record, SessionTurn};
use super::schema::{performance_minutes, turns};
use crate::domain::minute_summary::MinuteSummary;

/// Writes batches of records, and keeps the summaries of the minutes that this process still adds to.
pub(super) struct RecordSink {
    /// Rows of one process are summed up under its own id, so that no two ever write to one row.
    writer_id: String,
    /// The newest minutes, as they are stored; `apply` only has a shared borrow, and runs on one thread.
    minutes: Minutes,
    notify: watch::Sender<i64>,
}

/// Sums by minute and organisation.
type Minutes = BTreeMap<String, BTreeMap<OrgId, MinuteSummary>>;

/// What a committed batch changed in memory.
pub(super) struct Receipt {
    minutes: Minutes,
    newest_action: Option<i64>,
}

/// How many minutes are kept in memory. The summary of another one, that of a late row or of a clock that was set back,
/// is read again before it is added to.
const OPEN_MINUTES: usize = 5;
/// How many sums they may have together: each is a few kilobytes.
const OPEN_SUMS: usize = 1000;

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
        let mut minutes = Minutes::new();
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
        for (minute, sums) in &minutes {
            for (org, sum) in sums {
                let summary = sum.to_json();
                Minute { minute, org_id: org.as_str(), writer_id: &self.writer_id, summary }.execute(conn)?;
            }
        }
        let newest_action = if has_actions { Some(trail::newest_id(conn)?) } else { None };
        Ok(Receipt { minutes, newest_action })
    }

    fn committed(&mut self, _: &[Record], receipt: Receipt) {
        for (minute, sums) in receipt.minutes {
            self.minutes.entry(minute).or_default().extend(sums);
        }
        while self.minutes.len() > OPEN_MINUTES || self.minutes.values().map(BTreeMap::len).sum::<usize>() > OPEN_SUMS {
            self.minutes.pop_first();
        }
        if let Some(id) = receipt.newest_action {
            self.notify.send_replace(id);
        }
    }
}

impl RecordSink {
    fn add_up(&self, conn: &mut Connection, minutes: &mut Minutes, row: &NewPerformance) -> QueryResult<()> {
        let (minute, org) = (row.minute(), &row.org_id.0);
        if let Some(sum) = minutes.get_mut(minute).and_then(|sums| sums.get_mut(org)) {
            sum.add(row);
            return Ok(());
        }
        let begun = match self.minutes.get(minute).and_then(|sums| sums.get(org)) {
            Some(sum) => sum.clone(),
            None => self.stored_minute(conn, minute, org)?,
        };
        minutes.entry(minute.to_owned()).or_default().entry(org.clone()).or_insert(begun).add(row);
        Ok(())
    }

    /// What this process has written for `minute` and `org`; empty where it has not.
    fn stored_minute(&self, conn: &mut Connection, minute: &str, org: &OrgId) -> QueryResult<MinuteSummary> {
        use performance_minutes::dsl;
        let row = performance_minutes::table.find((minute, org.as_str(), &self.writer_id)).select(dsl::summary);
        let text: Option<String> = row.first(conn).optional()?;
        Ok(text.and_then(|text| MinuteSummary::from_json(&text)).unwrap_or_default())
    }
}

fn insert_turn(conn: &mut Connection, turn: &NewTurn) -> QueryResult<()> {
    let at = &turn.timestamp;
    let org_id = turn.org_id.0.as_str();
    SessionTurn { session_id: &turn.session_id, org_id, created_at: at, last_activity_at: at, turns: 1 }
        .execute(conn)?;
    turn.execute(conn)?;
    Ok(())
}

/// Whether there is a turn of the same request that says the same.
fn is_told(conn: &mut Connection, turn: &NewTurn) -> QueryResult<bool> {
    use turns::dsl;
    let same = turns::table.filter(dsl::correlation_id.eq(&turn.correlation_id).and(dsl::message.eq(&turn.message)));
    let same = same.filter(dsl::org_id.eq(turn.org_id.0.as_str()));
    let same = same.filter(dsl::session_id.eq(&turn.session_id).and(dsl::model_used.eq(&turn.model_used)));
    diesel::select(diesel::dsl::exists(same)).get_result(conn)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vx11_store::{OrgColumn, StoreConfig};

    use super::*;
    use crate::store::Store;

    fn performance(minute: u32, org: &OrgId) -> Record {
        Record::Performance(NewPerformance {
            org_id: OrgColumn(org.clone()),
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
            let _ = store.writer.write(performance(minute, &OrgId::platform())).await;
            store.writer.flush(Duration::from_secs(60)).await.expect("written");
        }
        let since = async |minute: &str| {
            let own = store.of(&OrgId::platform());
            let sum = own.performance_since(format!("2026-11-21T04:{minute}")).await.expect("a sum");
            sum.total()
        };
        assert_eq!([since("00").await, since("01").await, since("02").await, since("09").await], [15, 11, 9, 2]);
    }

    #[tokio::test]
    async fn an_organisation_is_summed_up_for_itself_and_all_together_for_who_asks_that() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(StoreConfig::at(dir.path().join("operator.sqlite3"))).expect("a store");
        let org = |number: usize| format!("org-{number}").parse::<OrgId>().expect("an id");
        // More of them in a minute than are kept in memory, twice.
        for _ in 0..2 {
            for number in 0..OPEN_SUMS + 10 {
                store.writer.try_enqueue(performance(0, &org(number))).expect("room");
            }
            store.writer.flush(Duration::from_secs(60)).await.expect("written");
        }
        let since = || "2026-11-21T04:00".to_owned();
        for number in [0, OPEN_SUMS, OPEN_SUMS + 9] {
            assert_eq!(store.of(&org(number)).performance_since(since()).await.expect("a sum").total(), 2);
        }
        assert_eq!(store.of(&OrgId::platform()).performance_since(since()).await.expect("a sum").total(), 0);
        let all = store.performance_of_all_since(since()).await.expect("a sum").total();
        assert_eq!(all, 2 * (OPEN_SUMS as u64 + 10));
    }
}
