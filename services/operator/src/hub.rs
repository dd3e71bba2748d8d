//! Who is told of interventions and units of work at once: dashboards that are open.
//!
//! One channel an organisation, which is there while somebody listens. It is bounded: who does not keep up is told how
//! much was missed, and reads the lists again. What is told here was committed before, here or at another replica.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast::{self, Receiver, Sender};
use vx11_contracts::intervention::{Intervention, Push};

use crate::domain::intervention::Transition;

/// What is kept for a listener that is behind.
const BACKLOG: usize = 256;

/// Something happened to a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct News {
    /// The request as it is now.
    pub(crate) request: Intervention,
    /// What happened, in order; nothing for one that is new.
    pub(crate) transitions: Vec<Transition>,
}

impl News {
    /// What dashboards are sent: what was asked, or each step and what came of the last one.
    pub(crate) fn pushes(&self) -> Vec<Push> {
        if self.transitions.is_empty() {
            return vec![Push::NewRequest(Box::new(self.request.clone()))];
        }
        let step = |Transition { from, to, by, version, .. }: &Transition| Push::StatusChanged {
            request_id: self.request.request_id.clone(),
            old_status: *from,
            new_status: *to,
            updated_by: by.clone(),
            version: *version,
        };
        let mut pushes: Vec<_> = self.transitions.iter().map(step).collect();
        if self.transitions.iter().any(|step| step.from != step.to && !step.to.is_open()) {
            pushes.push(Push::ActionCompleted(Box::new(self.request.clone())));
        }
        pushes
    }
}

/// Tells listeners of one organisation what happened there. A clone is the same hub.
#[derive(Clone, Debug)]
pub(crate) struct Hub<T> {
    channels: Arc<Mutex<Channels<T>>>,
}

/// By organisation.
type Channels<T> = HashMap<Arc<str>, Sender<T>>;

impl<T> Default for Hub<T> {
    fn default() -> Self {
        Self { channels: Arc::default() }
    }
}

impl<T: Clone> Hub<T> {
    /// Hears of everything that happens in `org` from now on.
    pub(crate) fn subscribe(&self, org: &str) -> Receiver<T> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(org) {
            return channel.subscribe();
        }
        let (channel, receiver) = broadcast::channel(BACKLOG);
        channels.insert(org.into(), channel);
        receiver
    }

    /// Whether anybody listens to `org`.
    pub(crate) fn is_heard(&self, org: &str) -> bool {
        self.channels.lock().get(org).is_some_and(|channel| channel.receiver_count() > 0)
    }

    /// Has everybody who listens to `org` subscribe anew, because it is not known what was missed.
    pub(crate) fn end(&self, org: &str) {
        self.channels.lock().remove(org);
    }

    /// The same for all organisations.
    pub(crate) fn end_all(&self) {
        self.channels.lock().clear();
    }

    /// Tells everybody who listens to `org`; what, is made only if somebody does.
    pub(crate) fn tell(&self, org: &str, news: impl FnOnce() -> T) {
        let mut channels = self.channels.lock();
        let Some(channel) = channels.get(org) else { return };
        // Nobody listens any more.
        if channel.receiver_count() == 0 || channel.send(news()).is_err() {
            channels.remove(org);
        }
    }
}

#[cfg(test)]
mod tests {
    use vx11_contracts::intervention::{AnswerFormat, CreateIntervention};

    use super::*;
    use crate::domain::intervention::{Asked, open};

    fn news(org: &str, id: &str) -> News {
        let asked = Asked {
            org_id: org.to_owned(),
            by: "agent".to_owned(),
            request_id: id.to_owned(),
            correlation_id: None,
            format: AnswerFormat::Vx11,
        };
        News { request: open(CreateIntervention::new("t"), asked, jiff::Timestamp::UNIX_EPOCH), transitions: vec![] }
    }

    #[tokio::test]
    async fn only_an_organisations_own_listeners_are_told() {
        let hub = Hub::default();
        let tell = |org: &str, id: &str| hub.tell(org, || news(org, id));
        let (mut acme, mut globex) = (hub.subscribe("acme"), hub.subscribe("globex"));
        tell("acme", "r1");
        assert_eq!(acme.recv().await.expect("told").request.request_id, "r1");
        globex.try_recv().expect_err("nothing of its own");
        drop((acme, globex));
        tell("acme", "r2");
        tell("globex", "r3");
        assert!(hub.channels.lock().is_empty());
    }

    #[tokio::test]
    async fn who_is_slow_learns_how_much_was_missed() {
        let hub = Hub::default();
        let mut slow = hub.subscribe("acme");
        for number in 0..BACKLOG + 44 {
            hub.tell("acme", || news("acme", &number.to_string()));
        }
        assert_eq!(slow.recv().await, Err(broadcast::error::RecvError::Lagged(44)));
    }
}
