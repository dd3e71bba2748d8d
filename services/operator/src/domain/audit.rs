//! What is said in the audit log of something that was done, or tried.
//!
//! No secrets, no bodies and no texts that people wrote: rows are kept for good.

use serde_json::{Map, Value, json};
use vx11_contracts::audit::{ActorKind, AuditOutcome};
use vx11_contracts::identity::OrgId;
use vx11_contracts::intervention::{Intervention, Role};
use vx11_identity::audit_chain::CanonicalRow;

use super::intervention::{Actor, TIMEOUT, Transition};

/// Most characters of a text in a row.
const MAX_CHARS: usize = 200;

/// Where something was tried from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The request that it was tried with.
    pub(crate) correlation_id: Option<String>,
    /// Where that came from: addresses, the nearest last.
    pub(crate) client: Option<String>,
    /// The organisation that whoever tries is of.
    pub(crate) org: Option<OrgId>,
}

/// Something that was done or tried, as a row says it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// RFC 3339 UTC.
    pub(crate) at: String,
    /// Who.
    pub(crate) actor: String,
    /// What, such as `intervention.approve`.
    pub(crate) action: String,
    /// On what: its sort and its id.
    pub(crate) target: Option<(&'static str, String)>,
    /// What came of it.
    pub(crate) outcome: AuditOutcome,
    /// Where from.
    pub(crate) origin: Origin,
    /// More about it.
    pub(crate) details: Map<String, Value>,
}

impl Entry {
    /// Something that `actor` did.
    pub(crate) fn done(actor: &Actor, action: impl Into<String>, at: String) -> Self {
        Self {
            at,
            actor: fit(&actor.subject),
            action: action.into(),
            target: None,
            outcome: AuditOutcome::Allowed,
            origin: Origin {
                correlation_id: actor.origin.correlation_id.as_deref().map(fit),
                client: actor.origin.client.as_deref().map(fit),
                org: actor.origin.org.clone(),
            },
            details: match actor.subject == TIMEOUT {
                true => Map::new(),
                false => Map::from_iter([("role".to_owned(), json!(actor.role))]),
            },
        }
    }

    /// Something that somebody tried who says to be `subject`, and has not proven it.
    pub(crate) fn unproven(subject: &str, origin: Origin, action: impl Into<String>, at: String) -> Self {
        let actor = Actor::new(subject, Role::Viewer).from(origin);
        Self { details: Map::new(), ..Self::done(&actor, action, at) }
    }

    /// The same, done to this.
    #[must_use]
    pub(crate) fn to(self, kind: &'static str, id: &str) -> Self {
        Self { target: Some((kind, fit(id))), ..self }
    }

    /// The same, with this to be said of it.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The same in the log of `org`, which is told where who did it is of another one.
    #[must_use]
    pub(crate) fn within(self, org: &OrgId) -> Self {
        match self.origin.org.clone().filter(|of| of != org) {
            Some(of) => self.with("by_org", of.as_str()),
            None => self,
        }
    }

    /// The same, which came to this end for that reason.
    #[must_use]
    pub(crate) fn ended(self, outcome: AuditOutcome, why: &str) -> Self {
        Self { outcome, ..self.with("why", why) }
    }

    /// What kind of somebody acts.
    pub(crate) fn actor_kind(&self) -> ActorKind {
        ActorKind::of(&self.actor)
    }
}

/// What `step` of a request is in the log: what time did has nobody's name but its own.
pub(crate) fn step(actor: &Actor, command: &str, step: &Transition, after: &Intervention) -> Entry {
    let by_time = step.by == TIMEOUT && actor.subject != TIMEOUT;
    let entry = match by_time {
        true => Entry::done(&Actor::timeout(), "intervention.expire", step.at.clone()),
        false => Entry::done(actor, format!("intervention.{command}"), step.at.clone()),
    };
    let entry = entry.to("intervention", &after.request_id);
    let entry = entry.with("from", step.from.as_str()).with("to", step.to.as_str()).with("version", step.version);
    let entry = entry.with("asked_by", fit(&after.created_by));
    let Some(action) = &after.action else { return entry };
    let edited = after.decision.as_ref().and_then(|decision| decision.args_digest.as_ref());
    let digest = edited.unwrap_or(&action.args_digest);
    entry.with("runs", fit(&action.name)).with("args_digest", digest.as_str())
}

/// A text as it may stand in a row of either database.
fn fit(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(MAX_CHARS).collect()
}

/// A row's fields, as they are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    /// Whose log.
    pub(crate) org: &'a str,
    pub(crate) at: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) actor_kind: &'a str,
    pub(crate) action: &'a str,
    pub(crate) target_kind: Option<&'a str>,
    pub(crate) target_id: Option<&'a str>,
    pub(crate) outcome: &'a str,
    pub(crate) correlation_id: Option<&'a str>,
    pub(crate) client: Option<&'a str>,
    /// JSON.
    pub(crate) details: &'a str,
}

impl Fields<'_> {
    /// What is hashed. Names and order are part of every hash there is: they never change.
    pub(crate) fn canonical(&self) -> CanonicalRow {
        CanonicalRow::new()
            .field("org_id", Some(self.org))
            .field("at", Some(self.at))
            .field("actor", Some(self.actor))
            .field("actor_kind", Some(self.actor_kind))
            .field("action", Some(self.action))
            .field("target_kind", self.target_kind)
            .field("target_id", self.target_id)
            .field("outcome", Some(self.outcome))
            .field("correlation_id", self.correlation_id)
            .field("client", self.client)
            .field("details", Some(self.details))
    }
}

#[cfg(test)]
mod tests {
    use vx11_identity::audit_chain::Head;

    use super::*;

    #[test]
    fn a_hash_that_was_made_once_is_made_again() {
        let fields = Fields {
            org: "acme",
            at: "2026-11-22T10:00:00.000Z",
            actor: "github:ann",
            actor_kind: "pilot",
            action: "intervention.approve",
            target_kind: Some("intervention"),
            target_id: Some("r1"),
            outcome: "allowed",
            correlation_id: None,
            client: None,
            details: "{}",
        };
        let hash = Head::START.follow(fields.canonical()).hash.to_string();
        // Rows of years ago are verified by it.
        assert_eq!(hash, "53a39e8e92b88ddc600df6fdb2b0413c7ab0e513ee4be41ca3db7fe7d02810bd");
    }

    #[test]
    fn what_callers_send_fits_both_databases() {
        let actor = Actor::new("ann\0\u{1b}[31m", vx11_contracts::intervention::Role::Admin);
        let entry = Entry::done(&actor, "intervention.approve", String::new()).to("intervention", &"é".repeat(1000));
        assert_eq!(entry.actor, "ann[31m");
        assert_eq!(entry.target.expect("a target").1.chars().count(), MAX_CHARS);
    }
}
