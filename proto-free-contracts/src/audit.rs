//! The audit log: what people and programs did and were refused, each organisation's in a chain of hashes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::identity::OrgId;
use crate::intervention::words::words;

words! {
    /// What came of an attempt.
    AuditOutcome {
        /// It was done.
        Allowed = "allowed",
        /// Who tried may not, or what it was tried on did not allow it.
        Refused = "refused",
        /// It was allowed and could not be done.
        Failed = "failed",
    }
}

words! {
    /// What kind of somebody acts.
    ActorKind {
        /// A person, or a program with an access token.
        Pilot = "pilot",
        /// A program with an API key.
        Key = "key",
        /// Who has the token that the services share.
        Service = "service",
        /// The command `vx11`, on the database itself.
        Command = "command",
        /// Time, as when a request expires.
        System = "system",
    }
}

impl ActorKind {
    /// The kind of a subject.
    pub fn of(subject: &str) -> Self {
        match subject {
            "service" => Self::Service,
            "vx11" => Self::Command,
            subject if subject.starts_with("key:") => Self::Key,
            subject if subject.starts_with("system:") => Self::System,
            _ => Self::Pilot,
        }
    }
}

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditRow {
    /// Whose log it is in.
    pub org_id: OrgId,
    /// Its number there: from 1, without a gap. `null` until it is linked, about a second after it was written.
    pub seq: Option<u64>,
    /// RFC 3339 UTC.
    pub at: String,
    /// Who tried.
    pub actor: String,
    /// What kind of somebody that is.
    pub actor_kind: ActorKind,
    /// What was tried, such as `intervention.approve`.
    pub action: String,
    /// On what sort of thing.
    pub target_kind: Option<String>,
    /// On which one.
    pub target_id: Option<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// The request that it was tried with.
    pub correlation_id: Option<String>,
    /// Where that came from, as the edge says: addresses, the nearest last.
    pub client: Option<String>,
    /// More about it. Several refusals of one minute are one row, with their number in `count`.
    pub details: Map<String, Value>,
    /// SHA-256, in hex, of the row before, the number, and everything else here; `null` until it is linked.
    pub hash: Option<String>,
}

/// `GET /operator/api/audit-log?…`: the newest first; every condition must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListAuditRows {
    /// Of this actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// This action, such as `intervention.approve`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// On this thing, such as an intervention's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// With this outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AuditOutcome>,
    /// At or after this time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(format = DateTime)]
    pub since: Option<String>,
    /// Before this time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(format = DateTime)]
    pub until: Option<String>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Rows of the page: 1 to 500, 50 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// The end of a log at some moment. Keep it elsewhere: a log that was cut or made anew doesn't go through it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditHead {
    /// The number of the newest row; 0 before the first.
    pub seq: u64,
    /// Its hash, in hex.
    pub hash: String,
}

/// What a verification of a log found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditVerdict {
    /// Whose log.
    pub org_id: OrgId,
    /// Whether nothing is wrong with it.
    pub intact: bool,
    /// Its end, where it is intact.
    pub head: Option<AuditHead>,
    /// The first row that is wrong, where it is not.
    pub broken: Option<AuditFlaw>,
    /// Rows that are not linked yet, so that nothing is proven of them. One that waits for more than a minute is wrong.
    pub unlinked: u64,
    /// How many ends of it that were noted elsewhere it was compared with.
    pub compared_with: u64,
}

/// A row that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditFlaw {
    /// Its number.
    pub seq: u64,
    /// What is wrong with it.
    pub flaw: String,
}
