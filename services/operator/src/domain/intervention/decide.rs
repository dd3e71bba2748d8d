//! The state machine: what a command makes of a request.
//!
//! Checked in this order: may they, is it open, is somebody else at it, did they see what is there, is it allowed. The
//! first one that fails is the answer, so that nobody learns of a request's state what their role does not let them do.

use jiff::Timestamp;
use vx11_contracts::intervention::{
    CancelBody, CompleteBody, Decision, DecisionBody, DecisionKind, EditBody, Intervention, InvalidField, RedeemBody,
    RespondBody, Role, Status, Vote,
};
use vx11_contracts::time;

use super::actor::Actor;
use super::change::Change;
use super::command::Command;
use super::digest::args_digest;
use super::due::settled;
use super::refusal::Refusal;
use super::{edit, permission};

/// What `command` by `actor` makes of `stored` at `now`.
///
/// What time changed is carried out first, so that a command meets the request as it is seen, and a change can hold more
/// than one transition.
///
/// # Errors
/// Why it is not carried out. What time changed is then not carried out either: that is for [`Command::Expire`].
pub(crate) fn decide(
    stored: &Intervention,
    command: &Command,
    actor: &Actor,
    now: Timestamp,
) -> Result<Change, Refusal> {
    let mut on = On { change: settled(stored, now), actor, now, at: time::render(now) };
    match command {
        Command::Claim { lease } => on.claim(*lease)?,
        Command::Release => on.release()?,
        Command::Approve(body) => on.approve(body)?,
        Command::Reject(body) => on.reject(body)?,
        Command::Edit(body) => on.edit(body)?,
        Command::Respond(body) => on.respond(body)?,
        Command::Cancel(body) => on.cancel(body)?,
        Command::Complete(body) => on.complete(body)?,
        Command::Redeem(body) => on.redeem(body)?,
        Command::Expire if on.change.transitions.is_empty() => return Err(Refusal::NotDue),
        Command::Expire => {}
    }
    Ok(on.change)
}

/// A command under way.
struct On<'a> {
    change: Change,
    actor: &'a Actor,
    now: Timestamp,
    at: String,
}

