//! The thread on which long texts are counted, so that no worker is held up by them.
//!
//! It begins with the first of them. What waits for it is bounded, in number and in bytes: beyond that a text is not
//! counted but estimated.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;

/// Most texts that wait to be counted.
const MOST_WAITING: usize = 64;
/// Most bytes in them.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// How often it is looked whether there is room, where that is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// Something to count, and what follows from it.
type Job = Box<dyn FnOnce() + Send>;

/// The thread, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// `None` within: the thread could not be begun.
    jobs: OnceLock<Option<SyncSender<Waiting>>>,
    bytes: Arc<AtomicUsize>,
}

/// A job, and the place that it takes until it is done.
struct Waiting {
    job: Job,
    place: Place,
}

/// Some of the bytes that may wait.
struct Place {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Tally {
    /// Does `job`, which counts so many `bytes`, when those before it are done. `false`: there is no room for it.
    pub(super) fn later(&self, bytes: usize, job: Job) -> bool {
        let with = |waiting: usize| waiting.checked_add(bytes).filter(|waiting| *waiting <= MOST_BYTES);
        if self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with).is_err() {
            return false;
        }
        let waiting = Waiting { job, place: Place { all: self.bytes.clone(), bytes } };
        let jobs = self.jobs.get_or_init(begin);
        jobs.as_ref().is_some_and(|jobs| jobs.try_send(waiting).is_ok())
    }

    /// Waits until all is done that waits now, at most for `limit`.
    pub(super) async fn flush(&self, limit: Duration) {
        let Some(Some(jobs)) = self.jobs.get() else { return };
        let (done, is_done) = oneshot::channel();
        let place = Place { all: self.bytes.clone(), bytes: 0 };
        let mut last = Waiting {
            job: Box::new(move || {
                let _ = done.send(());
            }),
            place,
        };
        let all_done = async {
            while let Err(TrySendError::Full(refused)) = jobs.try_send(last) {
                last = refused;
                tokio::time::sleep(LOOK).await;
            }
            is_done.await
        };
        if tokio::time::timeout(limit, all_done).await.is_err() {
            tracing::warn!("texts were left uncounted when the service stopped");
        }
    }
}

fn begin() -> Option<SyncSender<Waiting>> {
    let (jobs, waiting) = sync_channel(MOST_WAITING);
    let thread = std::thread::Builder::new().name("switch-tally".to_owned()).spawn(move || run(&waiting));
    thread.map(|_| jobs).inspect_err(|error| tracing::warn!(%error, "long texts are estimated: no thread")).ok()
}

/// Until nobody can give it any more to do.
fn run(waiting: &Receiver<Waiting>) {
    for Waiting { job, place } in waiting {
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a text could not be counted");
        }
        drop(place);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn all_is_done_in_turn_even_after_one_that_panics() {
        let tally = Tally::default();
        let (done, is_done) = channel();
        for number in 0..5 {
            let done = done.clone();
            let job =
                move || if number == 2 { panic!("a bad text") } else { done.send(number).expect("it is awaited") };
            assert!(tally.later(10, Box::new(job)));
        }
        tally.flush(Duration::from_secs(10)).await;
        assert_eq!(is_done.try_iter().collect::<Vec<_>>(), [0, 1, 3, 4]);
        assert_eq!(tally.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_in_bytes() {
        let tally = Tally::default();
        let (open, is_open) = channel::<()>();
        // Until it may go on, nothing that waits is done.
        assert!(tally.later(0, Box::new(move || assert!(is_open.recv().is_err(), "nothing is sent"))));
        let taken = (0..MOST_WAITING + 10).filter(|_| tally.later(1, Box::new(|| ()))).count();
        assert!((MOST_WAITING - 1..=MOST_WAITING).contains(&taken), "{taken}");
        assert!(!tally.later(MOST_BYTES, Box::new(|| ())));
        drop(open);
        assert!(!Tally::default().later(MOST_BYTES + 1, Box::new(|| ())));
    }
}
