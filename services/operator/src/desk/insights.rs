//! What is learned from requests, for those who ask: read here, and computed by the domain.

use jiff::{SignedDuration, Timestamp};
use vx11_contracts::identity::{Permission, Principal};
use vx11_contracts::intervention::{
    AnomalyReport, InsightPeriod, Intervention, PerformanceReport, PilotPerformance, PilotScore, SUGGESTIONS,
};
use vx11_contracts::time;
use vx11_store::StoreError;

use super::Desk;
use crate::control::Insights;
use crate::domain::intervention::anomaly::{Thresholds, anomalies};
use crate::domain::intervention::performance::{by_pilot, overall};
use crate::domain::intervention::routing::{Weights, ranked};

/// Most pilots of a report.
const PILOTS: usize = 100;
/// Most anomalies of a report.
const ANOMALIES: usize = 100;

impl Desk {
    /// What is learned from the requests of a caller's organisation.
    pub(crate) fn insights(&self, principal: &Principal) -> Insights {
        self.control.insights(principal.org.as_str())
    }

    /// What looks wrong in the requests of the last `period`, the worst first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn anomalies(
        &self,
        principal: &Principal,
        period: InsightPeriod,
        now: Timestamp,
    ) -> Result<AnomalyReport, StoreError> {
        let since = before(now, period);
        let found = self.insights(principal).samples(since).await?;
        let mut anomalies = anomalies(&found.rows, &Thresholds::default());
        anomalies.truncate(ANOMALIES);
        Ok(AnomalyReport {
            since: time::render(since),
            until: time::render(now),
            requests: found.rows.len() as u64,
            is_whole: found.is_whole,
            anomalies,
        })
    }

    /// How pilots did in the last `period`: all of them, and each whom the caller sees; or the one that is named.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn performance(
        &self,
        principal: &Principal,
        period: InsightPeriod,
        pilot: Option<String>,
        now: Timestamp,
    ) -> Result<PerformanceReport, StoreError> {
        let since = before(now, period);
        let found = self.insights(principal).ended(since, pilot.clone()).await?;
        Ok(PerformanceReport {
            since: time::render(since),
            until: time::render(now),
            requests: found.rows.len() as u64,
            is_whole: found.is_whole,
            organisation: pilot.is_none().then(|| overall(&found.rows)),
            pilots: shown_to(principal, by_pilot(&found.rows)),
        })
    }

    /// The pilots whom `request` suits, the best first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn suggestions(
        &self,
        principal: &Principal,
        request: &Intervention,
        now: Timestamp,
    ) -> Result<Vec<PilotScore>, StoreError> {
        let candidates = self.insights(principal).candidates(request.intervention_type.clone(), now).await?;
        let hour = u8::try_from(now.to_zoned(jiff::tz::TimeZone::UTC).hour()).unwrap_or(0);
        let mut ranked = ranked(request, &candidates, hour, &Weights::default());
        ranked.truncate(SUGGESTIONS);
        Ok(ranked)
    }
}

/// Those of `pilots` that a report shows to `principal`, who sees itself however far down it is.
fn shown_to(principal: &Principal, mut pilots: Vec<PilotPerformance>) -> Vec<PilotPerformance> {
    let sees_all = principal.may(Permission::ManagePilots);
    pilots.retain(|pilot| sees_all || *pilot.pilot_id == *principal.subject);
    pilots.truncate(PILOTS);
    pilots
}

fn before(now: Timestamp, period: InsightPeriod) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(period.hours())).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use vx11_contracts::identity::{Role, Scopes};

    use super::*;

    #[test]
    fn a_pilot_sees_itself_however_many_do_more() {
        let of = |pilot_id: String| PilotPerformance { pilot_id, performance: overall(&[]) };
        let pilots: Vec<_> = (0..=PILOTS).map(|n| of(format!("pilot-{n}"))).collect();
        let shown = |role: Role| {
            let subject = format!("pilot-{PILOTS}").into();
            let principal = Principal { subject, role, scopes: Scopes::ALL, ..Principal::service() };
            let shown = shown_to(&principal, pilots.clone());
            (shown.len(), shown[0].pilot_id.clone())
        };
        assert_eq!(shown(Role::Operator), (1, "pilot-100".to_owned()));
        assert_eq!(shown(Role::Admin), (PILOTS, "pilot-0".to_owned()));
    }
}
