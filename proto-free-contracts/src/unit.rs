//! Units of work: a plan, a run, or an outside agent's job, which reports where it is and which people can stop.
//!
//! An agent registers a unit ([`RegisterUnit`]), says that it lives, and reports each [`Transition`] before it makes it.
//! Rules ([`GuardRule`]) let it pass, park it for a person, or refuse it. What pilots do with a unit, and when, is the
//! operator's state machine; here are only the words.

mod guardian;
mod pilot;
mod record;
mod register;
mod words;

pub use guardian::{
    ComparedAs, CompositeMode, Criterion, Direction, GuardRule, Guardian, KeepRule, OrgRule, RULES_OF_ORG,
    RULES_OF_UNIT, RuleScope,
};
pub use pilot::{CancelUnitBody, Cancelled, ClarificationBody, KillSwitchBody, Paused, ResumeBody, WaiveBody};
pub use record::{Clarification, Hold, ListUnits, Pass, Unit, UnitCursor, UnitDetail, UnitEvent, UnitStandsAt};
pub use register::{Outcome, RegisterUnit, Reported, Transition, Verdict};
pub use words::{GuardianType, Otherwise, UnitAction, UnitStatus};

/// The rule that a unit is blocked by after a kill switch. No rule of anybody's has this id.
pub const KILL_SWITCH_RULE: &str = "kill_switch";
/// Longest text of a clarification, in characters.
pub const TEXT_CHARS: usize = 10_000;
/// Most units of an instance that have not ended.
pub const UNITS_OF_INSTANCE: u32 = 1000;

/// Whether `text` can be the id of a unit, an instance or a rule.
pub fn is_id(text: &str) -> bool {
    crate::intervention::limits::id("id", text).is_ok()
}

/// Whether a unit's data are within their limit, with what a transition brings.
///
/// # Errors
/// That they are not.
pub fn check_data(data: &serde_json::Map<String, serde_json::Value>) -> Result<(), crate::intervention::InvalidField> {
    crate::intervention::limits::json("data", data, crate::intervention::CONTEXT_BYTES)
}
