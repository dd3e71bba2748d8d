//! What time itself changes: a claim lapses, a request expires, is approved or goes on to others.
//!
//! Nobody has to be there when it happens: whoever looks sees it ([`seen_at`]), and every look gives the same result,
//! because what is due carries the time that it was due at, not the time of the look.

use std::time::Duration;

use jiff::Timestamp;
use vx11_contracts::intervention::{Decision, DecisionKind, Intervention, OnTimeout, Status};
use vx11_contracts::time;

use super::actor::TIMEOUT;
use super::change::Change;

/// The request as it is for whoever looks at `now`.
pub(crate) fn seen_at(stored: &Intervention, now: Timestamp) -> Intervention {
    settled(stored, now).after
}

/// `stored` with everything that is due at `now`.
///
/// A claim that lapsed is gone without a change of version: what a pilot saw is still there, and the pilot that was slow
/// can still decide when nobody else took it up.
pub(super) fn settled(stored: &Intervention, now: Timestamp) -> Change {
    let now = time::render(now);
    let mut change = Change::of(stored);
    // Ends: every round takes a step of the escalation, or ends the wait.
    while let Some(due) = due(&change.after, &now) {
        pass(&mut change, &due);
    }
    let request = &mut change.after;
    if request.status == Status::InProgress && request.claim_expires_at.as_ref().is_none_or(|until| *until <= now) {
        request.status = Status::Pending;
        request.claimed_by = None;
        request.claim_expires_at = None;
    }
    change
}

/// The time at which the request expired.
fn due(request: &Intervention, now: &str) -> Option<String> {
    // Times have a fixed width: text order is time order.
    let expired = request.expires_at.as_ref().filter(|at| at.as_str() <= now);
    expired.filter(|_| request.status.is_open()).cloned()
}

/// Does what the request wants done when nobody decides in time.
fn pass(change: &mut Change, at: &str) {
    match change.after.on_timeout {
        OnTimeout::Reject => expire(change, at),
        OnTimeout::Approve => approve(change, at),
        OnTimeout::Escalate => escalate(change, at),
    }
}

fn expire(change: &mut Change, at: &str) {
    change.end(Status::Expired, TIMEOUT, at, Some("nobody decided in time".to_owned()));
}

fn approve(change: &mut Change, at: &str) {
    let reason = "nobody decided in time, and the request wants that to be an approval".to_owned();
    change.after.decision = Some(Decision {
        kind: DecisionKind::Approve,
        by: TIMEOUT.to_owned(),
        at: at.to_owned(),
        reason: Some(reason.clone()),
        args: None,
        changes: None,
        response: None,
        args_digest: change.after.action.as_ref().map(|action| action.args_digest.clone()),
        redeemed_by: None,
        redeemed_at: None,
    });
    // It was no pilot's decision, and counts for none.
    change.after.assigned_to = None;
    change.end(Status::Approved, TIMEOUT, at, Some(reason));
}

/// Asks those of the next step; expires where there is none.
fn escalate(change: &mut Change, at: &str) {
    let request = &mut change.after;
    let step = usize::try_from(request.escalated).ok().and_then(|taken| request.escalation.get(taken)).cloned();
    // A time that cannot be read is not one to wait for.
    let Some((step, from)) = step.zip(at.parse::<Timestamp>().ok()) else {
        return expire(change, at);
    };
    let seconds = Duration::from_secs(u64::try_from(step.expires_in_seconds).unwrap_or(0));
    request.escalated += 1;
    request.expires_at = Some(time::render(from.checked_add(seconds).unwrap_or(from)));
    request.required_role = request.required_role.max(step.role.unwrap_or(request.required_role));
    request.assigned_to = match step.pilots.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    };
    request.votes.clear();
    request.claimed_by = None;
    request.claim_expires_at = None;
    change.step(Status::Pending, TIMEOUT, at);
}
