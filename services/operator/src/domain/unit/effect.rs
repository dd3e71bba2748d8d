//! What a decision on an intervention does to units.
//!
//! Time never approves anything here: whoever asks could let their own unit pass by asking and waiting.

use vx11_contracts::intervention::{Intervention, InterventionType, Status};
use vx11_contracts::unit::is_id;

use super::pilot::PilotAction;
use crate::domain::intervention::{Change, TIMEOUT};

/// What is to be done to units, with the decision or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// To one unit, if there is one of this id.
    Unit {
        /// Which.
        uow_id: String,
        /// What.
        action: PilotAction,
        /// What becomes of the decision where the unit stands elsewhere.
        needs: Needs,
    },
    /// A kill switch, to all units of an instance that work or may begin to.
    Instance {
        /// Whose.
        instance_id: String,
        /// Why.
        reason: String,
    },
}

/// What becomes of a decision whose unit stands where the action is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The decision is refused.
    Fit,
    /// The decision stands alone: the unit did not wait for it, or not for this one.
    Nothing,
    /// As before, and the unit must be parked for this very request: whoever else asks to resume it says nothing of why
    /// it waits.
    Own,
}

/// What the decision that ended the wait of `change` does to units; nothing where it is about none.
pub(crate) fn effect(change: &Change) -> Option<Effect> {
    let ended = change.history.as_ref()?.status;
    let request = &change.after;
    let decision = request.decision.as_ref();
    let reason = || request.action_reason.clone().filter(|text| !text.trim().is_empty());
    if ended != Status::Approved || decision.is_none_or(|decision| decision.by == TIMEOUT) {
        // Rejected, expired, withdrawn, closed by hand: what was parked for it does not pass.
        let reason = reason().unwrap_or_else(|| format!("the request for approval is {ended}"));
        let is_parking = kind(request) == InterventionType::RESUME;
        return is_parking.then(|| on_unit(request, PilotAction::Reject { reason }, Needs::Own)).flatten();
    }
    let because = || reason().unwrap_or_else(|| request.title.clone());
    match kind(request) {
        InterventionType::KILL_SWITCH => {
            let instance_id = named(request, "instance_id")?;
            Some(Effect::Instance { instance_id, reason: because() })
        }
        InterventionType::CLARIFICATION => {
            let text = decision.and_then(|decision| decision.response.clone()).or_else(reason)?;
            on_unit(request, PilotAction::Clarify { text }, Needs::Nothing)
        }
        InterventionType::WAIVE_VIOLATION => {
            let rule_id = named(request, "guard_rule_id")?;
            on_unit(request, PilotAction::Waive { rule_id, reason: because() }, Needs::Fit)
        }
        InterventionType::RESUME => on_unit(request, PilotAction::Resume { reason: reason() }, Needs::Own),
        InterventionType::CANCEL => on_unit(request, PilotAction::Cancel { reason: because() }, Needs::Fit),
        _ => None,
    }
}

/// Notes in `change` that its decision has had its effect: nobody can use it a second time.
pub(crate) fn applied(change: &mut Change) {
    let request = &change.after;
    let Some((by, at)) = request.decision.as_ref().map(|decision| (decision.by.clone(), decision.at.clone())) else {
        return;
    };
    if request.status == Status::Approved {
        change.redeemed(&by, &at);
    }
}

fn kind(request: &Intervention) -> &str {
    request.intervention_type.as_str()
}

fn on_unit(request: &Intervention, action: PilotAction, needs: Needs) -> Option<Effect> {
    Some(Effect::Unit { uow_id: request.uow_id.clone()?, action, needs })
}

/// An id that the request names: among the arguments that may run, or in its context.
fn named(request: &Intervention, name: &str) -> Option<String> {
    let edited = request.decision.as_ref().and_then(|decision| decision.args.as_ref());
    let args = edited.or_else(|| request.action.as_ref().map(|action| &action.args));
    let value = args.and_then(|args| args.get(name)).or_else(|| request.context.get(name))?;
    value.as_str().filter(|id| is_id(id)).map(str::to_owned)
}
