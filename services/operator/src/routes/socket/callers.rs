//! How many sockets each caller has open: a few, of which the oldest makes room for a new one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use vx11_contracts::identity::{OrgId, Principal};

/// Open sockets by caller. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Callers(Arc<Mutex<HashMap<Key, VecDeque<Arc<Notify>>>>>);

type Key = (OrgId, Arc<str>);

/// One socket's place, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    callers: Callers,
    key: Key,
    leave: Arc<Notify>,
}

impl Callers {
    /// A place for a socket of `caller`, which has at most `most`: its oldest one is told to leave.
    pub(super) fn enter(&self, caller: &Principal, most: usize) -> Place {
        let (key, leave) = ((caller.org.clone(), caller.subject.clone()), Arc::<Notify>::default());
        let mut open = self.0.lock();
        let places = open.entry(key.clone()).or_default();
        while places.len() >= most.max(1) {
            let Some(oldest) = places.pop_front() else { break };
            oldest.notify_one();
        }
        places.push_back(leave.clone());
        drop(open);
        Place { callers: self.clone(), key, leave }
    }
}

impl Place {
    /// Ends when a newer socket of the same caller has taken this place.
    pub(super) async fn is_taken(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.callers.0.lock();
        let Some(places) = open.get_mut(&self.key) else { return };
        places.retain(|place| !Arc::ptr_eq(place, &self.leave));
        if places.is_empty() {
            open.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_oldest_socket_of_a_caller_makes_room_and_nobody_elses() {
        let (callers, ann) = (Callers::default(), Principal { subject: "ann".into(), ..Principal::service() });
        let bob = Principal { subject: "bob".into(), ..Principal::service() };
        let (oldest, other, of_bob) = (callers.enter(&ann, 2), callers.enter(&ann, 2), callers.enter(&bob, 2));
        assert!(oldest.is_taken().now_or_never().is_none());
        let newest = callers.enter(&ann, 2);
        assert!(oldest.is_taken().now_or_never().is_some());
        assert!([&other, &of_bob, &newest].iter().all(|place| place.is_taken().now_or_never().is_none()));
        drop((oldest, other));
        let again = callers.enter(&ann, 2);
        assert!(newest.is_taken().now_or_never().is_none(), "who has left has made room");
        drop((newest, again, of_bob));
        assert!(callers.0.lock().is_empty(), "nothing is left of who has left");
    }
}
