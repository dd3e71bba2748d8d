//! Who may decide a request.

use vx11_contracts::identity::Principal;
use vx11_contracts::intervention::{Intervention, Quorum, Role};

use super::actor::Actor;
use super::refusal::Refusal;

/// The least role that decides `request`.
pub(super) fn needed(request: &Intervention) -> Role {
    request.required_role.max(request.intervention_type.least_role()).max(Role::Operator)
}

/// Whether `actor` may decide `request`: by role, by being asked where its escalation names pilots, and by not being who
/// is held.
pub(super) fn may_decide(request: &Intervention, actor: &Actor) -> Result<(), Refusal> {
    let needed = needed(request);
    if actor.role < needed {
        return Err(Refusal::RoleTooLow { needed });
    }
    if held_for(request).is_some_and(|subject| is_same(subject, &actor.subject)) {
        return Err(Refusal::OwnRequest);
    }
    let Some(step) = request.step().filter(|step| !step.pilots.is_empty()) else {
        return Ok(());
    };
    let stands_in = step.quorum == Quorum::Any && actor.role == Role::Admin;
    if stands_in || step.pilots.contains(&actor.subject) {
        return Ok(());
    }
    Err(Refusal::NotAsked { pilots: step.pilots.clone() })
}

/// Whose request to a model this holds: the gateway asks for it, and is the author of what it asks.
fn held_for(request: &Intervention) -> Option<&str> {
    let is_the_gateways = request.created_by == *Principal::service().subject;
    request.context.get("hold").filter(|_| is_the_gateways)?.get("subject")?.as_str()
}

/// Whether the gateway means this subject: one without a colon it calls a pilot.
fn is_same(asks: &str, subject: &str) -> bool {
    asks == subject || asks.strip_prefix("pilot:") == Some(subject)
}

/// Whether somebody else is at it. `request` is as it is seen now, so that a claim is one that has not lapsed.
pub(super) fn unclaimed_by_others(request: &Intervention, actor: &Actor) -> Result<(), Refusal> {
    match &request.claimed_by {
        Some(pilot) if *pilot != actor.subject => Err(Refusal::ClaimedBy {
            pilot: pilot.clone(),
            until: request.claim_expires_at.clone().unwrap_or_default(),
        }),
        _ => Ok(()),
    }
}

/// Whether `actor` asked, or has at least the role `else_from`.
pub(super) fn is_author(request: &Intervention, actor: &Actor, else_from: Role) -> Result<(), Refusal> {
    if request.created_by == actor.subject || actor.role >= else_from { Ok(()) } else { Err(Refusal::NotAuthor) }
}

/// Whether everybody of the present step has to agree.
pub(super) fn all_of(request: &Intervention) -> Option<&[String]> {
    request.step().filter(|step| step.quorum == Quorum::All).map(|step| step.pilots.as_slice())
}
