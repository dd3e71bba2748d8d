//! Admission: how many calls a target gets at a time, who waits for a place, and who is turned away at once.
//!
//! The number of places adapts to what the target bears ([`AdmissionConfig`]). Who finds none free waits in a bounded
//! queue, in turn between tenants, with the more turns the more urgent the call is ([`Priority`]), so that one tenant's
//! flood is that tenant's wait whatever it says of its urgency. A caller that would wait longer than it has time is
//! refused at once, as is one whom a full queue has no room for; both hear when to come back. A place is given back
//! when its [`Slot`] is dropped, whatever became of the call; a caller that goes away while it waits leaves the queue.

mod limit;
mod queue;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::{Deadline, RetryAfter};

use limit::Limit;
pub use limit::{AdmissionConfig, Load};
pub use queue::Priority;
use queue::{Queue, Ticket};

/// The least that a caller who is turned away is told to wait.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// The admission to one target. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Admission {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    limit: Limit,
    queue: Queue<oneshot::Sender<Slot>>,
}

/// An admission at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionSnapshot {
    /// Calls that it gets at a time.
    pub limit: u32,
    /// Calls under way.
    pub in_flight: u32,
    /// Calls that wait, by priority as in [`Priority::ALL`].
    pub waiting: [usize; 3],
}

