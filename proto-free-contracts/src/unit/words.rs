//! The closed sets of words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::intervention::words::words;

words! {
    /// Where a unit of work stands.
    UnitStatus {
        /// Registered, and not begun.
        Pending = "PENDING",
        /// At work. Who does not say so for five minutes becomes a zombie.
        Active = "ACTIVE",
        /// A transition waits for a pilot.
        PendingPilotApproval = "PENDING_PILOT_APPROVAL",
        /// Nothing was heard of it for a while. A heartbeat, or a pilot's clarification, brings it back.
        ZombiedSoft = "ZOMBIED_SOFT",
        /// Nothing was heard of it for too long: it does not come back.
        ZombiedDead = "ZOMBIED_DEAD",
        /// It has done its work.
        Completed = "COMPLETED",
        /// It has not, or a pilot has ended it.
        Failed = "FAILED",
        /// Stopped: by the rule that it is blocked by, or by a kill switch.
        Paused = "PAUSED",
        /// It tried what a security rule forbids.
        FailedSecurityBreach = "FAILED_SECURITY_BREACH",
        /// Put away.
        Archived = "ARCHIVED",
    }
}

impl UnitStatus {
    /// Whether `next` may follow. An active unit that goes a step on stays active.
    pub const fn may_become(self, next: Self) -> bool {
        use UnitStatus::{
            Active, Archived, Completed, Failed, FailedSecurityBreach, Paused, Pending, PendingPilotApproval,
            ZombiedDead, ZombiedSoft,
        };
        match self {
            Pending => matches!(next, Active | PendingPilotApproval | Paused | Failed | FailedSecurityBreach),
            Active => !matches!(next, Pending | ZombiedDead | Archived),
            PendingPilotApproval => matches!(next, Active | Paused | Failed),
            ZombiedSoft => matches!(next, Active | Paused | ZombiedDead | Failed),
            Paused => matches!(next, Active | Failed),
            ZombiedDead => matches!(next, Failed | Archived),
            Completed | Failed | FailedSecurityBreach => matches!(next, Archived),
            Archived => false,
        }
    }

    /// Whether its work is over.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::FailedSecurityBreach | Self::ZombiedDead | Self::Archived)
    }
}

words! {
    /// What decides.
    GuardianType {
        /// Security: what it refuses is a breach, and ends the unit.
        Cerberus = "CERBERUS",
        /// Lets everything pass.
        PassThru = "PASS_THRU",
        /// Every criterion on the unit's data must hold.
        CriteriaGate = "CRITERIA_GATE",
        /// Only some ways lead on.
        DirectionalFilter = "DIRECTIONAL_FILTER",
        /// Nothing may be too old.
        TtlCheck = "TTL_CHECK",
        /// All of others must allow it, or any.
        Composite = "COMPOSITE",
    }
}

words! {
    /// What becomes of a transition that a rule does not allow.
    #[derive(Default)]
    Otherwise {
        /// It is refused, and the unit is paused.
        #[default]
        Deny = "deny",
        /// It waits for a pilot.
        Park = "park",
    }
}

words! {
    /// What happened to a unit.
    UnitAction {
        /// It was registered.
        Registered = "registered",
        /// A transition was reported, and allowed.
        Transition = "transition",
        /// A transition was parked.
        Parked = "parked",
        /// A transition was refused.
        Denied = "denied",
        /// A transition was a breach of security.
        Breach = "breach",
        /// It was heard of again.
        Revived = "revived",
        /// Nothing was heard of it.
        Zombied = "zombied",
        /// A pilot's kill switch.
        KillSwitch = "kill_switch",
        /// A pilot's text.
        Clarification = "clarification",
        /// A pilot waived a rule, once.
        Waive = "waive",
        /// A pilot lets the parked transition pass, once.
        Resume = "resume",
        /// The parked transition was rejected, or nobody wanted to decide it.
        Rejected = "rejected",
        /// A pilot ended it.
        Cancel = "cancel",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_only_put_away_or_failed() {
        for from in UnitStatus::ALL.iter().filter(|status| status.has_ended()) {
            for to in UnitStatus::ALL.iter().filter(|to| from.may_become(**to)) {
                assert!(matches!(to, UnitStatus::Archived | UnitStatus::Failed), "{from} -> {to}");
            }
        }
        assert!(UnitStatus::ALL.iter().all(|from| !from.may_become(UnitStatus::Pending)));
    }
}
