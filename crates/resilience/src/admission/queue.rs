//! Who waits, and whose turn is next: by priority, and within one in turn between tenants.

use std::collections::VecDeque;

/// How urgent a call is. A more urgent one always goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A person waits for it.
    Interactive,
    /// Nothing was said.
    #[default]
    Normal,
    /// Nobody waits for it.
    Batch,
}

impl Priority {
    /// Every priority, most urgent first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Normal, Self::Batch];

    /// The word that headers and metrics use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Normal => "normal",
            Self::Batch => "batch",
        }
    }
}

/// A bounded queue of waiters of the type `W`.
#[derive(Debug)]
pub(super) struct Queue<W> {
    capacity: usize,
    classes: [Class<W>; Priority::ALL.len()],
    next_ticket: u64,
}

/// Waiters of one priority; the tenant in front is next.
#[derive(Debug)]
struct Class<W> {
    tenants: VecDeque<Tenant<W>>,
}

#[derive(Debug)]
struct Tenant<W> {
    id: u64,
    waiters: VecDeque<(u64, W)>,
}

/// What names one waiter, to take it out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    priority: Priority,
    tenant: u64,
    number: u64,
}

impl<W> Queue<W> {
    pub(super) fn new(capacity: usize) -> Self {
        let classes = std::array::from_fn(|_| Class { tenants: VecDeque::new() });
        Self { capacity, classes, next_ticket: 0 }
    }

    /// How many of this priority wait.
    pub(super) fn waiting(&self, priority: Priority) -> usize {
        self.classes[priority as usize].tenants.iter().map(|tenant| tenant.waiters.len()).sum()
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(|class| class.tenants.is_empty())
    }

    /// How many are served before a newcomer of this tenant, if nobody else comes: all that are more urgent, its tenant's own,
    /// and of each other tenant no more than have their turn before it has.
    pub(super) fn ahead_of(&self, priority: Priority, tenant: u64) -> usize {
        let urgent = Priority::ALL.into_iter().filter(|other| *other < priority).map(|other| self.waiting(other));
        let tenants = &self.classes[priority as usize].tenants;
        let own = tenants.iter().find(|known| known.id == tenant).map_or(0, |own| own.waiters.len());
        let others = tenants.iter().filter(|known| known.id != tenant).map(|other| other.waiters.len().min(own + 1));
        urgent.chain([own]).chain(others).sum()
    }

    /// Whether a newcomer finds room. A full queue gives up the newest waiter of the least urgent priority, and there of
    /// the tenant with most of them; the newcomer itself is that one where it is no more urgent and its tenant has as many.
    pub(super) fn make_room(&mut self, priority: Priority, tenant: u64) -> Result<Option<W>, Full> {
        let waiting: usize = Priority::ALL.into_iter().map(|priority| self.waiting(priority)).sum();
        if waiting < self.capacity {
            return Ok(None);
        }
        let least = Priority::ALL.into_iter().rev().find(|priority| self.waiting(*priority) > 0);
        let Some(least) = least.filter(|least| *least >= priority) else { return Err(Full) };
        let class = &mut self.classes[least as usize];
        let own = class.tenants.iter().find(|known| known.id == tenant).map_or(0, |own| own.waiters.len());
        let largest = class.tenants.iter_mut().max_by_key(|tenant| tenant.waiters.len()).ok_or(Full)?;
        if least == priority && largest.waiters.len() <= own + 1 {
            return Err(Full);
        }
        let (id, evicted) = (largest.id, largest.waiters.pop_back());
        class.forget_if_empty(id);
        Ok(evicted.map(|(_, waiter)| waiter))
    }

    /// Adds a waiter, whether or not there is room.
    pub(super) fn push(&mut self, priority: Priority, tenant: u64, waiter: W) -> Ticket {
        let number = self.next_ticket;
        self.next_ticket += 1;
        let tenants = &mut self.classes[priority as usize].tenants;
        match tenants.iter_mut().find(|known| known.id == tenant) {
            Some(known) => known.waiters.push_back((number, waiter)),
            None => tenants.push_back(Tenant { id: tenant, waiters: [(number, waiter)].into() }),
        }
        Ticket { priority, tenant, number }
    }

    /// Takes out the one whose turn it is.
    pub(super) fn pop(&mut self) -> Option<W> {
        let class = self.classes.iter_mut().find(|class| !class.tenants.is_empty())?;
        let mut tenant = class.tenants.pop_front()?;
        let (_, waiter) = tenant.waiters.pop_front()?;
        if !tenant.waiters.is_empty() {
            class.tenants.push_back(tenant);
        }
        Some(waiter)
    }

    /// Takes out one that does not wait any longer.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        let class = &mut self.classes[ticket.priority as usize];
        if let Some(tenant) = class.tenants.iter_mut().find(|tenant| tenant.id == ticket.tenant) {
            tenant.waiters.retain(|(number, _)| *number != ticket.number);
        }
        class.forget_if_empty(ticket.tenant);
    }
}

impl<W> Class<W> {
    fn forget_if_empty(&mut self, tenant: u64) {
        self.tenants.retain(|known| known.id != tenant || !known.waiters.is_empty());
    }
}

