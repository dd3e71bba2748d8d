//! Who gets e-mail about interventions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::words;
use super::{InvalidField, Priority, Status, limits};

/// In place of an address: the pilots whom a request is meant for.
pub const PILOTS: &str = "pilots";
/// Most subscriptions of an organisation.
pub const SUBSCRIPTIONS_OF_ORG: usize = 32;
/// Longest address (RFC 5321: a path of 256, less its brackets).
const ADDRESS_CHARS: usize = 254;

words! {
    /// What is told of an intervention.
    #[schema(as = NotificationEvent)]
    Told {
        /// It waits for a decision.
        Opened = "intervention.opened",
        /// Nobody decided in time, and others are asked now.
        Escalated = "intervention.escalated",
        /// It was approved.
        Approved = "intervention.approved",
        /// It was rejected, or withdrawn.
        Rejected = "intervention.rejected",
        /// Nobody decided in time.
        Expired = "intervention.expired",
        /// It was closed without a decision.
        Completed = "intervention.completed",
    }
}

impl Told {
    /// What is told of a request whose wait ended so; nothing of one that waits.
    pub const fn ended(status: Status) -> Option<Self> {
        match status {
            Status::Pending | Status::InProgress => None,
            Status::Approved => Some(Self::Approved),
            Status::Rejected => Some(Self::Rejected),
            Status::Expired => Some(Self::Expired),
            Status::Completed => Some(Self::Completed),
        }
    }

    /// Whether it is for the pilots whom the request is meant for: what they have to decide, or did not.
    pub const fn is_for_pilots(self) -> bool {
        matches!(self, Self::Opened | Self::Escalated | Self::Expired)
    }
}

/// `POST /operator/api/notifications/subscriptions`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEmailSubscription {
    /// An e-mail address; or `pilots`: those whom a request is meant for, as far as they have an address. That is the
    /// pilot that it is assigned to, and once it is escalated those of the step.
    #[schema(min_length = 3, max_length = 254)]
    pub to: String,
    /// What is told; what waits, is escalated and expires where absent. For `pilots` nothing else.
    #[serde(default = "default_events")]
    #[schema(min_items = 1, max_items = 6)]
    pub events: Vec<Told>,
    /// The least urgent requests of which it is told; all where absent.
    #[serde(default = "default_priority")]
    pub least_priority: Priority,
}

fn default_events() -> Vec<Told> {
    Told::ALL.iter().copied().filter(|told| told.is_for_pilots()).collect()
}

const fn default_priority() -> Priority {
    Priority::Low
}

impl NewEmailSubscription {
    /// Whether the fields are within their limits and fit together. Whether `to` is an address is not looked at.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        limits::filled("to", &self.to, ADDRESS_CHARS)?;
        if self.events.is_empty() || self.events.len() > Told::ALL.len() {
            return Err(InvalidField::new("events", "1 to 6 events"));
        }
        if self.to == PILOTS && !self.events.iter().all(|told| told.is_for_pilots()) {
            return Err(InvalidField::new("events", "`pilots` are told of what waits, is escalated and expires alone"));
        }
        Ok(())
    }
}

/// Somebody who gets e-mail about the interventions of an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmailSubscription {
    /// The id.
    pub id: String,
    /// An address, or `pilots`.
    pub to: String,
    /// What is told.
    pub events: Vec<Told>,
    /// The least urgent requests of which it is told.
    pub least_priority: Priority,
    /// Who made it.
    pub created_by: String,
    /// RFC 3339 UTC.
    pub created_at: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(json: serde_json::Value) -> NewEmailSubscription {
        serde_json::from_value(json).expect("a subscription")
    }

    #[test]
    fn who_says_nothing_is_told_what_has_to_be_decided() {
        let plain = new(serde_json::json!({"to": "ops@acme.example"}));
        assert_eq!(plain.events, [Told::Opened, Told::Escalated, Told::Expired]);
        assert_eq!((plain.least_priority, plain.validate()), (Priority::Low, Ok(())));
    }

    #[test]
    fn pilots_are_not_told_what_they_decided_themselves() {
        let field = |json| new(json).validate().expect_err("refused").field;
        assert_eq!(field(serde_json::json!({"to": "pilots", "events": ["intervention.approved"]})), "events");
        assert_eq!(field(serde_json::json!({"to": "a@b.example", "events": []})), "events");
        assert_eq!(field(serde_json::json!({"to": " "})), "to");
    }
}
