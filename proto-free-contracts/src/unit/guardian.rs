//! The rules that transitions are held against.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::KILL_SWITCH_RULE;
use super::words::{GuardianType, Otherwise};
use crate::intervention::InvalidField;
use crate::intervention::limits;

/// Most rules of one unit.
pub const RULES_OF_UNIT: usize = 16;
/// Most rules of an organisation.
pub const RULES_OF_ORG: usize = 64;
/// Most levels of guardians within guardians.
const DEPTH: usize = 4;
/// Most guardians of one rule.
const GUARDIANS: usize = 32;
/// Most criteria, or directions, of one guardian.
const CRITERIA: usize = 32;
/// Longest name of a field or a step, in characters.
const NAME_CHARS: usize = 255;
/// Largest value to compare with, in bytes of JSON.
const VALUE_BYTES: usize = 4096;

/// A rule: what decides, and what becomes of what it does not allow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardRule {
    /// Its name, by which it is waived.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    pub rule_id: String,
    /// What decides.
    pub guardian: Guardian,
    /// What becomes of what it does not allow; `deny` where absent. What `CERBERUS` refuses is a breach either way.
    #[serde(default)]
    pub otherwise: Otherwise,
}

/// What decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum Guardian {
    /// Security: a transition for which any of these holds is a breach.
    Cerberus {
        /// What must not be; 1 to 32.
        #[schema(min_items = 1, max_items = 32)]
        forbidden: Vec<Criterion>,
    },
    /// Lets everything pass.
    PassThru {},
    /// All of these must hold.
    CriteriaGate {
        /// What must be; 1 to 32.
        #[schema(min_items = 1, max_items = 32)]
        criteria: Vec<Criterion>,
    },
    /// Only these ways lead on.
    DirectionalFilter {
        /// The ways that are open; all, where there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schema(max_items = 32)]
        allow: Vec<Direction>,
        /// The ways that are closed, whatever is open.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schema(max_items = 32)]
        deny: Vec<Direction>,
    },
    /// Nothing may be older.
    TtlCheck {
        /// Seconds.
        #[schema(minimum = 1, maximum = 316_224_000)]
        max_age_s: u64,
        /// A field of the unit's data with the time that counts, RFC 3339; the unit's own beginning where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(min_length = 1, max_length = 255)]
        field: Option<String>,
    },
    /// Several.
    Composite {
        /// Whether all must allow it, or one is enough.
        mode: CompositeMode,
        /// 1 to 32, at most 4 levels deep and 32 guardians in all.
        #[schema(min_items = 1, max_items = 32, no_recursion)]
        of: Vec<Guardian>,
    },
}

impl Serialize for Guardian {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Of serde's own, a number would do for `type` as well: the place of the word among the words.
impl<'de> Deserialize<'de> for Guardian {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.get("type").is_some_and(|word| !word.is_string()) {
            return Err(D::Error::custom("`type` must be a word"));
        }
        Self::deserialize(value).map_err(D::Error::custom)
    }
}

/// How many of several must allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompositeMode {
    /// All.
    All,
    /// One is enough.
    Any,
}

/// A condition on a field of the unit's data, with what the transition brings laid over it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// Its name; `cost.usd` is the field `usd` of the object `cost`.
    #[schema(min_length = 1, max_length = 255)]
    pub field: String,
    /// How it is compared.
    pub op: ComparedAs,
    /// With what; `exists` needs none.
    #[serde(default)]
    pub value: Value,
}

/// How a field is compared. A comparison that cannot be made does not hold for a gate, and holds for `CERBERUS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComparedAs {
    /// The same.
    Eq,
    /// Not the same, or not there.
    Ne,
    /// A number that is less.
    Lt,
    /// A number that is at most.
    Lte,
    /// A number that is more.
    Gt,
    /// A number that is at least.
    Gte,
    /// One of a list.
    In,
    /// None of a list, or not there.
    NotIn,
    /// A text that has this within, or a list with this in it.
    Contains,
    /// There, whatever it is.
    Exists,
}

/// A way from one place to another: names of steps or statuses, or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Direction {
    /// Where from.
    #[schema(min_length = 1, max_length = 255)]
    pub from: String,
    /// Where to.
    #[schema(min_length = 1, max_length = 255)]
    pub to: String,
}

/// Whose rule it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleScope {
    /// The organisation's: it holds for every unit.
    Org,
    /// The unit's own.
    Unit,
    /// A pilot's hand, not a rule.
    Pilot,
}

/// `PUT /operator/api/guard-rules/{rule_id}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepRule {
    /// What decides.
    pub guardian: Guardian,
    /// What becomes of what it does not allow; `deny` where absent.
    #[serde(default)]
    pub otherwise: Otherwise,
}

/// A rule of an organisation's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrgRule {
    /// The rule.
    pub rule: GuardRule,
    /// Who wrote it last.
    pub updated_by: String,
    /// When, RFC 3339 UTC.
    pub updated_at: String,
}

impl GuardRule {
    /// Whether it is within its limits; `field` is where it stands.
    ///
    /// # Errors
    /// The first field that is at fault.
    pub fn validate(&self, field: &str) -> Result<(), InvalidField> {
        limits::id(&format!("{field}rule_id"), &self.rule_id)?;
        if self.rule_id == KILL_SWITCH_RULE {
            return Err(InvalidField::new(format!("{field}rule_id"), "`kill_switch` is the kill switch's own"));
        }
        let mut left = GUARDIANS;
        self.guardian.validate(&format!("{field}guardian"), DEPTH, &mut left)
    }
}

