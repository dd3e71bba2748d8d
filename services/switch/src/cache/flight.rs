//! One call for several requests: whoever asks the same while it is on its way takes a seat.
//!
//! The call runs in a task of its own, so that it outlives the request that it began for, and ends when the last seat
//! is given up. A streamed answer is held from its beginning for those who come later, up to [`MOST`] bytes; beyond
//! that nobody can join, what everybody has read is let go, and the call waits for who is behind: for [`PATIENCE`],
//! after which who is still behind loses the seat, so that the others can go on.
//!
//! Whatever becomes of the task, everybody learns of it: a lead that is dropped without an end leaves [`End::Lost`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use vx11_chassis::sse::Frame;
use vx11_contracts::chat::Usage;
use vx11_resilience::Priority;

use super::{Cache, Entry, Key};
use crate::domain::failover::{Tried, Unanswered};
use crate::domain::outcome::Outcome;

/// Most bytes of a stream that are held.
const MOST: usize = 1024 * 1024;
/// How long the slowest reader of a stream that is not held any more may keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// In which form a request wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As one body.
    Whole,
    /// As a stream.
    Stream,
}

/// Who answers.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Every target that was tried, by its place in the list of the request that the call is made for.
    pub(crate) tried: Vec<Tried>,
    /// The provider's name for the request.
    pub(crate) request_id: Option<String>,
    pub(crate) provider: Box<str>,
    pub(crate) model: Arc<str>,
}

/// How the call ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// With a whole answer.
    Landed(Landed),
    /// With an answer that will not be finished.
    Broken(Outcome),
    /// Without any.
    Unanswered(Arc<Unanswered>),
    /// Nobody knows how: the task is gone.
    Lost,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Landed {
    pub(crate) head: Arc<Head>,
    /// `None` where the chunks that it came in are not clear, or too many, to be put together.
    pub(crate) entry: Option<Arc<Entry>>,
    /// What the caller is told that it spent.
    pub(crate) usage: Option<Usage>,
}

/// How an answer begins.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// As a stream, which [`Seat::next`] gives.
    Stream(Arc<Head>),
    /// It has ended already.
    End(End),
}

/// What is known with an event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    /// The usage as far as it was told.
    pub(crate) usage: Option<Usage>,
    /// Whether the event is in the caller's own wire, though that is not the pivot.
    pub(crate) is_native: bool,
}

/// What comes next of a stream.
#[derive(Debug)]
pub(crate) enum Next {
    Frame(Frame, Said),
    End(End),
}

/// A call on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    state: Mutex<State>,
    /// There is something new for the seats.
    told: Notify,
    /// A seat has moved on, or was given up.
    moved: Notify,
    patience: Duration,
    /// In whose turn it waits where a provider is busy.
    priority: Priority,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Arc<Head>>,
    frames: VecDeque<(Frame, Said)>,
    /// The number of the first frame that is held.
    first: usize,
    bytes: usize,
    /// Whether there is more than is held.
    is_long: bool,
    /// The number of the frame that each of them reads next; those who want one body read none.
    seats: BTreeMap<u64, usize>,
    last_seat: u64,
    end: Option<End>,
}

/// Begins a call for `key` as urgent as that: the one who makes it, and the first seat.
pub(super) fn depart(cache: Arc<Cache>, key: Key, priority: Priority, form: Form) -> (Lead, Seat) {
    let lead = Lead { cache, key, flight: Flight::new(PATIENCE, priority) };
    let seat = lead.flight.sit(&mut lead.flight.state(), form);
    (lead, seat)
}

impl Flight {
    fn new(patience: Duration, priority: Priority) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), told: Notify::new(), moved: Notify::new(), patience, priority })
    }

    /// A seat, unless it is too late for one, or who asks would wait in the turn of somebody less urgent.
    pub(super) fn board(self: &Arc<Self>, priority: Priority, form: Form) -> Option<Seat> {
        if self.priority > priority {
            return None;
        }
        let mut state = self.state();
        let open = state.end.is_none() && !state.is_long && !state.seats.is_empty();
        open.then(|| self.sit(&mut state, form))
    }

    /// How many seats are taken.
    pub(super) fn seats(&self) -> usize {
        self.state().seats.len()
    }

    fn sit(self: &Arc<Self>, state: &mut State, form: Form) -> Seat {
        state.last_seat += 1;
        let reads = if form == Form::Stream { 0 } else { usize::MAX };
        state.seats.insert(state.last_seat, reads);
        Seat { flight: self.clone(), number: state.last_seat }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Waits until `look` finds what it looks for; it looks again whenever `changed` says so.
    async fn wait<T>(&self, changed: &Notify, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut change = std::pin::pin!(changed.notified());
            // From here on no change is missed.
            change.as_mut().enable();
            if let Some(found) = look(&mut self.state()) {
                return found;
            }
            change.await;
        }
    }
}

