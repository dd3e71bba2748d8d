//! The policy `solo_madre`: nothing runs but what the chat of last resort needs.

use vx11_contracts::power::PolicyStatus;

use super::driver::ServiceState;
use super::{Power, PowerError, is_allowed, service_action};
use crate::trail;

impl Power {
    /// Whether the policy is in force: applied, and not lifted by a window.
    pub(crate) async fn policy(&self) -> Result<PolicyStatus, PowerError> {
        let is_open = self.0.store.open_window().await?.is_some();
        let is_applied = self.0.store.is_solo_madre_applied().await?;
        Ok(self.policy_status(is_applied, is_open, Vec::new()))
    }

    /// Applies the policy: closes the open window and stops what chat of last resort does not need. From then on
    /// nothing else is started but through a window.
    pub(crate) async fn apply_policy(&self, correlation_id: &str) -> Result<PolicyStatus, PowerError> {
        let _turn = self.turn().await?;
        self.0.store.set_solo_madre(true).await?;
        let mut stopped = match self.0.store.open_window().await? {
            Some(window) => {
                self.end(&window, "the policy solo_madre was applied", correlation_id).await?.services_stopped
            }
            None => Vec::new(),
        };
        stopped.extend(self.stop_what_is_off(correlation_id).await?);
        self.log_policy("power_policy_apply", correlation_id).await;
        Ok(self.policy_status(true, false, stopped))
    }

    /// Releases the policy. It starts nothing.
    pub(crate) async fn release_policy(&self, correlation_id: &str) -> Result<PolicyStatus, PowerError> {
        let _turn = self.turn().await?;
        self.0.store.set_solo_madre(false).await?;
        let is_open = self.0.store.open_window().await?.is_some();
        self.log_policy("power_policy_release", correlation_id).await;
        Ok(self.policy_status(false, is_open, Vec::new()))
    }

    /// Stops what an applied policy keeps off: after a restart of madre with all its services.
    pub(super) async fn resume_policy(&self) -> Result<(), PowerError> {
        let _turn = self.turn().await?;
        if self.0.store.is_solo_madre_applied().await? {
            self.stop_what_is_off(&uuid::Uuid::new_v4().to_string()).await?;
        }
        Ok(())
    }

    /// Stops everything that the applied policy does not allow, and names it. What does not stop is in the trail.
    async fn stop_what_is_off(&self, correlation_id: &str) -> Result<Vec<String>, PowerError> {
        let window = self.0.store.open_window().await?;
        let mut stopped = Vec::new();
        for service in self.0.driver.services() {
            let is_off = !is_allowed(service, true, window.as_ref());
            if is_off && self.0.driver.state(service).await != ServiceState::Stopped {
                let outcome = self.0.driver.stop(service).await.map_err(PowerError::driver(service));
                if outcome.is_ok() {
                    stopped.push((*service).to_owned());
                }
                self.log(service_action(correlation_id, "stop", service, &outcome, "the policy solo_madre")).await;
            }
        }
        Ok(stopped)
    }

    async fn log_policy(&self, action: &str, correlation_id: &str) {
        tracing::info!(action, "power policy");
        self.log(trail::action(correlation_id, action, "power", Some("solo_madre"), "ok")).await;
    }

    fn policy_status(&self, is_applied: bool, is_open: bool, services_stopped: Vec<String>) -> PolicyStatus {
        PolicyStatus {
            policy: "solo_madre".to_owned(),
            active: is_applied && !is_open,
            mode: self.mode_with(is_applied, is_open),
            services_stopped,
        }
    }
}