/// There is no room for the newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Priority::{Batch, Interactive, Normal};
    use super::*;

    #[test]
    fn the_urgent_go_first_and_tenants_take_turns() {
        let mut queue = Queue::new(10);
        for (priority, tenant, waiter) in [
            (Batch, 1, "b1"),
            (Normal, 1, "n1"),
            (Normal, 1, "n1'"),
            (Normal, 1, "n1''"),
            (Normal, 2, "n2"),
            (Interactive, 3, "i3"),
        ] {
            queue.push(priority, tenant, waiter);
        }
        let served: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(served, ["i3", "n1", "n2", "n1'", "n1''", "b1"]);
    }

    #[test]
    fn a_full_queue_gives_up_the_least_urgent_of_whoever_has_most() {
        let mut queue = Queue::new(3);
        queue.push(Batch, 1, "old");
        queue.push(Batch, 1, "new");
        queue.push(Batch, 2, "other");
        assert_eq!(queue.make_room(Interactive, 9), Ok(Some("new")));
        queue.push(Interactive, 9, "i");
        assert_eq!(queue.make_room(Batch, 1), Err(Full), "nobody has more than it would have");
        assert_eq!(queue.make_room(Normal, 1), Ok(Some("other")), "the last of those that have as many");
    }

    #[test]
    fn a_tenant_that_fills_the_queue_makes_room_for_the_others() {
        let mut queue = Queue::new(4);
        for waiter in 0..4 {
            queue.push(Normal, 1, waiter);
        }
        assert_eq!(queue.make_room(Normal, 1), Err(Full));
        assert_eq!(queue.make_room(Normal, 2), Ok(Some(3)));
        assert_eq!(queue.make_room(Batch, 2), Ok(None));
    }

    proptest! {
        #[test]
        fn it_serves_everyone_once_in_order_of_urgency_and_never_one_tenant_twice_while_another_waits(
            newcomers in prop::collection::vec((0usize..3, 0u64..4), 0..40),
        ) {
            let mut queue = Queue::new(100);
            for (index, (priority, tenant)) in newcomers.iter().enumerate() {
                queue.push(Priority::ALL[*priority], *tenant, index);
            }
            let served: Vec<usize> = std::iter::from_fn(|| queue.pop()).collect();
            let mut sorted = served.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..newcomers.len()).collect::<Vec<_>>());
            prop_assert!(served.iter().map(|index| newcomers[*index].0).is_sorted());
            for (turn, pair) in served.windows(2).enumerate() {
                let (one, next) = (newcomers[pair[0]], newcomers[pair[1]]);
                if one == next {
                    let another = served[turn + 2..].iter().any(|index| newcomers[*index].0 == one.0 && newcomers[*index].1 != one.1);
                    prop_assert!(!another, "another tenant was kept waiting: {:?}", served);
                }
            }
        }

        #[test]
        fn a_newcomer_is_served_as_soon_as_it_was_told(
            newcomers in prop::collection::vec((0usize..3, 0u64..4), 0..40), priority in 0usize..3, tenant in 0u64..5,
        ) {
            let mut queue = Queue::new(100);
            for (priority, tenant) in newcomers {
                queue.push(Priority::ALL[priority], tenant, false);
            }
            let ahead = queue.ahead_of(Priority::ALL[priority], tenant);
            queue.push(Priority::ALL[priority], tenant, true);
            let served = std::iter::from_fn(|| queue.pop()).take_while(|is_newcomer| !is_newcomer).count();
            prop_assert!(served <= ahead, "{} before it, and not {}", served, ahead);
        }

        #[test]
        fn it_never_holds_more_than_its_capacity(
            capacity in 0usize..6,
            newcomers in prop::collection::vec((0usize..3, 0u64..3), 0..40),
        ) {
            let mut queue = Queue::new(capacity);
            for (priority, tenant) in newcomers {
                let priority = Priority::ALL[priority];
                if queue.make_room(priority, tenant).is_ok() {
                    queue.push(priority, tenant, ());
                }
                prop_assert!(Priority::ALL.map(|priority| queue.waiting(priority)).iter().sum::<usize>() <= capacity);
            }
        }

        #[test]
        fn one_that_gave_up_is_never_served(newcomers in prop::collection::vec((0usize..3, 0u64..3, any::<bool>()), 0..30)) {
            let mut queue = Queue::new(100);
            let tickets: Vec<_> = newcomers
                .iter()
                .enumerate()
                .map(|(index, (priority, tenant, _))| queue.push(Priority::ALL[*priority], *tenant, index))
                .collect();
            for (ticket, _) in tickets.into_iter().zip(&newcomers).filter(|(_, (_, _, gives_up))| *gives_up) {
                queue.remove(ticket);
            }
            let mut served: Vec<usize> = std::iter::from_fn(|| queue.pop()).collect();
            served.sort_unstable();
            let expected: Vec<usize> = (0..newcomers.len()).filter(|index| !newcomers[*index].2).collect();
            prop_assert_eq!(served, expected);
        }
    }
}