impl On<'_> {
    fn claim(&mut self, lease: std::time::Duration) -> Result<(), Refusal> {
        permission::may_decide(self.request(), self.actor)?;
        self.is_open()?;
        permission::unclaimed_by_others(self.request(), self.actor)?;
        if permission::all_of(self.request()).is_some() {
            return Err(Refusal::Quorum);
        }
        let until = self.now.checked_add(lease).unwrap_or(Timestamp::MAX);
        let request = &mut self.change.after;
        request.claimed_by = Some(self.actor.subject.clone());
        request.claim_expires_at = Some(time::render(until));
        self.step(Status::InProgress);
        Ok(())
    }

    fn release(&mut self) -> Result<(), Refusal> {
        permission::may_decide(self.request(), self.actor)?;
        self.is_in_progress()?;
        if self.actor.role < Role::Admin {
            permission::unclaimed_by_others(self.request(), self.actor)?;
        }
        let request = &mut self.change.after;
        request.claimed_by = None;
        request.claim_expires_at = None;
        self.step(Status::Pending);
        Ok(())
    }

    fn approve(&mut self, body: &DecisionBody) -> Result<(), Refusal> {
        body.validate()?;
        self.may(DecisionKind::Approve, body.version, body.args_digest.as_deref())?;
        let reason = self.reason(DecisionKind::Approve, body.reason.as_deref())?;
        if !self.agreed(reason.clone())? {
            self.step(self.request().status);
            return Ok(());
        }
        let decision = self.decision(DecisionKind::Approve, reason);
        self.decided(Status::Approved, decision);
        Ok(())
    }

    fn reject(&mut self, body: &DecisionBody) -> Result<(), Refusal> {
        body.validate()?;
        self.may(DecisionKind::Reject, body.version, body.args_digest.as_deref())?;
        let reason = self.reason(DecisionKind::Reject, body.reason.as_deref())?;
        let decision = self.decision(DecisionKind::Reject, reason);
        self.decided(Status::Rejected, decision);
        Ok(())
    }

    fn edit(&mut self, body: &EditBody) -> Result<(), Refusal> {
        body.validate()?;
        self.may(DecisionKind::Edit, body.version, body.args_digest.as_deref())?;
        let reason = self.reason(DecisionKind::Edit, body.reason.as_deref())?;
        let Some(action) = &self.request().action else {
            return Err(self.not_allowed(DecisionKind::Edit));
        };
        let decision = Decision {
            args: Some(body.args.clone()),
            changes: Some(edit::changes(&action.args, &body.args)),
            args_digest: Some(args_digest(&action.name, &body.args)),
            ..self.decision(DecisionKind::Edit, reason)
        };
        self.decided(Status::Approved, decision);
        Ok(())
    }

    /// `APPROVED` means that the action may run, and only that. A text in place of an action is therefore `REJECTED`;
    /// the answer to a question, where there is no action, is `APPROVED`.
    fn respond(&mut self, body: &RespondBody) -> Result<(), Refusal> {
        body.validate()?;
        self.may(DecisionKind::Respond, body.version, body.args_digest.as_deref())?;
        let reason = self.reason(DecisionKind::Respond, body.reason.as_deref())?;
        let status = if self.request().action.is_some() { Status::Rejected } else { Status::Approved };
        let decision = Decision { response: Some(body.text.clone()), ..self.decision(DecisionKind::Respond, reason) };
        self.decided(status, decision);
        Ok(())
    }

    /// There is no status for what was withdrawn: see [`Status`].
    fn cancel(&mut self, body: &CancelBody) -> Result<(), Refusal> {
        body.validate()?;
        permission::is_author(self.request(), self.actor, Role::Admin)?;
        self.is_open()?;
        let reason = filled(body.reason.as_deref()).unwrap_or("withdrawn").to_owned();
        self.change.after.decision = Some(self.decision(DecisionKind::Reject, Some(reason.clone())));
        // It was no pilot's decision, and counts for none.
        self.change.after.assigned_to = None;
        self.change.end(Status::Rejected, &self.actor.subject, &self.at, Some(reason));
        Ok(())
    }

    fn complete(&mut self, body: &CompleteBody) -> Result<(), Refusal> {
        body.validate()?;
        permission::may_decide(self.request(), self.actor)?;
        self.is_in_progress()?;
        permission::unclaimed_by_others(self.request(), self.actor)?;
        self.change.after.assigned_to = Some(self.actor.subject.clone());
        let reason = filled(body.reason.as_deref()).map(str::to_owned);
        self.change.end(Status::Completed, &self.actor.subject, &self.at, reason);
        Ok(())
    }

    fn redeem(&mut self, body: &RedeemBody) -> Result<(), Refusal> {
        permission::is_author(self.request(), self.actor, Role::Admin)?;
        if !matches!(self.request().status, Status::Approved | Status::Rejected) {
            return Err(self.wrong_state());
        }
        if let Some(runnable) = self.request().runnable() {
            let Some(digest) = &body.args_digest else {
                let detail = "the digest of the arguments that are about to run";
                return Err(InvalidField::new("args_digest", detail).into());
            };
            if *digest != runnable.args_digest {
                return Err(Refusal::WrongDigest { current: Some(runnable.args_digest) });
            }
        }
        self.change.redeemed(&self.actor.subject, &self.at);
        Ok(())
    }

    /// Whether the actor may decide this, on what they saw, in this way.
    fn may(&self, kind: DecisionKind, version: i64, digest: Option<&str>) -> Result<(), Refusal> {
        let request = self.request();
        permission::may_decide(request, self.actor)?;
        self.is_open()?;
        permission::unclaimed_by_others(request, self.actor)?;
        if version != request.version {
            return Err(Refusal::StaleVersion { seen: version, current: request.version });
        }
        let current = request.action.as_ref().map(|action| action.args_digest.as_str());
        if digest.is_some() && digest != current {
            return Err(Refusal::WrongDigest { current: current.map(str::to_owned) });
        }
        // Who agrees to other arguments, or to a text, did not agree to what the others agreed to.
        let common = matches!(kind, DecisionKind::Approve | DecisionKind::Reject);
        if !request.allow.contains(&kind) || (!common && permission::all_of(request).is_some()) {
            return Err(self.not_allowed(kind));
        }
        Ok(())
    }

    /// The reason to keep, which some types cannot be approved without.
    fn reason(&self, kind: DecisionKind, reason: Option<&str>) -> Result<Option<String>, Refusal> {
        let reason = filled(reason);
        let runs = matches!(kind, DecisionKind::Approve | DecisionKind::Edit);
        if reason.is_none() && runs && self.request().intervention_type.needs_reason() {
            return Err(InvalidField::new("reason", "mandatory for a waiver").into());
        }
        Ok(reason.map(str::to_owned))
    }

    /// Counts the approval where everybody has to agree; whether everybody has, then.
    fn agreed(&mut self, reason: Option<String>) -> Result<bool, Refusal> {
        let Some(pilots) = permission::all_of(self.request()).map(<[String]>::to_vec) else {
            return Ok(true);
        };
        let votes = &mut self.change.after.votes;
        if votes.iter().any(|vote| vote.by == self.actor.subject) {
            return Err(Refusal::Quorum);
        }
        votes.push(Vote { by: self.actor.subject.clone(), at: self.at.clone(), reason });
        Ok(pilots.iter().all(|pilot| votes.iter().any(|vote| vote.by == *pilot)))
    }

    fn decision(&self, kind: DecisionKind, reason: Option<String>) -> Decision {
        Decision {
            kind,
            by: self.actor.subject.clone(),
            at: self.at.clone(),
            reason,
            args: None,
            changes: None,
            response: None,
            args_digest: self.request().action.as_ref().map(|action| action.args_digest.clone()),
            redeemed_by: None,
            redeemed_at: None,
        }
    }

    fn decided(&mut self, status: Status, decision: Decision) {
        let reason = decision.reason.clone();
        self.change.after.assigned_to = Some(self.actor.subject.clone());
        self.change.after.decision = Some(decision);
        self.change.end(status, &self.actor.subject, &self.at, reason);
    }

    fn step(&mut self, to: Status) {
        self.change.step(to, &self.actor.subject, &self.at);
    }

    fn request(&self) -> &Intervention {
        &self.change.after
    }

    fn is_open(&self) -> Result<(), Refusal> {
        if self.request().status.is_open() { Ok(()) } else { Err(self.wrong_state()) }
    }

    fn is_in_progress(&self) -> Result<(), Refusal> {
        if self.request().status == Status::InProgress { Ok(()) } else { Err(self.wrong_state()) }
    }

    fn wrong_state(&self) -> Refusal {
        let Intervention { status, version, decision, .. } = self.request();
        Refusal::WrongState { status: *status, version: *version, decision: decision.clone().map(Box::new) }
    }

    fn not_allowed(&self, kind: DecisionKind) -> Refusal {
        let everyone = permission::all_of(self.request()).is_some();
        let common = |kind: &DecisionKind| matches!(kind, DecisionKind::Approve | DecisionKind::Reject);
        let allow = self.request().allow.iter().filter(|kind| !everyone || common(kind)).copied().collect();
        Refusal::NotAllowed { kind, allow }
    }
}

/// A text that says something.
fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
