//! What replicas of the operator tell each other as it happens, where they have a Redis. Without one this process is all
//! there is: nothing is told and nothing heard.
//!
//! What is told is a hint, and the database is the truth. A hint may be lost, so it is numbered, and a beat a second says
//! again how many there were, and that the replica lives. Who finds a number missing, or a replica gone without a word,
//! has missed something; so has who was cut off, which is known from not hearing its own beats.
//!
//! Nobody waits for any of this: what finds no room is not told, and that is counted.

mod ear;
mod hint;
mod mouth;
mod others;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::sync::{mpsc, oneshot};
use vx11_contracts::health::DependencyState;
use vx11_redis::Redis;

pub(crate) use ear::{Ear, Heard};
pub(crate) use hint::Hint;
pub(crate) use mouth::Mouth;
use mouth::Word;

/// Where operators talk.
const CHANNEL: &str = "operator";
/// Time between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// How long a replica may be silent until it is taken for gone, and this one until it takes itself for cut off.
const SILENCE: Duration = Duration::from_secs(4);
/// Hints that wait to be told.
const QUEUE: usize = 1024;
/// Most bytes of a hint: what is larger is not told.
const MOST_BYTES: usize = 16 * 1024;

/// How other replicas are told. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bus {
    line: Option<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    redis: Arc<Redis>,
    words: mpsc::Sender<Word>,
    /// Hints that were not told since the last word: their numbers are left out.
    untold: Arc<AtomicU64>,
    /// Whether this replica has heard itself lately.
    is_heard: Arc<AtomicBool>,
    metrics: BusMetrics,
}

#[derive(Clone, Debug)]
struct BusMetrics {
    told: IntCounter,
    dropped: IntCounter,
    heard: IntCounter,
    resyncs: IntCounter,
}

impl Bus {
    /// The bus of the replicas that share `redis`, with its two ends; without one, a bus that leads nowhere.
    ///
    /// # Errors
    /// When a metric's name is taken.
    pub(crate) fn over(
        redis: Option<&Arc<Redis>>,
        registry: &Registry,
    ) -> anyhow::Result<(Self, Option<(Mouth, Ear)>)> {
        let Some(redis) = redis else { return Ok((Self::default(), None)) };
        let (words, said) = mpsc::channel(QUEUE);
        let line = Line {
            redis: redis.clone(),
            words,
            untold: Arc::default(),
            is_heard: Arc::default(),
            metrics: BusMetrics::new(registry)?,
        };
        let own = format!("{:016x}", rand::random::<u64>());
        let ear = Ear::new(redis.listen(CHANNEL)?, own.clone(), line.is_heard.clone(), line.metrics.clone());
        let mouth = Mouth::new(redis.clone(), own, said, line.untold.clone(), line.metrics.clone());
        Ok((Self { line: Some(line) }, Some((mouth, ear))))
    }

    /// Tells other replicas what is made only if there can be any.
    pub(crate) fn tell(&self, hint: impl FnOnce() -> Hint) {
        let Some(line) = &self.line else { return };
        let told = match serde_json::to_string(&hint()) {
            Ok(text) if text.len() <= MOST_BYTES => line.words.try_send(Word::Hint(text)).is_ok(),
            _ => false,
        };
        if !told {
            line.untold.fetch_add(1, Ordering::Relaxed);
            line.metrics.dropped.inc();
        }
    }

    /// Takes leave of the others, once they have been told everything: that nothing more comes means nothing then.
    pub(crate) async fn leave(&self) {
        let Some(line) = &self.line else { return };
        let (done, left) = oneshot::channel();
        if line.words.send(Word::Leave(done)).await.is_ok() {
            // Without an answer there is nobody who could tell them.
            let _ = left.await;
        }
    }

    /// What `/ready` says of it, where there is something to say.
    pub(crate) fn state(&self) -> Option<DependencyState> {
        let line = self.line.as_ref()?;
        let degraded = |why| DependencyState::degraded(format!("{why}; pushes of other replicas come late"));
        Some(match (line.redis.is_lost(), line.is_heard.load(Ordering::Relaxed)) {
            (true, _) => degraded("Redis does not answer: each replica counts the messages of sessions alone"),
            (false, false) => degraded("nothing that Redis is told comes back"),
            (false, true) => DependencyState::up(),
        })
    }
}

impl BusMetrics {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new("vx11_bus_hints_total", "Hints between replicas, by what became of them here.");
        let hints = IntCounterVec::new(opts, &["outcome"])?;
        let help = "How often everybody who listens here was told to read the lists again, as hints were missing.";
        let resyncs = IntCounter::new("vx11_bus_resyncs_total", help)?;
        registry.register(Box::new(hints.clone()))?;
        registry.register(Box::new(resyncs.clone()))?;
        let of = |outcome| hints.with_label_values(&[outcome]);
        Ok(Self { told: of("told"), dropped: of("dropped"), heard: of("heard"), resyncs })
    }
}
