//! What agents say.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::guardian::{GuardRule, RULES_OF_UNIT, RuleScope};
use super::record::Unit;
use super::words::{GuardianType, UnitStatus};
use crate::intervention::{CONTEXT_BYTES, InvalidField, REASON_CHARS, TITLE_CHARS, limits};

/// `POST /operator/api/units`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterUnit {
    /// The id; made where absent. One that exists already is 409.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    pub uow_id: Option<String>,
    /// Whose unit it is: the agent's process, its deployment. A kill switch stops all units of an instance.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    pub instance_id: String,
    /// What a pilot reads: 1 to 255 characters.
    #[schema(min_length = 1, max_length = 255)]
    pub title: String,
    /// What rules look at; at most 64 KiB of JSON.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// Rules of its own, which stay; at most 16. The organisation's hold too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub rules: Vec<GuardRule>,
}

/// `POST /operator/api/units/{uow_id}/transitions`: what the unit is about to do. At least a step or a status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// Where in its work it goes: a name of the agent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    pub step: Option<String>,
    /// `ACTIVE` where absent; or `COMPLETED`, `FAILED`, or `ARCHIVED` for what has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = reported)]
    pub status: Option<UnitStatus>,
    /// Laid over the unit's data, field by field.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// Why, for people; at most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

/// What rules say of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It may be made, and counts as made.
    Allowed,
    /// It waits for a pilot; what was reported must not be done yet.
    Parked,
    /// It must not be made, and the unit is stopped.
    Denied,
}

/// What was decided of a transition, and by which rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// What it comes to.
    pub outcome: Outcome,
    /// Whether it may be made.
    pub allowed: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// The guardian that decided; none where no rule objects.
    pub guardian_type: Option<GuardianType>,
    /// Its rule.
    pub rule_id: Option<String>,
    /// Whose rule it is.
    pub scope: Option<RuleScope>,
    /// What the guardian saw.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
}

/// The answer to a transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reported {
    /// What was decided.
    pub verdict: Verdict,
    /// The unit as it is now. While it is parked, `parked.request_id` is the intervention to wait for.
    pub unit: Unit,
}

impl RegisterUnit {
    /// Whether every field is within its limits.
    ///
    /// # Errors
    /// The first field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        if let Some(id) = &self.uow_id {
            limits::id("uow_id", id)?;
        }
        limits::id("instance_id", &self.instance_id)?;
        limits::filled("title", &self.title, TITLE_CHARS)?;
        limits::json("data", &self.data, CONTEXT_BYTES)?;
        if self.rules.len() > RULES_OF_UNIT {
            return Err(InvalidField::new("rules", format!("at most {RULES_OF_UNIT}")));
        }
        for (place, rule) in self.rules.iter().enumerate() {
            rule.validate(&format!("rules[{place}]."))?;
            if self.rules[..place].iter().any(|other| other.rule_id == rule.rule_id) {
                return Err(InvalidField::new(format!("rules[{place}].rule_id"), "there are two of this id"));
            }
        }
        Ok(())
    }
}

/// The statuses that agents report.
const REPORTED: [UnitStatus; 4] = [UnitStatus::Active, UnitStatus::Completed, UnitStatus::Failed, UnitStatus::Archived];

fn reported() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(REPORTED.map(UnitStatus::as_str))).build()
}

impl Transition {
    /// Whether every field is within its limits.
    ///
    /// # Errors
    /// The first field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        if self.step.is_none() && self.status.is_none() {
            return Err(InvalidField::new("step", "a step or a status"));
        }
        if let Some(step) = &self.step {
            limits::id("step", step)?;
        }
        if self.status.is_some_and(|status| !REPORTED.contains(&status)) {
            let detail = "ACTIVE, COMPLETED, FAILED or ARCHIVED: the others are not for agents to report";
            return Err(InvalidField::new("status", detail));
        }
        if let Some(reason) = &self.reason {
            limits::at_most("reason", reason, REASON_CHARS)?;
        }
        limits::json("data", &self.data, CONTEXT_BYTES)
    }

    /// The status that it leads to.
    pub fn to(&self) -> UnitStatus {
        self.status.unwrap_or(UnitStatus::Active)
    }

    /// Whether `other` is the same to do; the reasons may differ.
    pub fn is_same(&self, other: &Self) -> bool {
        self.step == other.step && self.to() == other.to() && self.data == other.data
    }
}
