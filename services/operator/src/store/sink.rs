//! How a batch of records becomes one transaction.

use std::collections::BTreeMap;

use diesel::prelude::*;
use tokio::sync::watch;
use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;
use vx11_store::{AnyConnection, Sink, trail};

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

    fn apply(&self, conn: &mut AnyConnection, rows: &[Record]) -> QueryResult<Receipt> {
        let mut batch = Batch::default();
        for row in rows {
            match row {
                Record::Chat(chat) => {
                    batch.turns.extend(&chat.turn);
                    batch.actions.push(&chat.action);
                    batch.performances.push(&chat.performance);
                }
                Record::Outcome(outcome) => {
                    let is_same = |turn: &&NewTurn| turn.is_same_outcome(&outcome.turn);
                    if !batch.turns.iter().any(is_same) && !is_told(conn, &outcome.turn)? {
                        batch.turns.push(&outcome.turn);
                        batch.actions.push(&outcome.action);
                    }
                }
                Record::Action(action) => batch.actions.push(action),
                Record::Performance(performance) => batch.performances.push(performance),
            }
        }
        self.write(conn, &batch)
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

/// The rows of a transaction, by table.
#[derive(Default)]
struct Batch<'a> {
    turns: Vec<&'a NewTurn>,
    performances: Vec<&'a NewPerformance>,
    actions: Vec<&'a Action>,
}

impl RecordSink {
    fn write(&self, conn: &mut AnyConnection, batch: &Batch<'_>) -> QueryResult<Receipt> {
        SessionTurn::insert(conn, &sessions_of(&batch.turns).values().collect::<Vec<_>>())?;
        NewTurn::insert(conn, &batch.turns)?;
        NewPerformance::insert(conn, &batch.performances)?;
        let minutes = self.add_up_all(conn, &batch.performances)?;
        let newest_action = match batch.actions.is_empty() {
            true => None,
            // Last: whoever gives out ids has others wait until it has committed.
            false => {
                trail::append(conn, &batch.actions)?;
                Some(trail::newest_id(conn)?)
            }
        };
        Ok(Receipt { minutes, newest_action })
    }

    /// Adds `rows` to the sums of their minutes, and writes these.
    fn add_up_all(&self, conn: &mut AnyConnection, rows: &[&NewPerformance]) -> QueryResult<Minutes> {
        let mut minutes = Minutes::new();
        for row in rows {
            self.add_up(conn, &mut minutes, row)?;
        }
        let mut sums = Vec::new();
        for (minute, of_orgs) in &minutes {
            for (org, sum) in of_orgs {
                sums.push(Minute { minute, org_id: org.as_str(), writer_id: &self.writer_id, summary: sum.to_json() });
            }
        }
        Minute::insert(conn, &sums.iter().collect::<Vec<_>>())?;
        Ok(minutes)
    }

    fn add_up(&self, conn: &mut AnyConnection, minutes: &mut Minutes, row: &NewPerformance) -> QueryResult<()> {
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
    fn stored_minute(&self, conn: &mut AnyConnection, minute: &str, org: &OrgId) -> QueryResult<MinuteSummary> {
        use performance_minutes::dsl;
        let row = performance_minutes::table.find((minute, org.as_str(), &self.writer_id)).select(dsl::summary);
        let text: Option<String> = row.first(conn).optional()?;
        Ok(text.and_then(|text| MinuteSummary::from_json(&text)).unwrap_or_default())
    }
}

/// What `turns` do to their sessions, each once and in one order: whoever writes to the same ones waits, and never two for
/// each other.
fn sessions_of<'a>(turns: &[&'a NewTurn]) -> BTreeMap<(&'a str, &'a str), SessionTurn<'a>> {
    let mut sessions = BTreeMap::new();
    for turn in turns {
        let (session_id, org_id, at) = (&*turn.session_id, turn.org_id.0.as_str(), &*turn.timestamp);
        let session = sessions.entry((session_id, org_id));
        let session =
            session.or_insert(SessionTurn { session_id, org_id, created_at: at, last_activity_at: at, turns: 0 });
        session.turns += 1;
        session.last_activity_at = session.last_activity_at.max(at);
    }
    sessions
}

/// Whether there is a turn of the same request that says the same.
fn is_told(conn: &mut AnyConnection, turn: &NewTurn) -> QueryResult<bool> {
    use turns::dsl;
    let same = turns::table.filter(dsl::correlation_id.eq(&turn.correlation_id).and(dsl::message.eq(&turn.message)));
    let same = same.filter(dsl::org_id.eq(turn.org_id.0.as_str()));
    let same = same.filter(dsl::session_id.eq(&turn.session_id).and(dsl::model_used.eq(&turn.model_used)));
    diesel::select(diesel::dsl::exists(same)).get_result(conn)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vx11_store::OrgColumn;

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
        let store = Store::at(dir.path()).expect("a store");
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
        let store = Store::at(dir.path()).expect("a store");
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
