//! Callers that wait for a request's end. What happens here wakes them at once, and what other replicas do, as soon as
//! these say so; what was not heard is found by one look a second for all of them: who waits costs the database nothing
//! meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use vx11_contracts::identity::OrgId;
use vx11_contracts::intervention::Intervention;

/// Everybody who waits here. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Waiters {
    orgs: Arc<Mutex<HashMap<OrgId, Org>>>,
    /// Most who wait at a time, of one organisation.
    most: usize,
}

#[derive(Debug, Default)]
struct Org {
    waiting: usize,
    requests: HashMap<String, Wanted>,
}

/// A request that somebody waits for.
#[derive(Debug)]
struct Wanted {
    waiting: usize,
    ended: watch::Sender<Option<Arc<Intervention>>>,
}

/// One who waits, until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    waiters: Waiters,
    org: OrgId,
    id: String,
    ended: watch::Receiver<Option<Arc<Intervention>>>,
}

impl Waiters {
    /// At most `most` of one organisation.
    pub(crate) fn new(most: usize) -> Self {
        Self { orgs: Arc::default(), most }
    }

    /// Begins to wait for the end of a request; `None` where too many of the organisation wait already. What ended
    /// before is not told: whoever begins looks then.
    pub(crate) fn enter(&self, org: &OrgId, id: &str) -> Option<Waiter> {
        let mut orgs = self.orgs.lock();
        let place = orgs.entry(org.clone()).or_default();
        if place.waiting >= self.most {
            return None;
        }
        place.waiting += 1;
        let wanted = place.requests.entry(id.to_owned());
        let wanted = wanted.or_insert_with(|| Wanted { waiting: 0, ended: watch::Sender::new(None) });
        wanted.waiting += 1;
        let ended = wanted.ended.subscribe();
        drop(orgs);
        Some(Waiter { waiters: self.clone(), org: org.clone(), id: id.to_owned(), ended })
    }

    /// Tells those who wait for `request`, if it has ended.
    pub(crate) fn tell(&self, request: &Intervention) {
        if request.status.is_open() {
            return;
        }
        let Ok(org) = request.org_id.parse::<OrgId>() else { return };
        let orgs = self.orgs.lock();
        if let Some(wanted) = orgs.get(&org).and_then(|org| org.requests.get(&request.request_id)) {
            wanted.ended.send_replace(Some(Arc::new(request.clone())));
        }
    }

    /// Whether anybody waits for a request.
    pub(crate) fn is_waited_for(&self, org: &OrgId, id: &str) -> bool {
        self.orgs.lock().get(org).is_some_and(|org| org.requests.contains_key(id))
    }

    /// What is waited for, by organisation, in lots of at most `lot` requests.
    pub(crate) fn wanted(&self, lot: usize) -> Vec<Vec<(OrgId, Vec<String>)>> {
        let orgs = self.orgs.lock();
        let mut lots: Vec<Vec<(OrgId, Vec<String>)>> = Vec::new();
        let mut room = 0;
        for (org, place) in &*orgs {
            let ids: Vec<String> = place.requests.keys().cloned().collect();
            let mut ids = ids.as_slice();
            while !ids.is_empty() {
                if room == 0 {
                    lots.push(Vec::new());
                    room = lot.max(1);
                }
                let (now, later) = ids.split_at(room.min(ids.len()));
                if let Some(last) = lots.last_mut() {
                    last.push((org.clone(), now.to_vec()));
                }
                room -= now.len();
                ids = later;
            }
        }
        lots
    }
}

impl Waiter {
    /// The request, once it has ended.
    pub(crate) async fn ended(&mut self) -> Intervention {
        match self.ended.wait_for(Option::is_some).await.map(|ended| ended.clone()) {
            Ok(Some(ended)) => Intervention::clone(&ended),
            // It is sent from as long as somebody waits.
            _ => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut orgs = self.waiters.orgs.lock();
        let Some(org) = orgs.get_mut(&self.org) else { return };
        org.waiting -= 1;
        if let Some(wanted) = org.requests.get_mut(&self.id) {
            wanted.waiting -= 1;
            if wanted.waiting == 0 {
                org.requests.remove(&self.id);
            }
        }
        if org.waiting == 0 {
            orgs.remove(&self.org);
        }
    }
}

#[cfg(test)]
mod tests {
    use vx11_contracts::intervention::{AnswerFormat, CreateIntervention, Status};

    use super::*;
    use crate::domain::intervention::{Asked, open};

    fn org(id: &str) -> OrgId {
        id.parse().expect("an id")
    }

    fn request(org: &str, id: &str, status: Status) -> Intervention {
        let asked = Asked {
            org_id: org.to_owned(),
            by: "agent".to_owned(),
            request_id: id.to_owned(),
            correlation_id: None,
            format: AnswerFormat::Vx11,
        };
        Intervention { status, ..open(CreateIntervention::new("t"), asked, jiff::Timestamp::UNIX_EPOCH) }
    }

    #[tokio::test]
    async fn all_who_wait_for_a_request_hear_of_its_end_and_nobody_else_does() {
        let waiters = Waiters::new(10);
        let enter = |of: &str, id: &str| waiters.enter(&org(of), id).expect("there is room");
        let (mut one, mut two, mut other) = (enter("acme", "r"), enter("acme", "r"), enter("globex", "r"));
        waiters.tell(&request("acme", "r", Status::InProgress));
        waiters.tell(&request("acme", "q", Status::Approved));
        waiters.tell(&request("acme", "r", Status::Approved));
        assert_eq!((one.ended().await.status, two.ended().await.status), (Status::Approved, Status::Approved));
        assert!(futures_util::FutureExt::now_or_never(other.ended()).is_none());
    }

    #[test]
    fn an_organisation_has_its_bound_and_who_leaves_makes_room() {
        let waiters = Waiters::new(2);
        let held = (waiters.enter(&org("acme"), "r"), waiters.enter(&org("acme"), "q"));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(waiters.enter(&org("acme"), "r").is_none());
        assert!(waiters.enter(&org("globex"), "r").is_some(), "another one's room is its own");
        drop(held.0);
        assert!(waiters.enter(&org("acme"), "r").is_some());
        drop(held.1);
        assert!(waiters.orgs.lock().is_empty(), "nothing is left of who has left");
    }

    #[test]
    fn a_thousand_who_wait_are_a_few_looks() {
        let waiters = Waiters::new(10_000);
        let enter = |of: &str, n: usize| waiters.enter(&org(of), &format!("r{n}")).expect("there is room");
        let _held: Vec<Waiter> =
            (0..1000).map(|n| enter("acme", n)).chain((0..1000).map(|n| enter("globex", n % 10))).collect();
        let lots = waiters.wanted(250);
        let sizes: Vec<usize> = lots.iter().map(|lot| lot.iter().map(|(_, ids)| ids.len()).sum()).collect();
        assert_eq!((sizes.iter().sum::<usize>(), sizes.len()), (1010, 5), "one for each request, however many wait");
        assert!(sizes.iter().all(|size| *size <= 250));
    }
}
