//! What all rules together say of a transition.

use jiff::Timestamp;
use serde_json::{Map, Value};
use vx11_contracts::time;
use vx11_contracts::unit::{GuardRule, Hold, Otherwise, Pass, RuleScope, Transition, Unit};

use super::guardian::{Sight, examine};
use crate::domain::intervention::args_digest;

/// What all rules together say of a transition. The gravest wins; of the equally grave the first.
#[derive(Debug, PartialEq)]
pub(super) enum Ruling {
    /// No rule objects.
    Allowed,
    /// It waits for a pilot.
    Parked(Box<Hold>),
    /// It must not be made.
    Denied(Box<Hold>),
    /// It is a breach of security.
    Breach(Box<Hold>),
}

impl Ruling {
    fn gravity(&self) -> u8 {
        match self {
            Self::Allowed => 0,
            Self::Parked(_) => 1,
            Self::Denied(_) => 2,
            Self::Breach(_) => 3,
        }
    }
}

/// What the organisation's `rules` and the unit's own say of `asked`, at `now`, with `data` as they would be then.
pub(super) fn judge(
    unit: &Unit,
    asked: &Transition,
    data: &Map<String, Value>,
    rules: &[GuardRule],
    now: Timestamp,
) -> Ruling {
    let seen = args_digest(unit.step.as_deref().unwrap_or_default(), data);
    // One of before this was kept is good for the transition as it was reported.
    let is_of_this = |pass: &&Pass| pass.seen.as_ref().is_none_or(|its| *its == seen) && pass.transition.is_same(asked);
    let passes: Vec<&Pass> = unit.passes.iter().filter(is_of_this).collect();
    let sight = Sight { unit, asked, data, now };
    let org = rules.iter().map(|rule| (RuleScope::Org, rule));
    let own = unit.rules.iter().map(|rule| (RuleScope::Unit, rule));
    let mut gravest = Ruling::Allowed;
    for (scope, rule) in org.chain(own) {
        let ruling = rule_on(rule, scope, &sight, &passes);
        if ruling.gravity() > gravest.gravity() {
            gravest = ruling;
        }
    }
    if let Ruling::Parked(hold) | Ruling::Denied(hold) | Ruling::Breach(hold) = &mut gravest {
        hold.seen = Some(seen);
    }
    gravest
}

fn rule_on(rule: &GuardRule, scope: RuleScope, sight: &Sight<'_>, passes: &[&Pass]) -> Ruling {
    let waived = |pass: &&Pass| pass.waives.as_ref() == Some(&rule.rule_id) && pass.scope == Some(scope);
    let finding = examine(&rule.guardian, sight);
    if finding.allowed {
        return Ruling::Allowed;
    }
    let is_breach = finding.is_breach;
    let hold = Box::new(Hold {
        rule_id: rule.rule_id.clone(),
        scope,
        guardian_type: Some(finding.guardian_type),
        reason: finding.reason,
        metadata: finding.metadata,
        transition: Some(sight.asked.clone()),
        seen: None,
        request_id: None,
        at: time::render(sight.now),
    });
    match rule.otherwise {
        // Nobody waives security: what is a breach now was none when a pilot looked.
        _ if is_breach => Ruling::Breach(hold),
        _ if passes.iter().any(waived) => Ruling::Allowed,
        Otherwise::Park if passes.iter().any(|pass| pass.waives.is_none()) => Ruling::Allowed,
        Otherwise::Park => Ruling::Parked(hold),
        Otherwise::Deny => Ruling::Denied(hold),
    }
}
