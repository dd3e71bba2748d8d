//! What a replica says, on the wire.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use vx11_contracts::identity::OrgId;

use crate::domain::intervention::Transition;

/// Something that happened, as other replicas are told it. Those of another release do not know all of these, and leave
/// out what they do not know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hint {
    /// Something happened to a request, or it is new. What it is now is in the database: it may be large, and it is read
    /// only where somebody listens.
    Request {
        /// Whose.
        org: OrgId,
        /// Which.
        id: String,
        /// What happened, in order; nothing for one that is new.
        transitions: Vec<Transition>,
    },
    /// What dashboards are sent of a unit of work. It is small.
    Unit {
        /// Whose.
        org: OrgId,
        /// As it is sent.
        push: Box<RawValue>,
    },
    /// The trail has grown.
    Trail {},
}

/// What a replica says at a time.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Message<'m> {
    /// The replica's name for as long as it lives.
    pub(super) from: &'m str,
    /// How many hints there were, this one included.
    pub(super) number: u64,
    /// The hint. A beat has none.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<&'m RawValue>,
    /// Whether it is the last word of a replica that stops.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) leaves: bool,
}

impl Message<'_> {
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers")
    }
}
