//! What came of a command: the request as it is from now on, and how it got there.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vx11_contracts::intervention::{HistoryEntry, Intervention, Status};

/// What to write, with one `UPDATE … WHERE request_id = … AND org_id = … AND version = from_version`. No row updated:
/// somebody was faster, and the command is decided again on what stands there now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The version of the row that the change was computed from.
    pub(crate) from_version: i64,
    /// The whole row as it is from now on.
    pub(crate) after: Intervention,
    /// What happened, in order: mostly one. Each made the version grow by one.
    pub(crate) transitions: Vec<Transition>,
    /// The row of history to insert with it: only from the change that ends the wait.
    pub(crate) history: Option<HistoryEntry>,
}

/// One step from status to status, which can be the same one: a vote, or a claim that is renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transition {
    /// Where it stood.
    pub(crate) from: Status,
    /// Where it stands.
    pub(crate) to: Status,
    /// Who moved it: a subject, or [`TIMEOUT`](super::TIMEOUT).
    pub(crate) by: String,
    /// RFC 3339 UTC.
    pub(crate) at: String,
    /// The version from there on.
    pub(crate) version: i64,
}

impl Change {
    /// Nothing changed yet.
    pub(super) fn of(stored: &Intervention) -> Self {
        Self { from_version: stored.version, after: stored.clone(), transitions: Vec::new(), history: None }
    }

    /// Moves the request.
    pub(super) fn step(&mut self, to: Status, by: &str, at: &str) {
        let request = &mut self.after;
        let from = std::mem::replace(&mut request.status, to);
        request.version += 1;
        request.updated_at = Some(at.to_owned());
        let (by, at) = (by.to_owned(), at.to_owned());
        self.transitions.push(Transition { from, to, by, at, version: request.version });
    }

    /// Takes the decision, once.
    pub(crate) fn redeemed(&mut self, by: &str, at: &str) {
        if let Some(decision) = &mut self.after.decision {
            decision.redeemed_by = Some(by.to_owned());
            decision.redeemed_at = Some(at.to_owned());
        }
        self.step(Status::Completed, by, at);
    }

    /// Ends the wait: for good, but for redeeming.
    pub(super) fn end(&mut self, to: Status, by: &str, at: &str, reason: Option<String>) {
        self.step(to, by, at);
        let request = &mut self.after;
        request.claimed_by = None;
        request.claim_expires_at = None;
        request.action_reason = reason;
        request.action_timestamp = Some(at.to_owned());
        self.history = Some(history_of(request, at));
    }
}

fn history_of(request: &Intervention, at: &str) -> HistoryEntry {
    HistoryEntry {
        request_id: request.request_id.clone(),
        uow_id: request.uow_id.clone(),
        status: request.status,
        priority: request.priority,
        created_at: request.created_at.clone(),
        completed_at: at.to_owned(),
        resolution_time_seconds: seconds_between(&request.created_at, at),
        assigned_to: request.assigned_to.clone(),
        action_reason: request.action_reason.clone(),
        archived_at: None,
    }
}

/// Seconds from one time to another; 0 where the second is not later.
pub(super) fn seconds_between(from: &str, to: &str) -> f64 {
    let parse = |text: &str| text.parse::<Timestamp>().ok();
    let between = parse(from).zip(parse(to)).map_or(0.0, |(from, to)| to.duration_since(from).as_secs_f64());
    between.max(0.0)
}
