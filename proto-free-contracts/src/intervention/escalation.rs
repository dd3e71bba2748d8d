//! Who is asked when nobody decided in time.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::words;
use super::{InvalidField, MAX_EXPIRES_IN_SECONDS, Role, limits};

words! {
    /// How many of the pilots of a step have to agree.
    #[derive(Default)]
    Quorum {
        /// The first one decides.
        #[default]
        Any = "any",
        /// Everyone has to approve; the first who rejects decides.
        All = "all",
    }
}

/// One step of an escalation: to a role, to a person, or to several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationStep {
    /// The least role that decides from here on; the request's own where absent or lower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The pilots that decide; everybody of the role where empty. With `any`, an ADMIN may decide too. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub pilots: Vec<String>,
    /// Whether one of `pilots` is enough.
    #[serde(default)]
    pub quorum: Quorum,
    /// Seconds until the next step, or until the request expires: 1 and more.
    #[serde(default = "default_seconds")]
    #[schema(minimum = 1, maximum = 316_224_000)]
    pub expires_in_seconds: i64,
}

const fn default_seconds() -> i64 {
    super::DEFAULT_EXPIRES_IN_SECONDS
}

impl EscalationStep {
    /// The step of a request that escalates and does not say to whom: any ADMIN.
    pub fn to_admins(expires_in_seconds: i64) -> Self {
        Self { role: Some(Role::Admin), pilots: Vec::new(), quorum: Quorum::Any, expires_in_seconds }
    }

    /// Whether the step, found at `field`, can be carried out.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self, field: &str) -> Result<(), InvalidField> {
        if !(1..=MAX_EXPIRES_IN_SECONDS).contains(&self.expires_in_seconds) {
            let detail = format!("1 to {MAX_EXPIRES_IN_SECONDS} seconds");
            return Err(InvalidField::new(format!("{field}.expires_in_seconds"), detail));
        }
        if self.pilots.len() > limits::PILOTS {
            return Err(InvalidField::new(format!("{field}.pilots"), format!("at most {} pilots", limits::PILOTS)));
        }
        if self.pilots.is_empty() && (self.role.is_none() || self.quorum == Quorum::All) {
            return Err(InvalidField::new(field, "names pilots; without them a role, and then the quorum is `any`"));
        }
        for (n, pilot) in self.pilots.iter().enumerate() {
            limits::filled(&format!("{field}.pilots[{n}]"), pilot, limits::ID_CHARS)?;
        }
        Ok(())
    }
}
