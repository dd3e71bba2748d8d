//! Which plan a request gets, and whether its triggers fire.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::domain::fault::{BadFault, FaultPlan};

/// Plans whose requests are counted; a test that needs more starts over with `POST /admin/reset`.
const MAX_PLANS: usize = 10_000;

/// The plans that were set from outside, and how often each plan was asked for.
#[derive(Debug)]
pub(crate) struct Faults {
    default: FaultPlan,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// Requests seen, by plan; only of plans with triggers.
    seen: HashMap<String, u64>,
}

/// A plan set through the admin endpoint.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The model it is for; absent: every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// The faults, such as `status=503,retry_after=1`.
    pub(crate) plan: String,
    /// How many requests it is for; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 4_294_967_295_u32)]
    pub(crate) times: Option<u32>,
}

/// A plan as it applies to one request.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) plan: FaultPlan,
    /// For what varies from request to request, and not from run to run.
    pub(crate) seed: u64,
}

impl Faults {
    pub(crate) fn new(default: &str) -> Result<Self, BadFault> {
        Ok(Self { default: default.parse()?, started: Instant::now(), state: Mutex::default() })
    }

    /// Replaces the rules.
    pub(crate) fn set(&self, rules: Vec<Rule>) -> Result<(), BadFault> {
        for rule in &rules {
            rule.plan.parse::<FaultPlan>()?;
        }
        self.lock().rules = rules;
        Ok(())
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.lock().rules.clone()
    }

    /// Forgets rules and counts.
    pub(crate) fn reset(&self) {
        *self.lock() = State::default();
    }

    /// The plan of a request: the header's, else the model name's, else a rule's, else the configured one.
    pub(crate) fn plan(&self, header: Option<&str>, suffix: Option<&str>, model: &str) -> Result<Applied, BadFault> {
        let plan = match header.or(suffix) {
            Some(text) => text.parse()?,
            None => self.ruled(model).unwrap_or_else(|| self.default.clone()),
        };
        Ok(self.fire(plan))
    }

    fn ruled(&self, model: &str) -> Option<FaultPlan> {
        let mut state = self.lock();
        let fits = |rule: &Rule| rule.times != Some(0) && rule.model.as_deref().is_none_or(|wanted| wanted == model);
        // A rule for the model comes before one for every model.
        let at = state.rules.iter().position(|rule| fits(rule) && rule.model.is_some());
        let at = at.or_else(|| state.rules.iter().position(fits))?;
        let rule = &mut state.rules[at];
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        rule.plan.parse().ok()
    }

    fn fire(&self, plan: FaultPlan) -> Applied {
        if !plan.has_trigger() {
            let seed = if plan.latency.is_some() { self.count(&plan) } else { 0 };
            return Applied { plan, seed };
        }
        let seed = self.count(&plan);
        let by_rate = plan.error_rate.is_some_and(|rate| part(seed) < rate);
        let by_clock = plan.flap.is_some_and(|(well, ill)| is_ill(self.started.elapsed(), well, ill));
        let by_count = plan.fail_first.is_some_and(|n| seed < n);
        let fires = by_rate || by_clock || by_count;
        Applied { plan: if fires { plan.fired() } else { plan.well() }, seed }
    }

    /// How many requests had this plan before.
    fn count(&self, plan: &FaultPlan) -> u64 {
        let mut state = self.lock();
        if state.seen.len() >= MAX_PLANS {
            state.seen.clear();
        }
        let seen = state.seen.entry(plan.to_string()).or_default();
        *seen += 1;
        *seen - 1
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// A number from 0 to 1 (not included) that depends only on `seed`.
pub(crate) fn part(seed: u64) -> f64 {
    (xxh3_64_with_seed(b"fault", seed) >> 11) as f64 / (1_u64 << 53) as f64
}

fn is_ill(elapsed: Duration, well: Duration, ill: Duration) -> bool {
    let period = (well + ill).as_nanos().max(1);
    elapsed.as_nanos() % period >= well.as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(rules: &[(Option<&str>, &str, Option<u32>)]) -> Faults {
        let faults = Faults::new("").expect("no faults");
        let rule = |(model, plan, times): &(Option<&str>, &str, Option<u32>)| Rule {
            model: model.map(str::to_owned),
            plan: (*plan).to_owned(),
            times: *times,
        };
        faults.set(rules.iter().map(rule).collect()).expect("plans");
        faults
    }

    fn statuses(faults: &Faults, header: Option<&str>, n: usize) -> Vec<Option<u16>> {
        (0..n).map(|_| faults.plan(header, None, "mock").expect("a plan").plan.status).collect()
    }

    #[test]
    fn the_nearest_plan_wins() {
        let faults = faults(&[(None, "status=500", None), (Some("mock"), "status=501", None)]);
        let status = |header, suffix, model| faults.plan(header, suffix, model).expect("a plan").plan.status;
        assert_eq!(status(Some("status=429"), Some("status=503"), "mock"), Some(429));
        assert_eq!(status(None, Some("status=503"), "mock"), Some(503));
        assert_eq!(status(None, None, "mock"), Some(501));
        assert_eq!(status(None, None, "mock-large"), Some(500));
    }

    #[test]
    fn a_rule_heals_after_its_times() {
        assert_eq!(statuses(&faults(&[(None, "status=503", Some(2))]), None, 3), [Some(503), Some(503), None]);
        let failing = Faults::new("").expect("no faults");
        assert_eq!(statuses(&failing, Some("fail_first=1,status=502"), 3), [Some(502), None, None]);
        failing.reset();
        assert_eq!(statuses(&failing, Some("fail_first=1,status=502"), 1), [Some(502)]);
    }

    #[test]
    fn an_error_rate_is_kept_and_is_the_same_in_every_run() {
        let run = || statuses(&Faults::new("").expect("no faults"), Some("error_rate=0.3"), 1000);
        let failed = run().iter().filter(|status| status.is_some()).count();
        assert!((250..350).contains(&failed), "{failed}");
        assert_eq!(run(), run());
    }

    #[test]
    fn a_flapping_provider_is_well_first() {
        let (well, ill) = (Duration::from_secs(10), Duration::from_secs(5));
        let at = |seconds| is_ill(Duration::from_secs(seconds), well, ill);
        assert_eq!([0, 9, 10, 14, 15, 25].map(at), [false, false, true, true, false, true]);
    }
}
