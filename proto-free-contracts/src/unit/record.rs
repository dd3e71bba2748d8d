//! A unit as it is kept and answered.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::guardian::{GuardRule, RuleScope};
use super::register::Transition;
use super::words::{GuardianType, UnitAction, UnitStatus};

/// A unit of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Unit {
    /// The id.
    pub uow_id: String,
    /// The organisation that it belongs to.
    pub org_id: String,
    /// Whose unit it is.
    pub instance_id: String,
    /// What a pilot reads.
    pub title: String,
    /// Where it stands.
    pub status: UnitStatus,
    /// Where in its work it is; a name of its agent's.
    pub step: Option<String>,
    /// What rules look at.
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// Its own rules.
    pub rules: Vec<GuardRule>,
    /// Who registered it; only they, and ADMINs, report for it.
    pub created_by: String,
    /// RFC 3339 UTC.
    pub created_at: String,
    /// The last change, RFC 3339 UTC; a heartbeat is none.
    pub updated_at: Option<String>,
    /// When it was heard of last, RFC 3339 UTC.
    pub heartbeat_at: String,
    /// When its work was over, RFC 3339 UTC.
    pub ended_at: Option<String>,
    /// Why it stands where it stands, where somebody said so.
    pub reason: Option<String>,
    /// What waits for a pilot; only while `PENDING_PILOT_APPROVAL`.
    pub parked: Option<Hold>,
    /// What it is stopped by; only while `PAUSED`, and after a breach.
    pub blocked: Option<Hold>,
    /// What pilots let pass once, and has not passed yet.
    pub passes: Vec<Pass>,
    /// The last text that a pilot gave it.
    pub clarification: Option<Clarification>,
    /// The request that registered it, in logs and in the audit trail.
    pub correlation_id: Option<String>,
    /// 1, and one more with each change.
    #[schema(minimum = 1)]
    pub version: i64,
}

/// What keeps a unit from going on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = UnitHold)]
pub struct Hold {
    /// The rule; `kill_switch` after one.
    pub rule_id: String,
    /// Whose rule it is.
    pub scope: RuleScope,
    /// What decided.
    pub guardian_type: Option<GuardianType>,
    /// Why.
    pub reason: String,
    /// What the guardian saw.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// What it was about to do.
    pub transition: Option<Transition>,
    /// The digest of what that would have come to: the step that it left, and all of the data as they would have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// The intervention that was opened for it.
    pub request_id: Option<String>,
    /// When, RFC 3339 UTC.
    pub at: String,
}

/// What a pilot lets pass once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = UnitPass)]
pub struct Pass {
    /// The one transition that it is good for.
    pub transition: Transition,
    /// The digest of what the pilot saw of it: from another step, or with other data, it is not this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// The rule that does not count for it; none: what would park it does not.
    pub waives: Option<String>,
    /// Whose rule that is.
    pub scope: Option<RuleScope>,
    /// The pilot.
    pub by: String,
    /// When, RFC 3339 UTC.
    pub at: String,
    /// Why.
    pub reason: Option<String>,
}

/// A pilot's text to a unit that was stuck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Clarification {
    /// The text.
    pub text: String,
    /// The pilot.
    pub by: String,
    /// When, RFC 3339 UTC.
    pub at: String,
}

/// Something that happened to a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnitEvent {
    /// The unit.
    pub uow_id: String,
    /// What.
    pub action: UnitAction,
    /// Where it stood; absent for a new one.
    pub old_status: Option<UnitStatus>,
    /// Where it stands from then on.
    pub new_status: UnitStatus,
    /// Where in its work.
    pub step: Option<String>,
    /// Who: a pilot, an agent, or `system:timeout`.
    pub by: String,
    /// The rule that it is about.
    pub rule_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When, RFC 3339 UTC.
    pub at: String,
    /// The unit's version from then on.
    pub version: i64,
}

/// A unit with what happened to it, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnitDetail {
    /// The unit.
    #[serde(flatten)]
    pub unit: Unit,
    /// The last 200 events.
    pub history: Vec<UnitEvent>,
}

/// Where a unit stands, for whoever wanted to do what is not possible there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnitStandsAt {
    /// Where it stands.
    pub status: UnitStatus,
    /// Its version.
    pub version: i64,
    /// What it is stopped by.
    pub blocked: Option<Hold>,
}

impl From<&Unit> for UnitStandsAt {
    fn from(unit: &Unit) -> Self {
        Self { status: unit.status, version: unit.version, blocked: unit.blocked.clone() }
    }
}

/// `GET /operator/api/units?…`, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListUnits {
    /// Only those that stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<UnitStatus>,
    /// Only those of this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Rows of the page: 1 to 500, 50 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The place of a unit in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitCursor {
    /// When it was registered.
    pub created_at: String,
    /// Its id.
    pub uow_id: String,
}

impl UnitCursor {
    /// The place of `unit`.
    pub fn of(unit: &Unit) -> Self {
        Self { created_at: unit.created_at.clone(), uow_id: unit.uow_id.clone() }
    }
}

impl fmt::Display for UnitCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.created_at, self.uow_id)
    }
}

impl FromStr for UnitCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let wrong = "not a cursor: `next` of the page before";
        let (created_at, uow_id) = text.split_once('_').ok_or(wrong)?;
        let time =
            created_at.len() == "0000-00-00T00:00:00.000Z".len() && created_at.parse::<jiff::Timestamp>().is_ok();
        if !time || !super::is_id(uow_id) {
            return Err(wrong);
        }
        Ok(Self { created_at: created_at.to_owned(), uow_id: uow_id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = UnitCursor { created_at: "2026-11-21T04:05:06.789Z".to_owned(), uow_id: "a_b:c-1".to_owned() };
        assert_eq!(cursor.to_string(), "2026-11-21T04:05:06.789Z_a_b:c-1");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "_", "2026_a", "2026-11-21T04:05:06.789Z_", "2026-11-21T04:05:06.789Z_a'b"] {
            assert!(text.parse::<UnitCursor>().is_err(), "{text}");
        }
    }
}
