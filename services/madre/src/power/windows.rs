//! Power windows: services that run for a while.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use vx11_contracts::power::{OpenWindowRequest, WindowClosed, WindowMode, WindowOpened};
use vx11_contracts::time;

use super::driver::ServiceState;
use super::{Power, PowerError, is_protected, service_action};
use crate::store::Window;
use crate::trail;

const TTL_SECONDS: std::ops::RangeInclusive<u32> = 1..=3600;
/// Characters of a reason.
const MOST_REASON: usize = 500;

impl Power {
    /// Opens a window: starts what it names and what does not run yet. When one of them does not start, those before it
    /// are stopped again and no window is open.
    pub(crate) async fn open(
        &self,
        request: OpenWindowRequest,
        correlation_id: &str,
    ) -> Result<WindowOpened, PowerError> {
        let services = self.admit(&request)?;
        let _turn = self.turn().await?;
        let window = self.plan_window(services, request).await;
        // Durable before anything is started, so that a crash cannot leave running what nobody will stop.
        if !self.0.store.insert_window(window.clone()).await? {
            return Err(PowerError::WindowOpen);
        }
        self.0.metrics.window(true);
        if let Err(error) = self.start_all(&window, correlation_id).await {
            self.end(&window, "a service did not start", correlation_id).await?;
            return Err(error);
        }
        let notes =
            serde_json::json!({ "window_id": window.window_id, "services": window.services, "reason": window.reason });
        self.log(trail::action(correlation_id, "power_window_open", "power", None, "ok").with_notes(notes)).await;
        tracing::info!(window_id = window.window_id, deadline = window.deadline, "power window opened");
        Ok(opened(&window))
    }

    /// Closes the open window: stops what it started.
    pub(crate) async fn close(&self, correlation_id: &str) -> Result<WindowClosed, PowerError> {
        let _turn = self.turn().await?;
        let window = self.0.store.open_window().await?.ok_or(PowerError::NoWindow)?;
        self.end(&window, "closed by request", correlation_id).await
    }

    /// Closes the open window when its time is up.
    pub(super) async fn close_expired(&self) -> Result<(), PowerError> {
        let Some(window) = self.0.store.open_window().await? else {
            self.0.metrics.window(false);
            return Ok(());
        };
        self.0.metrics.window(true);
        if !is_over(&window, &time::now()) {
            return Ok(());
        }
        let _turn = self.turn().await?;
        // Somebody may have closed it, and opened another, in the meantime.
        match self.0.store.open_window().await? {
            Some(window) if is_over(&window, &time::now()) => {
                self.end(&window, "its time is up", &Uuid::new_v4().to_string()).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Starts again what an open window keeps running: after a restart of madre with all its services.
    pub(super) async fn resume_window(&self) -> Result<(), PowerError> {
        let _turn = self.turn().await?;
        let window = match self.0.store.open_window().await? {
            Some(window) if !is_over(&window, &time::now()) => window,
            _ => return Ok(()),
        };
        let correlation_id = Uuid::new_v4().to_string();
        for service in &window.services_started {
            if self.0.driver.state(service).await != ServiceState::Running {
                let started = self.0.driver.start(service).await.map_err(PowerError::driver(service));
                self.log(service_action(&correlation_id, "start", service, &started, "a window is open")).await;
            }
        }
        Ok(())
    }

    /// The services of a request, once each, when a window can be opened for them.
    fn admit(&self, request: &OpenWindowRequest) -> Result<Vec<String>, PowerError> {
        if request.services.is_empty() {
            return Err(PowerError::Field { field: "services", problem: "name at least one service" });
        }
        if !TTL_SECONDS.contains(&request.ttl_sec) {
            return Err(PowerError::Field { field: "ttl_sec", problem: "must be from 1 to 3600 seconds" });
        }
        if request.reason.chars().count() > MOST_REASON {
            return Err(PowerError::Field { field: "reason", problem: "must have at most 500 characters" });
        }
        let allowed = || self.0.driver.services().iter().copied().filter(|name| !is_protected(name));
        let mut services: Vec<String> = Vec::new();
        for service in &request.services {
            if !allowed().any(|name| name == service) {
                let allowed = allowed().map(str::to_owned).collect();
                return Err(PowerError::NotForWindows { service: service.clone(), allowed });
            }
            if !services.contains(service) {
                services.push(service.clone());
            }
        }
        Ok(services)
    }

    async fn plan_window(&self, services: Vec<String>, request: OpenWindowRequest) -> Window {
        let mut services_started = Vec::new();
        for service in &services {
            if self.0.driver.state(service).await != ServiceState::Running {
                services_started.push(service.clone());
            }
        }
        let now = Timestamp::now();
        let ttl = SignedDuration::from_secs(request.ttl_sec.into());
        let deadline = match request.mode {
            WindowMode::Ttl => now.checked_add(ttl).ok().map(time::render),
            WindowMode::Hold => None,
        };
        let window_id = Uuid::new_v4().to_string();
        let created_at = time::render(now);
        Window {
            window_id,
            services,
            services_started,
            mode: request.mode,
            reason: request.reason,
            created_at,
            deadline,
        }
    }

    async fn start_all(&self, window: &Window, correlation_id: &str) -> Result<(), PowerError> {
        for service in &window.services_started {
            let started = self.0.driver.start(service).await.map_err(PowerError::driver(service));
            self.log(service_action(correlation_id, "start", service, &started, "a window opens")).await;
            started?;
        }
        Ok(())
    }

    /// Stops what a window started, the last first, and then records that it is closed: after a crash in between it is
    /// closed again. A service that does not stop is reported and does not keep the window open.
    pub(super) async fn end(
        &self,
        window: &Window,
        why: &str,
        correlation_id: &str,
    ) -> Result<WindowClosed, PowerError> {
        let mut services_stopped = Vec::new();
        for service in window.services_started.iter().rev() {
            let stopped = self.0.driver.stop(service).await.map_err(PowerError::driver(service));
            if stopped.is_ok() {
                services_stopped.push(service.clone());
            }
            self.log(service_action(correlation_id, "stop", service, &stopped, "a window closes")).await;
        }
        let closed_at = self.0.store.close_window(&window.window_id).await?;
        self.0.metrics.window(false);
        let notes = serde_json::json!({ "window_id": window.window_id, "why": why });
        self.log(trail::action(correlation_id, "power_window_close", "power", None, "ok").with_notes(notes)).await;
        tracing::info!(window_id = window.window_id, why, "power window closed");
        let window_id = window.window_id.clone();
        Ok(WindowClosed { window_id, closed_at, services_stopped, state: "closed".to_owned() })
    }
}

/// A window as it stands on the wire.
pub(super) fn opened(window: &Window) -> WindowOpened {
    WindowOpened {
        window_id: window.window_id.clone(),
        created_at: window.created_at.clone(),
        deadline: window.deadline.clone(),
        services_started: window.services_started.clone(),
        state: "open".to_owned(),
        ttl_remaining_sec: window.deadline.as_deref().and_then(seconds_until),
    }
}

/// Whole seconds until `deadline`, a begun one counted; none when it has passed.
fn seconds_until(deadline: &str) -> Option<u64> {
    let deadline: Timestamp = deadline.parse().ok()?;
    let left = deadline.duration_since(Timestamp::now()).as_millis().max(0);
    u64::try_from(left).ok().map(|ms| ms.div_ceil(1000))
}

/// Whether the window's time is up. Times have a fixed width, so text order is time order.
fn is_over(window: &Window, now: &str) -> bool {
    window.deadline.as_deref().is_some_and(|deadline| deadline <= now)
}