impl Guardian {
    /// Its word.
    pub const fn guardian_type(&self) -> GuardianType {
        match self {
            Self::Cerberus { .. } => GuardianType::Cerberus,
            Self::PassThru {} => GuardianType::PassThru,
            Self::CriteriaGate { .. } => GuardianType::CriteriaGate,
            Self::DirectionalFilter { .. } => GuardianType::DirectionalFilter,
            Self::TtlCheck { .. } => GuardianType::TtlCheck,
            Self::Composite { .. } => GuardianType::Composite,
        }
    }

    fn validate(&self, field: &str, depth: usize, left: &mut usize) -> Result<(), InvalidField> {
        if depth == 0 || *left == 0 {
            let detail = format!("at most {DEPTH} levels and {GUARDIANS} guardians in all");
            return Err(InvalidField::new(field, detail));
        }
        *left -= 1;
        match self {
            Self::Cerberus { forbidden: criteria } | Self::CriteriaGate { criteria } => {
                let name = if matches!(self, Self::Cerberus { .. }) { "forbidden" } else { "criteria" };
                let field = format!("{field}.{name}");
                counted(&field, criteria.len(), 1)?;
                criteria.iter().try_for_each(|criterion| criterion.validate(&field))
            }
            Self::PassThru {} => Ok(()),
            Self::DirectionalFilter { allow, deny } => {
                counted(&format!("{field}.allow"), allow.len() + deny.len(), 1)?;
                let names = allow.iter().chain(deny).flat_map(|way| [("from", &way.from), ("to", &way.to)]);
                names
                    .into_iter()
                    .try_for_each(|(end, name)| limits::filled(&format!("{field}.{end}"), name, NAME_CHARS))
            }
            Self::TtlCheck { max_age_s, field: path } => {
                if !(1..=316_224_000).contains(max_age_s) {
                    return Err(InvalidField::new(format!("{field}.max_age_s"), "1 to 316224000 seconds"));
                }
                let path = path.as_deref();
                path.map_or(Ok(()), |path| limits::filled(&format!("{field}.field"), path, NAME_CHARS))
            }
            Self::Composite { of, .. } => {
                let field = format!("{field}.of");
                counted(&field, of.len(), 1)?;
                of.iter().try_for_each(|part| part.validate(&field, depth - 1, left))
            }
        }
    }
}

impl Criterion {
    fn validate(&self, field: &str) -> Result<(), InvalidField> {
        limits::filled(&format!("{field}.field"), &self.field, NAME_CHARS)?;
        let bytes = serde_json::to_vec(&self.value).map_or(usize::MAX, |json| json.len());
        let fits = match self.op {
            ComparedAs::Lt | ComparedAs::Lte | ComparedAs::Gt | ComparedAs::Gte => self.value.is_number(),
            ComparedAs::In | ComparedAs::NotIn => self.value.is_array(),
            ComparedAs::Eq | ComparedAs::Ne | ComparedAs::Contains | ComparedAs::Exists => true,
        };
        if bytes > VALUE_BYTES || !fits {
            let detail =
                format!("a number for lt, lte, gt and gte, a list for in and not_in; at most {VALUE_BYTES} bytes");
            return Err(InvalidField::new(format!("{field}.value"), detail));
        }
        Ok(())
    }
}

fn counted(field: &str, count: usize, least: usize) -> Result<(), InvalidField> {
    if (least..=CRITERIA).contains(&count) {
        return Ok(());
    }
    Err(InvalidField::new(field, format!("{least} to {CRITERIA}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(guardian: Value) -> Result<(), String> {
        let rule: GuardRule =
            serde_json::from_value(json!({"rule_id": "r", "guardian": guardian})).map_err(|error| error.to_string())?;
        rule.validate("").map_err(|invalid| invalid.field)
    }

    #[test]
    fn a_rule_is_bounded_and_says_what_is_wrong_with_it() {
        let gate = json!({"type": "CRITERIA_GATE", "criteria": [{"field": "cost", "op": "lte", "value": 5}]});
        assert_eq!(rule(gate.clone()), Ok(()));
        assert_eq!(rule(json!({"type": "PASS_THRU"})), Ok(()));
        assert_eq!(rule(json!({"type": "CRITERIA_GATE", "criteria": []})), Err("guardian.criteria".to_owned()));
        let unordered = json!({"type": "CRITERIA_GATE", "criteria": [{"field": "cost", "op": "lte", "value": "5"}]});
        assert_eq!(rule(unordered), Err("guardian.criteria.value".to_owned()));
        assert!(rule(json!({"type": "PASS_THRU", "criteria": []})).is_err(), "an unknown field");
        let within = |inner: Value| json!({"type": "COMPOSITE", "mode": "all", "of": [inner]});
        let deepest = within(within(within(gate)));
        assert_eq!(rule(deepest.clone()), Ok(()));
        assert!(rule(within(deepest)).is_err(), "a level too deep");
        let many = json!({"type": "COMPOSITE", "mode": "any", "of": vec![json!({"type": "PASS_THRU"}); 32]});
        assert!(rule(many).is_err(), "33 guardians");
    }

    #[test]
    fn the_kill_switchs_name_is_its_own() {
        let rule = GuardRule {
            rule_id: KILL_SWITCH_RULE.to_owned(),
            guardian: Guardian::PassThru {},
            otherwise: Otherwise::Deny,
        };
        assert_eq!(rule.validate("rules[0].").expect_err("refused").field, "rules[0].rule_id");
    }
}
