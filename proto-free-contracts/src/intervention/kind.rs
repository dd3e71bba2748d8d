//! What a request is about.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Role;

/// Longest name, in characters.
const MAX_CHARS: usize = 64;

/// What a request is about: `kill_switch`, `clarification`, `waive_violation`, `resume`, `cancel`, or a name of the
/// caller's own, such as `approval`: at most 64 of `a` to `z`, `0` to `9`, `_`, `.` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[a-z0-9_.-]{1,64}$")]
pub struct InterventionType(String);

impl InterventionType {
    /// Pauses every unit of an instance that is active, silent or about to begin.
    pub const KILL_SWITCH: &'static str = "kill_switch";
    /// Asks a question; the text is the answer.
    pub const CLARIFICATION: &'static str = "clarification";
    /// Lets a blocked unit pass one rule once; the reason is mandatory.
    pub const WAIVE_VIOLATION: &'static str = "waive_violation";
    /// Lets a parked unit go on.
    pub const RESUME: &'static str = "resume";
    /// May a plan of madre's run? Resuming its unit of work approves it; madre runs it then.
    pub const PLAN: &'static str = "plan";
    /// Ends a unit.
    pub const CANCEL: &'static str = "cancel";
    /// May a proposed action run? The type of a request that names none.
    pub const APPROVAL: &'static str = "approval";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of those above, and no name of a caller's own.
    pub fn is_well_known(&self) -> bool {
        let known =
            [Self::KILL_SWITCH, Self::CLARIFICATION, Self::WAIVE_VIOLATION, Self::RESUME, Self::CANCEL, Self::APPROVAL];
        known.contains(&self.as_str())
    }

    /// The least role that decides requests of this type, whatever the request says.
    pub fn least_role(&self) -> Role {
        match self.as_str() {
            Self::KILL_SWITCH | Self::WAIVE_VIOLATION => Role::Admin,
            _ => Role::Operator,
        }
    }

    /// Whether an approval needs a reason.
    pub fn needs_reason(&self) -> bool {
        self.as_str() == Self::WAIVE_VIOLATION
    }
}

impl Default for InterventionType {
    fn default() -> Self {
        Self(Self::APPROVAL.to_owned())
    }
}

impl TryFrom<String> for InterventionType {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
        if (1..=MAX_CHARS).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err("an intervention type is 1 to 64 of a-z, 0-9, `_`, `.` and `-`".to_owned())
        }
    }
}

impl FromStr for InterventionType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::try_from(name.to_owned())
    }
}

impl From<InterventionType> for String {
    fn from(kind: InterventionType) -> Self {
        kind.0
    }
}

impl fmt::Display for InterventionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_open_and_bounded() {
        for name in ["kill_switch", "approval", "deploy.prod-2"] {
            assert_eq!(name.parse::<InterventionType>().expect("valid").as_str(), name);
        }
        for name in ["", "Kill", "a b", "é", &"a".repeat(65)] {
            assert!(name.parse::<InterventionType>().is_err(), "{name}");
        }
    }
}
