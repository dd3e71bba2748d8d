//! One service started, stopped or restarted by a person's word.

use std::time::{Duration, Instant};

use vx11_contracts::power::{PowerToken, ServiceActionRequest, ServiceActionResult};
use vx11_store::StoreError;

use super::tokens::TTL;
use super::{DriverError, Power, PowerError, is_allowed, is_protected, service_action};
use crate::services::ServiceAction;

/// How long a change that is meant asks a store again that has no connection free.
const BUSY_LIMIT: Duration = Duration::from_secs(3);

impl Power {
    /// A token for the next change.
    pub(crate) fn token(&self) -> PowerToken {
        let ttl_sec = u32::try_from(TTL.as_secs()).unwrap_or(u32::MAX);
        PowerToken { power_token: self.0.tokens.issue(Instant::now()), ttl_sec }
    }

    /// Plans the action, or does it where the request applies it and proves that it is meant.
    pub(crate) async fn act(
        &self,
        action: ServiceAction,
        service: &str,
        request: ServiceActionRequest,
        correlation_id: &str,
    ) -> Result<ServiceActionResult, PowerError> {
        let checked = self.0.rate.check(action.as_str(), Instant::now());
        checked.map_err(|limit| PowerError::TooOften(limit.0))?;
        let service = self.known(service)?;
        self.check_policy(action, service).await?;

        let phrase = format!("{} {service}", action.as_str());
        let outcome = if request.apply {
            self.check_confirmation(&request, &phrase)?;
            self.perform(action, service, &request.reason, correlation_id).await?;
            Some(self.outcome(action))
        } else {
            None
        };
        Ok(ServiceActionResult {
            service: service.to_owned(),
            action: action.as_str().to_owned(),
            applied: request.apply,
            plan: steps(action, service),
            confirmation_phrase: phrase,
            outcome,
        })
    }

    /// Does the action and records it. Whoever calls has made sure that it is meant.
    pub(crate) async fn perform(
        &self,
        action: ServiceAction,
        service: &str,
        why: &str,
        correlation_id: &str,
    ) -> Result<(), PowerError> {
        let service = self.known(service)?;
        let _turn = self.turn().await?;
        let outcome = match self.check_meant(action, service).await {
            Ok(()) => self.drive(action, service).await.map_err(PowerError::driver(service)),
            Err(refused) => Err(refused),
        };
        self.log(service_action(correlation_id, action.as_str(), service, &outcome, why)).await;
        outcome
    }

    async fn drive(&self, action: ServiceAction, service: &str) -> Result<(), DriverError> {
        match action {
            ServiceAction::Start => self.0.driver.start(service).await,
            ServiceAction::Stop => self.0.driver.stop(service).await,
            ServiceAction::Restart => {
                self.0.driver.stop(service).await?;
                let started = self.0.driver.start(service).await;
                started.map_err(|error| DriverError(format!("it was stopped and did not start again: {error}")))
            }
        }
    }

    fn outcome(&self, action: ServiceAction) -> String {
        let name = self.0.driver.name();
        match self.is_dry_run() {
            true => format!("not really {}: the driver {name} only pretends", past(action)),
            false => format!("{} by the driver {name}", past(action)),
        }
    }

    async fn check_policy(&self, action: ServiceAction, service: &str) -> Result<(), PowerError> {
        if action != ServiceAction::Start && is_protected(service) {
            return Err(PowerError::protected(service));
        }
        if action != ServiceAction::Stop {
            let is_applied = self.0.store.is_solo_madre_applied().await?;
            let window = self.0.store.open_window().await?;
            if !is_allowed(service, is_applied, window.as_ref()) {
                return Err(PowerError::kept_off(service));
            }
        }
        Ok(())
    }

    /// As [`Self::check_policy`], for what a person has confirmed. Its confirmation is spent by now, so a crowd that
    /// keeps the store busy for a moment is no reason to give up. Each time waits its turn for a connection.
    async fn check_meant(&self, action: ServiceAction, service: &str) -> Result<(), PowerError> {
        let begun = tokio::time::Instant::now();
        loop {
            let checked = self.check_policy(action, service).await;
            let is_busy = matches!(checked, Err(PowerError::Store(StoreError::Busy(_))));
            if !is_busy || begun.elapsed() >= BUSY_LIMIT {
                return checked;
            }
        }
    }

    /// The phrase comes first: a slip of the pen does not cost the token.
    fn check_confirmation(&self, request: &ServiceActionRequest, phrase: &str) -> Result<(), PowerError> {
        if request.confirmation.as_deref() != Some(phrase) {
            return Err(PowerError::Unconfirmed("`confirmation` must be the plan's confirmation_phrase"));
        }
        let token = request.power_token.as_deref().unwrap_or_default();
        if !self.0.tokens.spend(token, Instant::now()) {
            return Err(PowerError::Unconfirmed(
                "`power_token` is wrong, used or older than 60 s; get one at /madre/power/token",
            ));
        }
        Ok(())
    }
}

fn past(action: ServiceAction) -> &'static str {
    match action {
        ServiceAction::Start => "started",
        ServiceAction::Stop => "stopped",
        ServiceAction::Restart => "restarted",
    }
}

fn steps(action: ServiceAction, service: &str) -> Vec<String> {
    let driven = match action {
        ServiceAction::Start => vec![format!("start {service}, and wait until it takes requests")],
        ServiceAction::Stop => vec![format!("let {service} finish its requests, and stop it")],
        ServiceAction::Restart => vec![
            format!("let {service} finish its requests, and stop it"),
            format!("start {service}, and wait until it takes requests"),
        ],
    };
    driven.into_iter().chain(["record the outcome in the trail".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use vx11_contracts::power::PowerMode;

    use super::*;
    use crate::metrics::Metrics;
    use crate::power::DryRunDriver;
    use crate::store::Store;
    use vx11_store::{AnyConnection, Scope, StoreError};

    #[tokio::test(start_paused = true)]
    async fn what_was_confirmed_is_done_although_a_crowd_keeps_the_store_busy() {
        let (dir, registry) = (tempfile::tempdir().expect("a directory"), prometheus::Registry::new());
        let store = Store::open(None, dir.path(), &registry).expect("a store");
        let metrics = Metrics::new(&registry).expect("a fresh registry");
        let limit = Duration::from_secs(10);
        let power = Power::new(Arc::new(DryRunDriver), limit, PowerMode::default(), store.clone(), metrics);
        // Both connections are in use.
        let crowd = [(); 2].map(|()| {
            let (leave, stay) = mpsc::channel::<()>();
            let database = store.database().clone();
            let stay = move |_: &mut AnyConnection| Ok::<_, StoreError>(stay.recv().is_err());
            tokio::spawn(async move { database.read(Scope::Platform, stay).await });
            leave
        });
        tokio::task::yield_now().await;

        let restart = async move { power.perform(ServiceAction::Restart, "switch", "a test", "c").await };
        let restart = tokio::spawn(restart);
        // Longer than one query waits for a connection.
        for _ in 0..6 {
            tokio::task::yield_now().await;
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        tokio::task::yield_now().await;
        assert!(!restart.is_finished(), "it waits");
        drop(crowd);
        restart.await.expect("no panic").expect("done");
    }
}