impl State {
    /// Lets go of what everybody has read.
    fn trim(&mut self) {
        let needed = self.seats.values().copied().min().unwrap_or(usize::MAX);
        while self.first < needed {
            let Some((frame, _)) = self.frames.pop_front() else { break };
            self.first += 1;
            self.bytes -= frame.raw.len();
        }
    }

    /// Takes the seats of those who are furthest behind, where others are further.
    fn leave_behind(&mut self) {
        let Some(last) = self.seats.values().copied().min() else { return };
        if self.seats.values().any(|reads| *reads > last) {
            self.seats.retain(|_, reads| *reads > last);
            self.trim();
        }
    }
}

/// The one who makes the call.
#[derive(Debug)]
pub(crate) struct Lead {
    pub(crate) cache: Arc<Cache>,
    key: Key,
    flight: Arc<Flight>,
}

impl Lead {
    pub(super) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// Completes when nobody waits for the answer any more.
    pub(crate) async fn abandoned(&self) {
        self.flight.wait(&self.flight.moved, |state| state.seats.is_empty().then_some(())).await;
    }

    /// The answer begins, as a stream.
    pub(crate) fn begin(&self, head: Arc<Head>) {
        self.flight.state().head = Some(head);
        self.flight.told.notify_waiters();
    }

    /// The next event of the stream. Waits for readers where more than is held was told.
    pub(crate) async fn tell(&self, frame: Frame, said: Said) {
        let flight = &*self.flight;
        let size = frame.raw.len();
        let has_room = |state: &mut State| {
            if state.bytes > 0 && state.bytes + size > MOST {
                state.is_long = true;
                state.trim();
            }
            (state.bytes == 0 || state.bytes + size <= MOST).then_some(())
        };
        while tokio::time::timeout(flight.patience, flight.wait(&flight.moved, has_room)).await.is_err() {
            flight.state().leave_behind();
            flight.told.notify_waiters();
        }
        let mut state = flight.state();
        state.bytes += size;
        state.frames.push_back((frame, said));
        drop(state);
        flight.told.notify_waiters();
    }

    /// The answer is whole; it is kept where `keeps` says so.
    pub(crate) fn land(self, landed: Landed, keeps: bool) {
        if let Some(entry) = landed.entry.as_ref().filter(|_| keeps) {
            self.cache.keep(self.key, entry.clone());
        }
        self.end(End::Landed(landed));
    }

    /// There will be no whole answer.
    pub(crate) fn end(self, end: End) {
        self.set_end(end);
    }

    fn set_end(&self, end: End) {
        self.cache.close(&self.key, &self.flight);
        self.flight.state().end.get_or_insert(end);
        self.flight.told.notify_waiters();
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.set_end(End::Lost);
    }
}

/// One request's part in a call. To drop it is to give it up.
#[derive(Debug)]
pub(crate) struct Seat {
    flight: Arc<Flight>,
    number: u64,
}

impl Seat {
    /// Waits until the answer begins.
    pub(crate) async fn beginning(&self) -> Beginning {
        let look = |state: &mut State| match (&state.head, &state.end) {
            (Some(head), _) => Some(Beginning::Stream(head.clone())),
            (None, Some(end)) => Some(Beginning::End(end.clone())),
            (None, None) => None,
        };
        self.flight.wait(&self.flight.told, look).await
    }

    /// Waits until the call has ended.
    pub(crate) async fn end(&self) -> End {
        self.flight.wait(&self.flight.told, |state| state.end.clone()).await
    }

    /// What comes next of the stream.
    pub(crate) async fn next(&self) -> Next {
        let next = self.flight.wait(&self.flight.told, |state| state.next(self.number)).await;
        if self.flight.state().is_long {
            self.flight.moved.notify_waiters();
        }
        next
    }
}

impl State {
    fn next(&mut self, seat: u64) -> Option<Next> {
        let Some(reads) = self.seats.get_mut(&seat) else { return Some(Next::End(End::Broken(Outcome::Stalled))) };
        match self.frames.get(*reads - self.first) {
            Some((frame, said)) => {
                *reads += 1;
                let next = Next::Frame(frame.clone(), *said);
                if self.is_long {
                    self.trim();
                }
                Some(next)
            }
            None => self.end.clone().map(Next::End),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.flight.state();
        state.seats.remove(&self.number);
        if state.is_long {
            state.trim();
        }
        drop(state);
        self.flight.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
