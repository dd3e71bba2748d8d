//! What one guardian says of a transition.
//!
//! Deterministic: it sees the unit, the transition and the time it is given. What it cannot tell it does not allow.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vx11_contracts::unit::{CompositeMode, Criterion, Direction, Guardian, GuardianType, Transition, Unit, UnitStatus};

use super::criterion::{at, holds};

/// Deepest guardian within guardians that is asked; a rule that is deeper was not written by this version.
const DEPTH: usize = 8;

/// What a guardian looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a> {
    /// The unit before it.
    pub(super) unit: &'a Unit,
    /// What it is about to do.
    pub(super) asked: &'a Transition,
    /// Its data then.
    pub(super) data: &'a Map<String, Value>,
    /// When.
    pub(super) now: Timestamp,
}

/// What it says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    /// Whether it allows it.
    pub(super) allowed: bool,
    /// Why, in a sentence.
    pub(super) reason: String,
    /// Who says so.
    pub(super) guardian_type: GuardianType,
    /// What it saw.
    pub(super) metadata: Map<String, Value>,
    /// Whether it is a breach of security.
    pub(super) is_breach: bool,
}

/// What `guardian` says.
pub(super) fn examine(guardian: &Guardian, sight: &Sight<'_>) -> Finding {
    within(guardian, sight, DEPTH)
}

fn within(guardian: &Guardian, sight: &Sight<'_>, depth: usize) -> Finding {
    let (allowed, reason, metadata) = match guardian {
        Guardian::Cerberus { forbidden } => cerberus(forbidden, sight),
        Guardian::PassThru {} => (true, "everything passes".to_owned(), Value::Null),
        Guardian::CriteriaGate { criteria } => gate(criteria, sight),
        Guardian::DirectionalFilter { allow, deny } => filter(allow, deny, sight),
        Guardian::TtlCheck { max_age_s, field } => ttl(*max_age_s, field.as_deref(), sight),
        Guardian::Composite { .. } if depth == 0 => (false, "the rule is too deep".to_owned(), Value::Null),
        Guardian::Composite { mode, of } => return composite(*mode, of, sight, depth - 1),
    };
    let is_breach = !allowed && matches!(guardian, Guardian::Cerberus { .. });
    finding(guardian.guardian_type(), allowed, reason, metadata, is_breach)
}

fn finding(guardian_type: GuardianType, allowed: bool, reason: String, metadata: Value, is_breach: bool) -> Finding {
    let metadata = match metadata {
        Value::Object(metadata) => metadata,
        _ => Map::new(),
    };
    Finding { allowed, reason, guardian_type, metadata, is_breach }
}

type Said = (bool, String, Value);

fn cerberus(forbidden: &[Criterion], sight: &Sight<'_>) -> Said {
    for criterion in forbidden {
        let why = match holds(criterion, sight.data) {
            Ok(false) => continue,
            Ok(true) => "is what is forbidden",
            Err(why) => why,
        };
        return (false, format!("security: `{}` {why}", criterion.field), json!({ "criterion": criterion }));
    }
    (true, "nothing that is forbidden".to_owned(), Value::Null)
}

fn gate(criteria: &[Criterion], sight: &Sight<'_>) -> Said {
    for criterion in criteria {
        let why = match holds(criterion, sight.data) {
            Ok(true) => continue,
            Ok(false) => "does not fit",
            Err(why) => why,
        };
        return (false, format!("`{}` {why}", criterion.field), json!({ "criterion": criterion }));
    }
    (true, "every criterion holds".to_owned(), Value::Null)
}

fn filter(allow: &[Direction], deny: &[Direction], sight: &Sight<'_>) -> Said {
    let from = (sight.unit.step.as_deref(), sight.unit.status);
    let to = (sight.asked.step.as_deref(), sight.asked.to());
    let leads = |way: &&Direction| is_at(&way.from, from) && is_at(&way.to, to);
    let name = |(step, status): (Option<&str>, UnitStatus)| step.unwrap_or(status.as_str()).to_owned();
    let ends = json!({ "from": name(from), "to": name(to) });
    let way = format!("{} to {}", name(from), name(to));
    match deny.iter().find(leads) {
        Some(_) => (false, format!("the way from {way} is closed"), ends),
        None if !allow.is_empty() && !allow.iter().any(|one| leads(&one)) => {
            (false, format!("no way leads from {way}"), ends)
        }
        None => (true, format!("the way from {way} is open"), ends),
    }
}

