//! What dashboards are sent, made once for all that are open.
//!
//! One task an organisation hears its news, writes each as the text that every socket sends, and lets them share it. It
//! asks for the metrics too: one query every half a minute, however many look. It is there while somebody listens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::Instrument;
use vx11_contracts::identity::OrgId;
use vx11_contracts::intervention::{Push, PushMessage};
use vx11_contracts::time;

use crate::desk::Desk;
use crate::hub::News;

/// Pushes that are kept for a socket that is behind; one that is further behind is told to read the lists again.
const BACKLOG: usize = 256;

/// The feeds of all organisations. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Feeds {
    desk: Desk,
    metrics_interval: Duration,
    open: Arc<Mutex<HashMap<OrgId, Sender<Pushed>>>>,
}

/// A push as it is sent. A clone is the same text.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    /// The message.
    pub(crate) text: ByteString,
    /// The pilot that it is meant for; `None`: everybody.
    pub(crate) pilot: Option<Arc<str>>,
}

impl Pushed {
    /// `push` as it is sent, to everybody unless it is of a request that waits for one pilot.
    pub(crate) fn new(push: Push) -> Self {
        let pilot = match &push {
            Push::NewRequest(request) | Push::ActionCompleted(request) => request.assigned_to.as_deref().map(Arc::from),
            _ => None,
        };
        let message = PushMessage { push, timestamp: time::now() };
        let text = serde_json::to_string(&message).expect("texts, numbers and maps with texts as keys");
        Self { text: text.into(), pilot }
    }

    /// As it is told to another replica.
    pub(crate) fn raw(&self) -> Box<RawValue> {
        RawValue::from_string(self.text.to_string()).expect("it was written as JSON")
    }

    /// What another replica has written, to everybody.
    pub(crate) fn to_everybody(text: ByteString) -> Self {
        Self { text, pilot: None }
    }
}

impl Feeds {
    /// Feeds with nobody at them.
    pub(crate) fn new(desk: Desk, metrics_interval: Duration) -> Self {
        Self { desk, metrics_interval, open: Arc::default() }
    }

    /// Everything that dashboards of `org` are sent from now on.
    pub(crate) fn subscribe(&self, org: &OrgId) -> Receiver<Pushed> {
        let mut open = self.open.lock();
        if let Some(feed) = open.get(org) {
            return feed.subscribe();
        }
        let (feed, receiver) = broadcast::channel(BACKLOG);
        open.insert(org.clone(), feed.clone());
        // Heard from here on, not from whenever the task begins.
        let news = self.desk.hub().subscribe(org.as_str());
        tokio::spawn(self.clone().run(org.clone(), feed, news).in_current_span());
        receiver
    }

    async fn run(self, org: OrgId, feed: Sender<Pushed>, mut news: Receiver<Arc<News>>) {
        let mut ticks = interval_at(Instant::now() + self.metrics_interval, self.metrics_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asking: Option<JoinHandle<()>> = None;
        while !self.is_over(&org, &feed) {
            tokio::select! {
                heard = news.recv() => match heard {
                    Ok(news) => news.pushes().into_iter().for_each(|push| send(&feed, push)),
                    Err(RecvError::Lagged(missed)) => send(&feed, Push::Resync { missed }),
                    // Nobody knows what was missed.
                    Err(RecvError::Closed) => {
                        news = self.desk.hub().subscribe(org.as_str());
                        send(&feed, Push::Resync { missed: 0 });
                    }
                },
                _ = ticks.tick() => {
                    // Beside this task, so that a slow database holds up no news; and one at a time.
                    let is_free = asking.as_ref().is_none_or(JoinHandle::is_finished);
                    if is_free && feed.receiver_count() > 0 {
                        let metrics = push_metrics(self.desk.clone(), org.clone(), feed.clone());
                        asking = Some(tokio::spawn(metrics.in_current_span()));
                    }
                }
            }
        }
    }

    /// Whether nobody listens any more; from then on the next one begins anew.
    fn is_over(&self, org: &OrgId, feed: &Sender<Pushed>) -> bool {
        let mut open = self.open.lock();
        let is_over = feed.receiver_count() == 0;
        if is_over {
            open.remove(org);
        }
        is_over
    }
}

fn send(feed: &Sender<Pushed>, push: Push) {
    // An error means that the last one has left in the meantime.
    let _ = feed.send(Pushed::new(push));
}

async fn push_metrics(desk: Desk, org: OrgId, feed: Sender<Pushed>) {
    match desk.interventions_of(&org).metrics().await {
        Ok(metrics) => send(&feed, Push::MetricsUpdate(metrics)),
        Err(error) => tracing::warn!(%error, "dashboards wait for their metrics"),
    }
}
