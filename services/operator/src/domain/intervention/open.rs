//! A request at its beginning.

use std::time::Duration;

use jiff::Timestamp;
use vx11_contracts::intervention::{
    Action, AnswerFormat, CreateIntervention, DEFAULT_EXPIRES_IN_SECONDS, EscalationStep, Intervention, OnTimeout,
    Status,
};
use vx11_contracts::time;

use super::digest::args_digest;

/// Who asks, where, and in which shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The organisation of the principal.
    pub(crate) org_id: String,
    /// The subject of the principal.
    pub(crate) by: String,
    /// The id for a request that brings none.
    pub(crate) request_id: String,
    /// The request's id in logs and in the audit trail.
    pub(crate) correlation_id: Option<String>,
    /// In which shape the answer goes.
    pub(crate) format: AnswerFormat,
}

/// The request as it is stored first. `create` has been validated.
pub(crate) fn open(create: CreateIntervention, asked: Asked, now: Timestamp) -> Intervention {
    let action = create.action.map(|action| Action {
        args_digest: args_digest(&action.name, &action.args),
        name: action.name,
        args: action.args,
    });
    let mut allow = create.allow;
    allow.sort_unstable();
    allow.dedup();
    let mut escalation = create.escalation;
    if create.on_timeout == OnTimeout::Escalate && escalation.is_empty() {
        let seconds = create.expires_in_seconds.filter(|seconds| *seconds > 0);
        escalation.push(EscalationStep::to_admins(seconds.unwrap_or(DEFAULT_EXPIRES_IN_SECONDS)));
    }
    Intervention {
        request_id: create.request_id.unwrap_or(asked.request_id),
        org_id: asked.org_id,
        uow_id: create.uow_id,
        intervention_type: create.intervention_type,
        status: Status::Pending,
        priority: create.priority,
        title: create.title,
        description: create.description,
        context: create.context,
        action,
        allow,
        required_role: create.required_role,
        assigned_to: create.assigned_to,
        created_by: asked.by,
        created_at: time::render(now),
        expires_at: create.expires_in_seconds.and_then(|seconds| expiry(now, seconds)),
        updated_at: None,
        on_timeout: create.on_timeout,
        escalation,
        escalated: 0,
        votes: Vec::new(),
        claimed_by: None,
        claim_expires_at: None,
        decision: None,
        action_reason: None,
        action_timestamp: None,
        callback_url: create.callback_url,
        format: asked.format,
        correlation_id: asked.correlation_id,
        version: 1,
    }
}

/// When a request expires that is made now; never for 0, already where negative.
fn expiry(now: Timestamp, seconds: i64) -> Option<String> {
    let away = Duration::from_secs(seconds.unsigned_abs());
    let at = match seconds {
        0 => return None,
        1.. => now.checked_add(away),
        ..0 => now.checked_sub(away),
    };
    Some(time::render(at.unwrap_or(now)))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{asked, at};
    use super::*;

    #[test]
    fn an_expiry_is_ahead_behind_or_never() {
        let expires = |expires_in_seconds| {
            let create = CreateIntervention { expires_in_seconds, ..CreateIntervention::new("t") };
            open(create, asked(), at(0)).expires_at
        };
        assert_eq!(expires(Some(3600)).as_deref(), Some("2026-11-21T01:00:00.000Z"));
        assert_eq!(expires(Some(-60)).as_deref(), Some("2026-11-20T23:59:00.000Z"));
        assert_eq!((expires(Some(0)), expires(None)), (None, None));
    }

    #[test]
    fn who_escalates_and_does_not_say_to_whom_escalates_to_admins() {
        let create = CreateIntervention {
            on_timeout: OnTimeout::Escalate,
            expires_in_seconds: Some(60),
            ..CreateIntervention::new("t")
        };
        assert_eq!(open(create, asked(), at(0)).escalation, [EscalationStep::to_admins(60)]);
    }
}
