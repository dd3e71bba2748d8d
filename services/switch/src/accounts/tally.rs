//! The thread on which long texts are counted, so that no worker is held up by them.
//!
//! It begins with the first of them. What waits for it is bounded, in number and in bytes, of each tenant and of all.
//! A job that finds no place is dropped undone, and so is what waits when the service stops: what a job is to leave
//! behind in any case it has in something that does so when it is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::account::Tenant;

/// Most texts that wait to be counted.
const MOST_WAITING: usize = 64;
/// Most of one tenant, the one that is being counted included: nobody waits for more than these of anybody else.
const MOST_OF_ONE: usize = 2;
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
    /// Whose texts wait, and how long they are.
    texts: Texts,
    is_closing: Arc<AtomicBool>,
}

type Texts = Arc<Mutex<Vec<(Arc<Tenant>, usize)>>>;

/// A job, and the place that it takes until it is done; the last one of all takes none.
struct Waiting {
    job: Job,
    place: Option<Place>,
}

/// That of one text among those that wait.
struct Place {
    texts: Texts,
    tenant: Arc<Tenant>,
    bytes: usize,
}

impl Place {
    fn take(texts: &Texts, tenant: &Arc<Tenant>, bytes: usize) -> Option<Self> {
        let mut waiting = texts.lock();
        let of_tenant = waiting.iter().filter(|(other, _)| Arc::ptr_eq(other, tenant)).count();
        let all = waiting.iter().map(|(_, bytes)| bytes).sum::<usize>().saturating_add(bytes);
        if of_tenant >= MOST_OF_ONE || waiting.len() >= MOST_WAITING || all > MOST_BYTES {
            return None;
        }
        waiting.push((tenant.clone(), bytes));
        Some(Self { texts: texts.clone(), tenant: tenant.clone(), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.texts.lock();
        let is_this =
            |(tenant, bytes): &(Arc<Tenant>, usize)| Arc::ptr_eq(tenant, &self.tenant) && *bytes == self.bytes;
        if let Some(at) = waiting.iter().position(is_this) {
            waiting.swap_remove(at);
        }
    }
}

impl Tally {
    /// Does `job`, which counts so many `bytes` of a text of `tenant`, when those before it are done; drops it where
    /// there is no place for it.
    pub(super) fn later(&self, tenant: &Arc<Tenant>, bytes: usize, job: Job) {
        if self.is_closing.load(Ordering::Relaxed) {
            return;
        }
        let Some(place) = Place::take(&self.texts, tenant, bytes) else { return };
        if let Some(jobs) = self.jobs.get_or_init(|| begin(self.is_closing.clone())) {
            // What cannot be sent is dropped.
            let _ = jobs.try_send(Waiting { job, place: Some(place) });
        }
    }

    /// Ends the counting: what waits is dropped, and once the text that is being counted is done, this returns; at most
    /// after `limit`.
    pub(super) async fn flush(&self, limit: Duration) {
        self.is_closing.store(true, Ordering::Relaxed);
        let Some(Some(jobs)) = self.jobs.get() else { return };
        let (done, is_done) = oneshot::channel::<()>();
        let mut last = Waiting { job: Box::new(move || drop(done)), place: None };
        let all_done = async {
            while let Err(TrySendError::Full(refused)) = jobs.try_send(last) {
                last = refused;
                tokio::time::sleep(LOOK).await;
            }
            is_done.await
        };
        if tokio::time::timeout(limit, all_done).await.is_err() {
            tracing::warn!("a text was left uncounted when the service stopped, and its request unbilled");
        }
    }
}

fn begin(is_closing: Arc<AtomicBool>) -> Option<SyncSender<Waiting>> {
    let (jobs, waiting) = sync_channel(MOST_WAITING);
    let thread = std::thread::Builder::new().name("switch-tally".to_owned()).spawn(move || run(&waiting, &is_closing));
    thread.map(|_| jobs).inspect_err(|error| tracing::warn!(%error, "long texts are estimated: no thread")).ok()
}

/// Until nobody can give it any more to do.
fn run(waiting: &Receiver<Waiting>, is_closing: &AtomicBool) {
    for Waiting { job, place } in waiting {
        let done =
            catch_unwind(AssertUnwindSafe(|| if is_closing.load(Ordering::Relaxed) { drop(job) } else { job() }));
        if done.is_err() {
            tracing::error!("a text could not be counted");
        }
        drop(place);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::super::account::Account;
    use super::*;

    fn tenant() -> Arc<Tenant> {
        Account::unlimited("somebody").tenant
    }

    /// Says its number when it is dropped, as a bill is charged.
    struct Bill(u32, Sender<u32>);

    impl Bill {
        /// Takes all of it: a closure that only looks at its number would leave the rest behind.
        fn count(self, bad: u32) {
            assert!(self.0 != bad, "a bad text");
        }
    }

    impl Drop for Bill {
        fn drop(&mut self) {
            self.1.send(self.0).expect("it is awaited");
        }
    }

    /// Until it may go on, nothing that waits is done.
    fn held_up(tally: &Tally) -> Sender<()> {
        let (open, is_open) = channel::<()>();
        let (begun, has_begun) = channel();
        let job = move || {
            begun.send(()).expect("it is awaited");
            assert!(is_open.recv().is_err(), "nothing is sent");
        };
        tally.later(&tenant(), 0, Box::new(job));
        has_begun.recv().expect("it begins");
        open
    }

    #[tokio::test]
    async fn all_is_done_in_turn_even_after_one_that_panics() {
        let tally = Tally::default();
        let (done, is_done) = channel();
        for number in 0..5 {
            let bill = Bill(number, done.clone());
            let job = move || bill.count(2);
            tally.later(&tenant(), 10, Box::new(job));
        }
        drop(done);
        // Who panicked has left its bill behind.
        assert_eq!(is_done.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        tally.flush(Duration::from_secs(10)).await;
        assert_eq!(tally.texts.lock().len(), 0);
    }

    #[tokio::test]
    async fn what_waits_when_the_service_stops_is_not_counted_and_leaves_its_bill_behind() {
        let tally = Tally::default();
        let open = held_up(&tally);
        let (done, is_done) = channel();
        let counted = Arc::new(AtomicBool::default());
        for number in 0..5 {
            let bill = Bill(number, done.clone());
            let counted = counted.clone();
            let job = move || {
                counted.store(true, Ordering::Relaxed);
                bill.count(number);
            };
            tally.later(&tenant(), 10, Box::new(job));
        }
        tokio::join!(biased; tally.flush(Duration::from_secs(10)), async { drop(open) });
        assert_eq!(is_done.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        let bill = Bill(5, done);
        tally.later(&tenant(), 10, Box::new(move || bill.count(0)));
        assert_eq!(is_done.try_recv(), Ok(5));
        assert!(!counted.load(Ordering::Relaxed));
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_in_bytes_of_each_and_of_all() {
        let tally = Tally::default();
        let open = held_up(&tally);
        let waiting = || tally.texts.lock().len();
        let somebody = tenant();
        (0..5).for_each(|_| tally.later(&somebody, 1, Box::new(|| ())));
        assert_eq!(waiting(), 1 + MOST_OF_ONE);
        tally.later(&tenant(), MOST_BYTES, Box::new(|| ()));
        assert_eq!(waiting(), 1 + MOST_OF_ONE);
        (0..MOST_WAITING).for_each(|_| tally.later(&tenant(), 1, Box::new(|| ())));
        assert_eq!(waiting(), MOST_WAITING);
        drop(open);
    }
}
