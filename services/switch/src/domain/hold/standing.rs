//! What an intervention means for the request that it is said to be for.

use serde_json::{Map, Value};
use vx11_contracts::identity::Principal;
use vx11_contracts::intervention::{Intervention, Role, Status};

/// The type of the interventions that hold requests.
pub(crate) const KIND: &str = "hold";

/// What a request asks an intervention for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Who sends it.
    pub(crate) caller: String,
    /// What no other request has.
    pub(crate) fingerprint: String,
    /// The least role that decides it, by the rule that is in force.
    pub(crate) role: Role,
}

/// What the intervention means for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Standing {
    /// Nobody has decided.
    Open,
    /// It may go on, with these arguments where they were edited, once this is redeemed with the digest.
    Approved { args: Option<Map<String, Value>>, digest: String },
    /// It must not; why.
    Rejected(String),
    /// Nobody decided in time.
    Expired,
    /// The approval was used.
    Used,
    /// It was for another request of this caller, or asked of a role that does not suffice any more.
    Other,
    /// It is not this caller's, and it hears no more of it than of one that does not exist.
    Foreign,
}

impl Asked {
    /// What an intervention keeps of it.
    pub(crate) fn facts(&self) -> [(&'static str, Value); 2] {
        [("caller", self.caller.as_str().into()), ("fingerprint", self.fingerprint.as_str().into())]
    }
}

/// What `found` means for the request that asks.
pub(crate) fn standing(found: &Intervention, asked: &Asked) -> Standing {
    let kept = |name: &str| found.context.get("hold").and_then(|hold| hold.get(name)).and_then(Value::as_str);
    let is_of_a_hold = found.created_by == *Principal::service().subject && found.intervention_type.as_str() == KIND;
    if !is_of_a_hold || kept("caller") != Some(&asked.caller) {
        return Standing::Foreign;
    }
    if kept("fingerprint") != Some(&asked.fingerprint) || found.required_role < asked.role {
        return Standing::Other;
    }
    match (found.status, found.runnable(), &found.decision) {
        (status, _, _) if status.is_open() => Standing::Open,
        (_, Some(action), Some(decision)) => {
            Standing::Approved { args: decision.args.clone(), digest: action.args_digest }
        }
        (Status::Expired, _, _) => Standing::Expired,
        (Status::Completed, _, Some(_)) => Standing::Used,
        (_, _, decision) => {
            let said = decision.as_ref().and_then(|decision| decision.response.as_ref().or(decision.reason.as_ref()));
            Standing::Rejected(said.or(found.action_reason.as_ref()).cloned().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked() -> Asked {
        Asked { caller: "key:alice".to_owned(), fingerprint: "f".to_owned(), role: Role::Operator }
    }

    /// An intervention in which `more` stands over the usual.
    fn found(more: Value) -> Intervention {
        let mut body = json!({
            "request_id": "hold:1", "org_id": "default", "intervention_type": "hold", "status": "APPROVED",
            "priority": "normal", "title": "t", "description": "",
            "context": {"hold": {"caller": "key:alice", "fingerprint": "f"}},
            "action": {"name": "/v1/x", "args": {"a": 1}, "args_digest": "d"}, "allow": ["approve"],
            "required_role": "OPERATOR", "created_by": "service", "created_at": "2026-11-22T10:00:00.000Z",
            "on_timeout": "reject", "escalation": [], "escalated": 0, "votes": [], "format": "vx11", "version": 2,
            "decision": {"kind": "approve", "by": "ann", "at": "2026-11-22T10:01:00.000Z", "args_digest": "d"},
        });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(body).expect("an intervention")
    }

    #[test]
    fn an_approval_is_for_its_request_as_it_is_or_as_edited() {
        let means = |more: Value| standing(&found(more), &asked());
        assert_eq!(means(json!({})), Standing::Approved { args: None, digest: "d".to_owned() });
        let edit = json!({"kind": "edit", "by": "ann", "at": "x", "args": {"a": 2}, "args_digest": "e"});
        let args = json!({"a": 2}).as_object().cloned();
        assert_eq!(means(json!({"decision": edit})), Standing::Approved { args, digest: "e".to_owned() });
        assert_eq!(means(json!({"status": "PENDING", "decision": null})), Standing::Open);
        assert_eq!(means(json!({"status": "EXPIRED", "decision": null})), Standing::Expired);
        assert_eq!(means(json!({"status": "COMPLETED"})), Standing::Used);
        let reject = json!({"kind": "reject", "by": "ann", "at": "x", "reason": "no"});
        assert_eq!(means(json!({"status": "REJECTED", "decision": reject})), Standing::Rejected("no".to_owned()));
        let withdrawn = json!({"status": "REJECTED", "decision": null, "action_reason": "gone"});
        assert_eq!(means(withdrawn), Standing::Rejected("gone".to_owned()));
        let by_hand = json!({"status": "COMPLETED", "decision": null});
        assert_eq!(means(by_hand), Standing::Rejected(String::new()));
    }

    #[test]
    fn an_approval_is_for_nobody_else_and_nothing_else() {
        let means = |more: Value| standing(&found(more), &asked());
        assert_eq!(means(json!({"created_by": "mallory"})), Standing::Foreign);
        assert_eq!(means(json!({"intervention_type": "plan"})), Standing::Foreign);
        assert_eq!(means(json!({"context": {"hold": {"caller": "key:bob", "fingerprint": "f"}}})), Standing::Foreign);
        assert_eq!(means(json!({"context": {}})), Standing::Foreign);
        assert_eq!(means(json!({"context": {"hold": {"caller": "key:alice", "fingerprint": "g"}}})), Standing::Other);
        let stricter = Asked { role: Role::Admin, ..asked() };
        assert_eq!(standing(&found(json!({})), &stricter), Standing::Other);
    }
}
