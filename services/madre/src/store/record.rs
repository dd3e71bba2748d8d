//! What goes through the writer: it may be late, and is never lost while the process lives.

use diesel::prelude::*;
use vx11_contracts::chat::ChatStatus;
use vx11_contracts::event::Action;
use vx11_store::{AnyConnection, Sink, trail};

use super::approvals;
use super::schema::plans;

/// One thing to write.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    /// A row of the trail.
    Action(Action),
    /// How a plan ended that was running.
    PlanEnd(PlanEnd),
}

/// How a plan ended.
#[derive(Clone, Debug)]
pub(crate) struct PlanEnd {
    pub(crate) plan_id: String,
    pub(crate) status: ChatStatus,
    pub(crate) result: String,
    pub(crate) at: String,
}

/// Writes records.
pub(super) struct RecordSink;

impl Sink for RecordSink {
    type Row = Record;
    type Receipt = ();

    fn apply(&self, conn: &mut AnyConnection, rows: &[Record]) -> QueryResult<()> {
        let mut actions = Vec::new();
        for row in rows {
            match row {
                Record::Action(action) => actions.push(action),
                Record::PlanEnd(end) => {
                    let running = plans::plan_id.eq(&end.plan_id).and(plans::status.eq(ChatStatus::Running.as_str()));
                    let ended = (
                        plans::status.eq(end.status.as_str()),
                        plans::result.eq(&end.result),
                        plans::updated_at.eq(&end.at),
                    );
                    diesel::update(plans::table.filter(running)).set(ended).execute(conn)?;
                    approvals::tell_of(conn, &end.plan_id)?;
                }
            }
        }
        if actions.is_empty() { Ok(()) } else { trail::append(conn, &actions) }
    }
}
