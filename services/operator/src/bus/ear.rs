//! Hears what other replicas say, and when something was missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use vx11_redis::Listener;

use super::hint::Hint;
use super::others::Others;
use super::{BusMetrics, SILENCE};

/// Hints that are handed on at a time.
const LOT: usize = 100;
/// How long it is gathered, give or take a quarter, what was missed: everybody who listens reads the lists again then, and
/// should do so once, when all replicas' beats have come, and not at all replicas at once.
const GATHER: Duration = Duration::from_millis(1500);

/// The end of the bus that hears.
#[derive(Debug)]
pub(crate) struct Ear {
    listener: Listener,
    others: Others,
    missed_at: Option<Instant>,
    /// When this replica takes itself for cut off.
    silent_at: Instant,
    is_heard: Arc<AtomicBool>,
    metrics: BusMetrics,
}

/// What is heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// What other replicas say, in the order in which each of them said it.
    Hints(Vec<Hint>),
    /// Something was missed.
    Missed,
}

impl Ear {
    pub(super) fn new(listener: Listener, own: String, is_heard: Arc<AtomicBool>, metrics: BusMetrics) -> Self {
        let (others, silent_at) = (Others::new(own), Instant::now() + SILENCE);
        Self { listener, others, missed_at: None, silent_at, is_heard, metrics }
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            tokio::select! {
                // In this order: what was missed is told however much there is to hear, and what waited while this was
                // busy says that nobody is silent.
                biased;
                () = due(self.missed_at) => {
                    self.missed_at = None;
                    self.metrics.resyncs.inc();
                    return Heard::Missed;
                }
                heard = self.listener.next() => {
                    let mut hints = Vec::new();
                    hints.extend(self.take(heard));
                    while hints.len() < LOT && let Some(heard) = self.listener.try_next() {
                        hints.extend(self.take(heard));
                    }
                    if !hints.is_empty() {
                        self.metrics.heard.inc_by(hints.len() as u64);
                        return Heard::Hints(hints);
                    }
                }
                () = sleep_until(self.silent_at) => self.cut_off().await,
            }
        }
    }

    /// The hint in what was heard, if it is another replica's.
    fn take(&mut self, heard: vx11_redis::Heard) -> Option<Hint> {
        let text = match heard {
            vx11_redis::Heard::Message(text) => text,
            vx11_redis::Heard::Gap => {
                self.others.asked();
                return None;
            }
        };
        let now = Instant::now();
        let said = self.others.take(&text, now);
        if said.missed {
            self.missed_at.get_or_insert_with(|| now + GATHER.mul_f64(rand::random_range(0.75..1.25)));
        }
        if said.is_own {
            self.silent_at = now + SILENCE;
            if !self.is_heard.swap(true, Ordering::Relaxed) {
                tracing::info!("this replica hears itself at Redis, and so all others");
            }
        }
        said.hint
    }

    async fn cut_off(&mut self) {
        if self.is_heard.swap(false, Ordering::Relaxed) {
            tracing::warn!("this replica does not hear itself at Redis, and so no other one");
        }
        self.listener.reconnect().await;
        self.silent_at = Instant::now() + SILENCE;
    }
}

/// Until `at`, if there is a time.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
