//! Asks a service that chats go to for its health, in the background, and says on the event stream when it changes.
//!
//! Requests read what was found from the gate, and tell it when a call gets no answer; nothing here waits for a
//! request.

use std::sync::Arc;
use std::time::Duration;

use vx11_chassis::RequestContext;
use vx11_chassis::client::ServiceClient;
use vx11_contracts::event::Action;
use vx11_contracts::health::Health;
use vx11_resilience::Breaker;
use vx11_store::Writer;

use crate::clients::HealthGate;
use crate::clients::health_gate::Wake;
use crate::store::{Record, action};

/// What is watched, and who is told.
pub(crate) struct HealthWatch {
    /// How the service is asked.
    pub(crate) client: ServiceClient,
    /// What requests know of its health.
    pub(crate) gate: Arc<HealthGate>,
    /// Whether requests call it.
    pub(crate) breaker: Arc<Breaker>,
    /// Longest wait for its health.
    pub(crate) limit: Duration,
    /// Where the event stream's rows go.
    pub(crate) writer: Writer<Record>,
}

impl HealthWatch {
    /// Asks again and again; it never ends.
    pub(crate) async fn run(self) {
        // A gate believes in its service at first.
        let mut told = true;
        loop {
            self.check().await;
            self.tell(&mut told);
            while self.gate.wait().await == Wake::Marked {
                self.tell(&mut told);
            }
        }
    }

    async fn check(&self) {
        let check = self.gate.begin_check();
        let answer = self.client.get::<Health>("/health", &RequestContext::internal(), self.limit).await;
        let healthy = answer.is_ok_and(|health| health.status == "ok");
        if self.gate.end_check(check, healthy) == Some(true) {
            // The calls that were under way when the service went away may have opened its breaker; that it answers
            // again is known sooner than its pause ends.
            self.breaker.end_pause();
        }
    }

    /// Says what is known now, unless that was the last thing said: rows of one service take turns.
    fn tell(&self, told: &mut bool) {
        let healthy = self.gate.is_healthy();
        if std::mem::replace(told, healthy) == healthy {
            return;
        }
        let (service, status) = (self.client.name(), if healthy { "up" } else { "down" });
        tracing::info!(target_service = service, status, "health changed");
        let row = Action {
            target: Some(service.to_owned()),
            ..action(uuid::Uuid::new_v4(), "health_check", "service_status", status)
        };
        // The writer keeps it, or counts that it had no room.
        let _ = self.writer.try_enqueue(Record::Action(row));
    }
}