/// Whether `name` is this place: its step, its status, or any.
fn is_at(name: &str, (step, status): (Option<&str>, UnitStatus)) -> bool {
    name == "*" || Some(name) == step || name == status.as_str()
}

fn ttl(max_age_s: u64, field: Option<&str>, sight: &Sight<'_>) -> Said {
    let (name, time) = match field {
        Some(field) => (field, at(sight.data, field).and_then(Value::as_str)),
        None => ("the unit", Some(sight.unit.created_at.as_str())),
    };
    let Some(time) = time.and_then(|time| time.parse::<Timestamp>().ok()) else {
        return (false, format!("`{name}` is not a time"), Value::Null);
    };
    let age = sight.now.duration_since(time).as_secs_f64();
    let seen = json!({ "age_s": age, "max_age_s": max_age_s });
    // What is said to come from the future has no age that could be told.
    match age <= max_age_s as f64 && age >= -FORWARD_S {
        true => (true, format!("`{name}` is young enough"), seen),
        false => (false, format!("`{name}` is older than {max_age_s} s, or not of now"), seen),
    }
}

/// How far other clocks may be ahead, in seconds.
const FORWARD_S: f64 = 60.0;

fn composite(mode: CompositeMode, of: &[Guardian], sight: &Sight<'_>, depth: usize) -> Finding {
    let parts: Vec<Finding> = of.iter().map(|guardian| within(guardian, sight, depth)).collect();
    let allowed = match mode {
        CompositeMode::All => parts.iter().all(|part| part.allowed),
        CompositeMode::Any => parts.iter().any(|part| part.allowed),
    };
    let refusing: Vec<&Finding> = parts.iter().filter(|part| !part.allowed).collect();
    let reason = match allowed {
        true => "enough of them allow it".to_owned(),
        false => refusing.iter().map(|part| part.reason.as_str()).collect::<Vec<_>>().join("; "),
    };
    let is_breach = !allowed && refusing.iter().any(|part| part.is_breach);
    let of = parts.iter().map(|part| {
        let Finding { allowed, reason, guardian_type, metadata, .. } = part;
        json!({ "allowed": allowed, "guardian_type": guardian_type, "reason": reason, "metadata": metadata })
    });
    let metadata = json!({ "mode": mode, "of": of.collect::<Vec<_>>() });
    finding(GuardianType::Composite, allowed, reason, metadata, is_breach)
}

#[cfg(test)]
mod tests {
    use serde_json::from_value;

    use super::super::fixture::{at as time, unit};
    use super::*;

    fn says(guardian: Value, asked: Value, seconds: i64) -> Finding {
        let guardian: Guardian = from_value(guardian).expect("a guardian");
        let asked: Transition = from_value(asked).expect("a transition");
        let mut unit = unit();
        (unit.status, unit.step) = (UnitStatus::Active, Some("build".to_owned()));
        let data = json!({"cost": 5, "quoted_at": "2026-11-21T00:00:00Z"});
        let data = data.as_object().expect("an object");
        examine(&guardian, &Sight { unit: &unit, asked: &asked, data, now: time(seconds) })
    }

    fn allows(guardian: Value, asked: Value) -> bool {
        says(guardian, asked, 30).allowed
    }

