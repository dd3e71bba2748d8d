//! Tells other replicas what happens here: one task, so that all of it is numbered in the order in which it is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use vx11_redis::Redis;

use super::hint::Message;
use super::{BEAT, BusMetrics, CHANNEL};

/// Hints that Redis is told at a time: it answers them in one round trip.
const LOT: usize = 64;

/// What is to be told.
#[derive(Debug)]
pub(super) enum Word {
    /// A hint, as it is written.
    Hint(String),
    /// That this replica stops; who wants to know that it was told.
    Leave(oneshot::Sender<()>),
}

/// The end of the bus that speaks.
#[derive(Debug)]
pub(crate) struct Mouth {
    redis: Arc<Redis>,
    own: String,
    words: mpsc::Receiver<Word>,
    untold: Arc<AtomicU64>,
    metrics: BusMetrics,
    /// How many hints there were.
    number: u64,
}

impl Mouth {
    pub(super) fn new(
        redis: Arc<Redis>,
        own: String,
        words: mpsc::Receiver<Word>,
        untold: Arc<AtomicU64>,
        metrics: BusMetrics,
    ) -> Self {
        Self { redis, own, words, untold, metrics, number: 0 }
    }

    /// Tells what there is to tell until this replica leaves.
    pub(crate) async fn run(mut self) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut words = Vec::with_capacity(LOT);
        loop {
            tokio::select! {
                count = self.words.recv_many(&mut words, LOT) => {
                    if count == 0 {
                        return;
                    }
                    let (mut hints, mut left) = (Vec::with_capacity(count), None);
                    for word in words.drain(..) {
                        match word {
                            Word::Hint(text) => hints.push(text),
                            Word::Leave(done) => left = Some(done),
                        }
                    }
                    self.tell(hints).await;
                    if let Some(done) = left {
                        self.beat(true).await;
                        let _ = done.send(());
                        return;
                    }
                }
                _ = beats.tick() => {
                    // Whether it is back shows here.
                    self.redis.probe().await;
                    self.beat(false).await;
                }
            }
        }
    }

    async fn tell(&mut self, hints: Vec<String>) {
        let count = hints.len() as u64;
        let texts = hints.into_iter().map(|hint| self.hint(&hint)).collect();
        if self.say(texts).await {
            self.metrics.told.inc_by(count);
        } else {
            // Their numbers are missed.
            self.metrics.dropped.inc_by(count);
        }
    }

    fn hint(&mut self, hint: &str) -> String {
        self.number += 1 + self.untold.swap(0, Ordering::Relaxed);
        let hint: Option<&RawValue> = serde_json::from_str(hint).ok();
        Message { from: &self.own, number: self.number, hint, leaves: false }.text()
    }

    async fn beat(&mut self, leaves: bool) {
        self.number += self.untold.swap(0, Ordering::Relaxed);
        let text = Message { from: &self.own, number: self.number, hint: None, leaves }.text();
        self.say(vec![text]).await;
    }

    async fn say(&self, texts: Vec<String>) -> bool {
        !texts.is_empty() && !self.redis.is_lost() && self.redis.publish(CHANNEL, texts).await.is_ok()
    }
}
