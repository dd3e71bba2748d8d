//! What an intervention means for its plan.

use vx11_contracts::chat::ChatStatus;
use vx11_contracts::identity::Principal;
use vx11_contracts::intervention::{CreateIntervention, Decision, DecisionKind, Intervention, Status};

use crate::plans::Undone;

/// What an intervention means for its plan.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Nobody has decided.
    Open,
    /// The plan may run once this is redeemed, with the digest.
    Approved { decision: String, digest: String },
    /// The approval was redeemed by a madre: by this one, if it has claimed the plan.
    Redeemed,
    /// The plan must not run.
    Over(Undone),
    /// Somebody else asked for this, or asked something else: it means nothing for the plan.
    Foreign,
}

/// What `found` means for the plan that `asked` is about.
pub(super) fn verdict(found: &Intervention, asked: &CreateIntervention) -> Verdict {
    if !is_same(found, asked) {
        return Verdict::Foreign;
    }
    let name = &found.request_id;
    let Some(decision) = &found.decision else {
        return match found.status {
            Status::Completed => over(
                ChatStatus::Done,
                format!("{name} was closed by hand{}.", because(found.action_reason.as_deref())),
                "A person did what was needed; madre did nothing.",
            ),
            Status::Expired => {
                over(ChatStatus::Error, format!("{name} expired."), "Nobody decided in time; nothing was done.")
            }
            _ => Verdict::Open,
        };
    };
    let by = format!("by {}{}", decision.by, because(decision.reason.as_deref()));
    let runs_as_asked = decision.kind == DecisionKind::Approve && decision.args.is_none();
    match found.status {
        Status::Approved | Status::Completed if decision.kind == DecisionKind::Edit => over(
            ChatStatus::Error,
            format!("{name} was approved with other arguments {by}."),
            "A plan runs as it is, or not at all; nothing was done.",
        ),
        Status::Approved if runs_as_asked => Verdict::Approved {
            decision: format!("{name} was approved {by}."),
            digest: decision.args_digest.clone().unwrap_or_default(),
        },
        Status::Completed if runs_as_asked && is_ours(decision) => Verdict::Redeemed,
        Status::Completed if runs_as_asked => over(
            ChatStatus::Error,
            format!("{name} was approved {by}."),
            "Somebody else redeemed the approval; nothing was done here.",
        ),
        _ => {
            let said = decision.response.as_deref().map(|text| format!(" The answer: {text}")).unwrap_or_default();
            over(
                ChatStatus::Error,
                format!("{name} was rejected {by}."),
                &format!("It was not approved; nothing was done.{said}"),
            )
        }
    }
}

/// Whether it is what madre asked: who knows a plan's id could have asked for less.
fn is_same(found: &Intervention, asked: &CreateIntervention) -> bool {
    let same_action = match (&found.action, &asked.action) {
        (Some(found), Some(asked)) => found.name == asked.name && found.args == asked.args,
        _ => false,
    };
    same_action
        && found.created_by == *Principal::service().subject
        && found.required_role >= asked.required_role
        && found.on_timeout == asked.on_timeout
}

fn is_ours(decision: &Decision) -> bool {
    decision.redeemed_by.as_deref() == Some(&*Principal::service().subject)
}

fn over(status: ChatStatus, decision: String, result: &str) -> Verdict {
    Verdict::Over(Undone { status, decision, result: result.to_owned() })
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}