impl Admission {
    /// With nobody in it.
    pub fn new(config: AdmissionConfig) -> Self {
        let shared = Shared { limit: Limit::new(config), queue: Queue::new(config.queue) };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// A place for one call, now or when it is this one's turn, at the latest at `deadline`.
    ///
    /// # Errors
    /// When there is no place, and none to wait in; with the time after which it is worth asking again.
    pub async fn enter(&self, priority: Priority, tenant: u64, deadline: Deadline) -> Result<Slot, RetryAfter> {
        let (turn, _waiting) = match self.ask(priority, tenant, deadline)? {
            Asked::Admitted(slot) => return Ok(slot),
            Asked::Waits(turn, waiting) => (turn, waiting),
        };
        match deadline.run(turn).await {
            Ok(Ok(slot)) => Ok(slot),
            // Too late, or given up for somebody else.
            Ok(Err(_)) | Err(_) => Err(self.lock().come_back(priority, tenant)),
        }
    }

    /// What it looks like now.
    pub fn snapshot(&self) -> AdmissionSnapshot {
        let shared = self.lock();
        AdmissionSnapshot {
            limit: shared.limit.current(),
            in_flight: shared.limit.in_flight(),
            waiting: Priority::ALL.map(|priority| shared.queue.waiting(priority)),
        }
    }

    fn ask(&self, priority: Priority, tenant: u64, deadline: Deadline) -> Result<Asked, RetryAfter> {
        let mut shared = self.lock();
        // Nobody is overtaken: where somebody waits there is no free place but for an instant.
        if shared.queue.is_empty() && shared.limit.try_take() {
            return Ok(Asked::Admitted(self.slot()));
        }
        let ahead = shared.queue.ahead_of(priority, tenant);
        if shared.limit.expected_wait(ahead + 1) > deadline.remaining() {
            return Err(shared.come_back(priority, tenant));
        }
        let evicted = shared.queue.make_room(priority, tenant).map_err(|_| shared.come_back(priority, tenant))?;
        let (sender, turn) = oneshot::channel();
        let ticket = shared.queue.push(priority, tenant, sender);
        drop(shared);
        // Hears that its turn will not come.
        drop(evicted);
        Ok(Asked::Waits(turn, Waiting { admission: self.clone(), ticket }))
    }

    fn slot(&self) -> Slot {
        Slot { admission: self.clone(), taken: Instant::now(), load: Load::Unknown }
    }

    /// Gives free places to those whose turn it is.
    fn serve(&self) {
        loop {
            let mut shared = self.lock();
            if shared.queue.is_empty() || !shared.limit.try_take() {
                return;
            }
            let next = shared.queue.pop();
            drop(shared);
            // Without the lock: a slot that finds its caller gone is dropped, which gives the place back.
            let slot = self.slot();
            if let Some(next) = next {
                let _ = next.send(slot);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Every change completes under the lock, so a panicked holder leaves nothing half-done.
        self.shared.lock()
    }
}

impl Shared {
    fn come_back(&self, priority: Priority, tenant: u64) -> RetryAfter {
        let ahead = self.queue.ahead_of(priority, tenant);
        RetryAfter(self.limit.expected_wait(ahead + 1).max(LEAST_PAUSE))
    }
}

enum Asked {
    Admitted(Slot),
    Waits(oneshot::Receiver<Slot>, Waiting),
}

/// A caller in the queue; dropped, it leaves it.
struct Waiting {
    admission: Admission,
    ticket: Ticket,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.admission.lock().queue.remove(self.ticket);
    }
}

/// A place of one call. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Slot {
    admission: Admission,
    taken: Instant,
    load: Load,
}

impl Slot {
    /// What the call says about the target's load.
    pub fn learn(&mut self, load: Load) {
        self.load = load;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.lock().limit.give_back(self.load, self.taken, Instant::now());
        self.admission.serve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(places: u32, queue: usize) -> Admission {
        Admission::new(AdmissionConfig { initial: places, min: places, max: places, queue })
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    async fn waiting(admission: &Admission, count: usize) {
        while admission.snapshot().waiting.iter().sum::<usize>() != count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_place_is_handed_to_the_one_whose_turn_it_is() {
        let admission = admission(1, 10);
        let slot = admission.enter(Priority::Normal, 1, soon()).await.expect("free");
        let ask = |priority| {
            let admission = admission.clone();
            tokio::spawn(async move { admission.enter(priority, 1, soon()).await })
        };
        let batch = ask(Priority::Batch);
        waiting(&admission, 1).await;
        let interactive = ask(Priority::Interactive);
        waiting(&admission, 2).await;
        drop(slot);
        let first = interactive.await.expect("no panic").expect("its turn");
        assert!(!batch.is_finished());
        drop(first);
        drop(batch.await.expect("no panic").expect("its turn"));
        assert_eq!(admission.snapshot(), AdmissionSnapshot { limit: 1, in_flight: 0, waiting: [0; 3] });
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() {
        let admission = admission(1, 0);
        let _slot = admission.enter(Priority::Normal, 1, soon()).await.expect("free");
        let refused = admission.enter(Priority::Interactive, 2, soon()).await.expect_err("no room");
        assert!(refused.0 >= LEAST_PAUSE);
    }

    #[tokio::test]
    async fn one_that_waits_makes_room_for_a_more_urgent_one() {
        let admission = admission(1, 1);
        let slot = admission.enter(Priority::Normal, 1, soon()).await.expect("free");
        let batch = tokio::spawn({
            let admission = admission.clone();
            async move { admission.enter(Priority::Batch, 1, soon()).await.is_ok() }
        });
        waiting(&admission, 1).await;
        let urgent = tokio::spawn({
            let admission = admission.clone();
            async move { admission.enter(Priority::Interactive, 2, soon()).await.is_ok() }
        });
        assert!(!batch.await.expect("no panic"), "it hears so at once");
        drop(slot);
        assert!(urgent.await.expect("no panic"));
    }

    #[tokio::test]
    async fn a_tenant_that_has_to_wait_for_its_own_flood_does_not_shut_out_another() {
        let admission = admission(1, 100);
        // It has learnt that a call takes five seconds.
        let mut slot = admission.enter(Priority::Normal, 1, soon()).await.expect("free");
        slot.taken = slot.taken.checked_sub(Duration::from_secs(50)).expect("the machine has run for so long");
        slot.learn(Load::Fine);
        drop(slot);
        let slot = admission.enter(Priority::Normal, 1, soon()).await.expect("free");
        let ask = |tenant| {
            let admission = admission.clone();
            let patience = Deadline::after(Duration::from_secs(27));
            tokio::spawn(async move { admission.enter(Priority::Normal, tenant, patience).await.is_ok() })
        };
        for count in 1..=5 {
            drop(ask(1));
            waiting(&admission, count).await;
        }
        assert!(!ask(1).await.expect("no panic"), "a sixth would wait for thirty seconds");
        let other = ask(2);
        waiting(&admission, 6).await;
        drop(slot);
        assert!(other.await.expect("no panic"));
    }

    #[tokio::test]
    async fn whoever_goes_away_or_runs_out_of_time_leaves_the_queue() {
        let admission = admission(1, 10);
        let slot = admission.enter(Priority::Normal, 1, soon()).await.expect("free");
        let late = Deadline::after(Duration::from_millis(5));
        admission.enter(Priority::Normal, 1, late).await.expect_err("too late");
        let gone = tokio::spawn({
            let admission = admission.clone();
            async move { admission.enter(Priority::Normal, 1, soon()).await }
        });
        waiting(&admission, 1).await;
        gone.abort();
        waiting(&admission, 0).await;
        drop(slot);
        assert_eq!(admission.snapshot().in_flight, 0);
    }

    #[tokio::test]
    async fn many_callers_never_exceed_the_limit_and_all_places_come_back() {
        let admission = admission(3, 1000);
        let callers: Vec<_> = (0..200u64)
            .map(|tenant| {
                let admission = admission.clone();
                tokio::spawn(async move {
                    let slot = admission.enter(Priority::Normal, tenant % 5, soon()).await.expect("its turn");
                    assert!(admission.snapshot().in_flight <= 3);
                    tokio::task::yield_now().await;
                    drop(slot);
                })
            })
            .collect();
        for caller in callers {
            caller.await.expect("no panic");
        }
        assert_eq!(admission.snapshot(), AdmissionSnapshot { limit: 3, in_flight: 0, waiting: [0; 3] });
    }
}