    #[test]
    fn each_guardian_decides_by_what_it_looks_at() {
        let deploy = json!({"step": "deploy"});
        let cost = |op: &str, value: i64| json!([{"field": "cost", "op": op, "value": value}]);
        assert!(allows(json!({"type": "PASS_THRU"}), deploy.clone()));
        assert!(allows(json!({"type": "CRITERIA_GATE", "criteria": cost("lte", 5)}), deploy.clone()));
        let refused = says(json!({"type": "CRITERIA_GATE", "criteria": cost("lt", 5)}), deploy.clone(), 30);
        assert_eq!((refused.allowed, refused.is_breach), (false, false));
        assert_eq!((refused.reason.as_str(), refused.metadata.len()), ("`cost` does not fit", 1));
        assert!(allows(json!({"type": "CERBERUS", "forbidden": cost("gt", 5)}), deploy.clone()));
        assert!(says(json!({"type": "CERBERUS", "forbidden": cost("gte", 5)}), deploy.clone(), 30).is_breach);
        let untold = json!([{"field": "cost", "op": "contains", "value": "x"}]);
        assert!(says(json!({"type": "CERBERUS", "forbidden": untold}), deploy, 30).is_breach, "it cannot be told");
    }

    #[test]
    fn ways_are_open_or_closed() {
        let filter = |allow: Value, deny: Value| json!({"type": "DIRECTIONAL_FILTER", "allow": allow, "deny": deny});
        let way = |from: &str, to: &str| json!([{"from": from, "to": to}]);
        let (deploy, done) = (json!({"step": "deploy"}), json!({"status": "COMPLETED"}));
        assert!(allows(filter(way("build", "deploy"), json!([])), deploy.clone()));
        assert!(allows(filter(way("*", "COMPLETED"), json!([])), done.clone()));
        assert!(!allows(filter(way("build", "deploy"), json!([])), done.clone()));
        assert!(!allows(filter(way("*", "*"), way("build", "*")), done));
        let closed = says(filter(json!([]), way("ACTIVE", "deploy")), deploy, 30);
        assert_eq!(closed.reason, "the way from build to deploy is closed");
        assert_eq!(closed.metadata["from"], "build");
    }

    #[test]
    fn what_is_too_old_or_of_no_time_does_not_pass() {
        let ttl = |field: Option<&str>| json!({"type": "TTL_CHECK", "max_age_s": 60, "field": field});
        let deploy = || json!({"step": "deploy"});
        for field in [None, Some("quoted_at")] {
            assert!(says(ttl(field), deploy(), 60).allowed);
            assert!(!says(ttl(field), deploy(), 61).allowed);
        }
        assert!(!says(ttl(Some("cost")), deploy(), 0).allowed, "not a time");
        assert!(!says(ttl(Some("quoted_at")), deploy(), -61).allowed, "from the future");
    }

    #[test]
    fn several_are_asked_together_and_a_breach_stays_one() {
        let pass = json!({"type": "PASS_THRU"});
        let gate = json!({"type": "CRITERIA_GATE", "criteria": [{"field": "cost", "op": "lt", "value": 1}]});
        let dog = json!({"type": "CERBERUS", "forbidden": [{"field": "cost", "op": "exists"}]});
        let of = |mode: &str, of: &[&Value]| json!({"type": "COMPOSITE", "mode": mode, "of": of});
        let deploy = || json!({"step": "deploy"});
        assert!(allows(of("any", &[&gate, &pass]), deploy()));
        assert!(!allows(of("all", &[&gate, &pass]), deploy()));
        let within = of("all", &[&of("any", &[&gate]), &pass]);
        let said = says(within, deploy(), 30);
        assert_eq!((said.allowed, said.is_breach, said.reason.as_str()), (false, false, "`cost` does not fit"));
        assert_eq!(said.metadata["of"][0]["guardian_type"], "COMPOSITE");
        assert!(says(of("all", &[&dog, &pass]), deploy(), 30).is_breach);
        assert!(says(of("any", &[&dog, &pass]), deploy(), 30).allowed);
    }

    #[test]
    fn what_is_deeper_than_rules_can_be_is_refused() {
        let mut guardian = Guardian::PassThru {};
        for _ in 0..20 {
            guardian = Guardian::Composite { mode: CompositeMode::All, of: vec![guardian] };
        }
        assert!(!allows(serde_json::to_value(guardian).expect("JSON"), json!({"step": "deploy"})));
    }
}
