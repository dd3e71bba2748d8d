//! Why something is not done to a unit.

use vx11_contracts::intervention::InvalidField;
use vx11_contracts::unit::{Unit, UnitStandsAt};

/// Why something is not done to a unit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It stands where this is not possible.
    #[error("{detail}")]
    WrongState {
        /// Where it stands, in a sentence.
        detail: String,
        /// Where it stands.
        stands_at: Box<UnitStandsAt>,
    },
    /// Only its author may.
    #[error("only whoever registered the unit may report for it")]
    NotAuthor,
    /// A field is not acceptable.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
}

impl Refusal {
    /// That `unit` stands where this is not possible.
    pub(super) fn wrong_state(unit: &Unit) -> Self {
        let why = unit.blocked.as_ref().or(unit.parked.as_ref());
        let detail = match why {
            Some(hold) => format!("the unit is {}, by the rule `{}`: {}", unit.status, hold.rule_id, hold.reason),
            None => format!("the unit is {}", unit.status),
        };
        Self::WrongState { detail, stands_at: Box::new(unit.into()) }
    }

    /// That `unit` is not blocked by `rule`.
    pub(super) fn other_rule(unit: &Unit, rule: &str) -> Self {
        let by = unit.blocked.as_ref().map_or("nothing", |hold| hold.rule_id.as_str());
        let detail = format!("the unit is blocked by `{by}`, not by `{rule}`");
        Self::WrongState { detail, stands_at: Box::new(unit.into()) }
    }
}
