//! What becomes of what other replicas say: who listens or waits here is told.

use crate::bus::{Ear, Heard, Hint};
use crate::desk::Desk;
use crate::events::EventHub;
use crate::feed::Pushed;

/// Those here to whom something is told.
#[derive(Clone, Debug)]
pub(crate) struct Hearing {
    pub(crate) desk: Desk,
    pub(crate) events: EventHub,
}

impl Hearing {
    /// Goes on passing on what is heard.
    pub(crate) async fn run(self, mut ear: Ear) {
        loop {
            match ear.next().await {
                Heard::Hints(hints) => self.hear(hints).await,
                Heard::Missed => {
                    self.desk.missed();
                    self.events.wake();
                }
            }
        }
    }

    async fn hear(&self, hints: Vec<Hint>) {
        let mut requests = Vec::new();
        for hint in hints {
            match hint {
                Hint::Request { org, id, transitions } => requests.push((org, id, transitions)),
                Hint::Unit { org, push } => {
                    self.desk.unit_hub().tell(org.as_str(), || Pushed::to_everybody(push.get().into()));
                }
                Hint::Trail {} => self.events.wake(),
            }
        }
        self.desk.hear(requests).await;
    }
}
