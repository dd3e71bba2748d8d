//! Who waits, and whose turn is next: tenants take turns, and have the more of them the more urgent their calls are.
//!
//! Callers say themselves how urgent their calls are, so that no priority may shut out another one. A line is what one
//! tenant has waiting of one priority, and the lines are served by self-clocked fair queueing (Golestani, 1994): a turn
//! costs its line the more the less urgent it is, and a line is due again once that is paid off. Whatever a tenant has
//! waiting, another one's batch is served after sixteen of its interactive calls at most, an interactive call after one
//! of each line.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

/// How urgent a call is: the more urgent, the more turns its tenant has.
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

    /// How much of its tenant's time one turn takes: four turns of one priority are worth one of the next.
    const fn cost(self) -> u64 {
        match self {
            Self::Interactive => 1,
            Self::Normal => 4,
            Self::Batch => 16,
        }
    }
}

/// A bounded queue of waiters of the type `W`.
#[derive(Debug)]
pub(super) struct Queue<W> {
    capacity: usize,
    /// Those in which somebody waits.
    lines: Vec<Line<W>>,
    /// When the turn was due that was served last.
    clock: u64,
    next_ticket: u64,
}

/// What one tenant has waiting of one priority.
#[derive(Debug)]
struct Line<W> {
    tenant: u64,
    priority: Priority,
    /// When its next turn is due, by the queue's clock.
    due: u64,
    waiters: VecDeque<(u64, W)>,
}

/// What names one waiter, to take it out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    priority: Priority,
    tenant: u64,
    number: u64,
}

/// What one tenant has waiting: how many, and how urgent the least urgent are.
type Holding = (usize, Priority);

impl<W> Queue<W> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, lines: Vec::new(), clock: 0, next_ticket: 0 }
    }

    /// How many of this priority wait.
    pub(super) fn waiting(&self, priority: Priority) -> usize {
        self.lines.iter().filter(|line| line.priority == priority).map(|line| line.waiters.len()).sum()
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many are served before a newcomer of this tenant, if nobody else comes: those of its own line, and of every
    /// other one those whose turn is due until then.
    pub(super) fn ahead_of(&self, priority: Priority, tenant: u64) -> usize {
        let own = self.line(priority, tenant);
        let due = own.map_or(self.clock + priority.cost(), |own| own.due + own.waiters.len() as u64 * priority.cost());
        let turns_until_then = |line: &Line<W>| {
            let turns = due.checked_sub(line.due).map_or(0, |time| time / line.priority.cost() + 1);
            usize::try_from(turns).unwrap_or(usize::MAX).min(line.waiters.len())
        };
        let is_own = |line: &Line<W>| (line.priority, line.tenant) == (priority, tenant);
        let others = self.lines.iter().filter(|line| !is_own(line)).map(turns_until_then).sum::<usize>();
        others + own.map_or(0, |own| own.waiters.len())
    }

    /// Whether a newcomer finds room. A full queue gives up the newest of the least urgent waiters of the tenant with
    /// most of them, where the newcomer's has at least two fewer. One that has one fewer, or is that tenant itself,
    /// displaces what is less urgent than the newcomer, and nothing else.
    pub(super) fn make_room(&mut self, priority: Priority, tenant: u64) -> Result<Option<W>, Full> {
        if self.lines.iter().map(|line| line.waiters.len()).sum::<usize>() < self.capacity {
            return Ok(None);
        }
        let holdings = self.holdings();
        let own = holdings.get(&tenant).map_or(0, |(waiting, _)| *waiting);
        let gives_way = |other: u64, (waiting, least): Holding| match waiting.cmp(&(own + 1)) {
            _ if other == tenant => least > priority,
            Ordering::Greater => true,
            Ordering::Equal => least > priority,
            Ordering::Less => false,
        };
        let victims = holdings.into_iter().filter(|(other, holding)| gives_way(*other, *holding));
        // Of equals the one with the higher number, so that it does not depend on how they are kept.
        let (victim, (_, least)) = victims.max_by_key(|(other, holding)| (*holding, *other)).ok_or(Full)?;
        let line = self.lines.iter_mut().find(|line| (line.priority, line.tenant) == (least, victim)).ok_or(Full)?;
        let evicted = line.waiters.pop_back();
        self.forget_empty();
        Ok(evicted.map(|(_, waiter)| waiter))
    }

    /// Adds a waiter, whether or not there is room.
    pub(super) fn push(&mut self, priority: Priority, tenant: u64, waiter: W) -> Ticket {
        let number = self.next_ticket;
        self.next_ticket += 1;
        match self.lines.iter_mut().find(|line| (line.priority, line.tenant) == (priority, tenant)) {
            Some(line) => line.waiters.push_back((number, waiter)),
            None => {
                let due = self.clock + priority.cost();
                self.lines.push(Line { tenant, priority, due, waiters: [(number, waiter)].into() });
            }
        }
        Ticket { priority, tenant, number }
    }

    /// Takes out the one whose turn it is. Of turns that are due at the same time the more urgent one comes first, then
    /// the one that has waited longer.
    pub(super) fn pop(&mut self) -> Option<W> {
        let turn = |line: &&mut Line<W>| (line.due, line.priority, line.waiters.front().map(|(number, _)| *number));
        let line = self.lines.iter_mut().min_by_key(turn)?;
        self.clock = line.due;
        line.due += line.priority.cost();
        let next = line.waiters.pop_front();
        self.forget_empty();
        next.map(|(_, waiter)| waiter)
    }

    /// Takes out one that does not wait any longer.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        let is_its = |line: &&mut Line<W>| (line.priority, line.tenant) == (ticket.priority, ticket.tenant);
        if let Some(line) = self.lines.iter_mut().find(is_its) {
            line.waiters.retain(|(number, _)| *number != ticket.number);
            self.forget_empty();
        }
    }

    fn line(&self, priority: Priority, tenant: u64) -> Option<&Line<W>> {
        self.lines.iter().find(|line| (line.priority, line.tenant) == (priority, tenant))
    }

    /// What each tenant has waiting.
    fn holdings(&self) -> HashMap<u64, Holding> {
        let mut holdings = HashMap::new();
        for line in &self.lines {
            let (waiting, least) = holdings.entry(line.tenant).or_insert((0, line.priority));
            *waiting += line.waiters.len();
            *least = line.priority.max(*least);
        }
        holdings
    }

    /// A line that nobody waits in has no claim to anything: its next turn is due as that of any newcomer.
    fn forget_empty(&mut self) {
        self.lines.retain(|line| !line.waiters.is_empty());
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

    /// Serves as many as `count`.
    fn served<W>(queue: &mut Queue<W>, count: usize) -> Vec<W> {
        std::iter::from_fn(|| queue.pop()).take(count).collect()
    }

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
        assert_eq!(served(&mut queue, 10), ["i3", "n1", "n2", "n1'", "n1''", "b1"]);
    }

    #[test]
    fn a_flood_of_urgent_calls_is_its_own_tenants_wait() {
        let mut queue = Queue::new(1000);
        for _ in 0..500 {
            queue.push(Interactive, 1, "flood");
        }
        for _ in 0..3 {
            queue.push(Normal, 2, "normal");
        }
        queue.push(Batch, 3, "batch");
        queue.push(Interactive, 4, "interactive");
        let served = served(&mut queue, 40);
        let at =
            |which| served.iter().enumerate().filter(|(_, who)| **who == which).map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(at("interactive"), [1], "in turn with the flood");
        assert_eq!(at("normal"), [5, 10, 15], "every fifth");
        assert_eq!(at("batch"), [20], "one for sixteen, and for four of the others");
    }

    #[test]
    fn many_tenants_are_kept_waiting_by_the_flood_of_one_no_longer_than_by_any_other() {
        let mut queue = Queue::new(10_000);
        for _ in 0..1000 {
            queue.push(Interactive, 0, 0);
        }
        for tenant in 1..=20 {
            for _ in 0..10 {
                queue.push(Normal, tenant, tenant);
            }
        }
        let served = served(&mut queue, 240);
        for tenant in 1..=20 {
            assert_eq!(
                served.iter().filter(|who| **who == tenant).count(),
                10,
                "{tenant}: all, while the flood got forty"
            );
        }
    }

    #[test]
    fn whoever_keeps_coming_back_with_urgent_calls_starves_nobody() {
        let mut queue = Queue::new(10);
        queue.push(Batch, 1, "batch");
        let turns = (0..100).take_while(|_| {
            queue.push(Interactive, 2, "urgent");
            queue.pop() == Some("urgent")
        });
        assert_eq!(turns.count(), 16);
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
        assert_eq!(queue.make_room(Interactive, 3), Ok(Some("other")), "one of those that have as many");
        queue.push(Interactive, 3, "j");
        assert_eq!(queue.make_room(Interactive, 1), Ok(Some("old")), "its own gives way to what is more urgent");
    }

    #[test]
    fn a_tenant_that_fills_the_queue_makes_room_for_the_others() {
        for flood in Priority::ALL {
            let mut queue = Queue::new(4);
            for waiter in 0..4 {
                queue.push(flood, 1, waiter);
            }
            assert_eq!(queue.make_room(flood, 1), Err(Full));
            assert_eq!(queue.make_room(Batch, 2), Ok(Some(3)), "however urgent the flood is");
            assert_eq!(queue.make_room(Batch, 2), Ok(None));
        }
    }

    #[test]
    fn a_flood_of_urgent_calls_takes_nobodys_place() {
        let mut queue = Queue::new(6);
        for tenant in [2, 2, 3, 3] {
            queue.push(Normal, tenant, "normal");
        }
        let room: Vec<bool> = (0..10)
            .map(|_| {
                let room = queue.make_room(Interactive, 1);
                let _ = room.is_ok().then(|| queue.push(Interactive, 1, "flood"));
                room.is_ok()
            })
            .collect();
        assert_eq!(room.iter().filter(|found| **found).count(), 2, "those that are free");
        assert_eq!((queue.waiting(Interactive), queue.waiting(Normal)), (2, 4));
    }

    proptest! {
        #[test]
        fn it_serves_everyone_once_and_each_line_in_the_order_of_its_coming(
            newcomers in prop::collection::vec((0usize..3, 0u64..4), 0..40),
        ) {
            let mut queue = Queue::new(100);
            for (index, (priority, tenant)) in newcomers.iter().enumerate() {
                queue.push(Priority::ALL[*priority], *tenant, index);
            }
            let served = served(&mut queue, 100);
            let mut sorted = served.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..newcomers.len()).collect::<Vec<_>>());
            for line in &newcomers {
                prop_assert!(served.iter().filter(|index| newcomers[**index] == *line).is_sorted());
            }
        }

        #[test]
        fn tenants_that_both_wait_get_what_their_priorities_are_worth(
            waiting in prop::collection::vec((0usize..3, 1usize..200), 2..6),
        ) {
            let mut queue = Queue::new(2000);
            for (tenant, (priority, count)) in waiting.iter().enumerate() {
                (0..*count).for_each(|_| _ = queue.push(Priority::ALL[*priority], tenant as u64, tenant));
            }
            let mut turns = vec![0; waiting.len()];
            while let Some(tenant) = queue.pop() {
                turns[tenant] += 1;
                let mut who_wait = (0..waiting.len()).filter(|tenant| turns[*tenant] < waiting[*tenant].1).map(|tenant| {
                    let cost = Priority::ALL[waiting[tenant].0].cost();
                    (turns[tenant] as u64 * cost, cost)
                });
                let Some((first, _)) = who_wait.next() else { continue };
                for (other, cost) in who_wait {
                    prop_assert!(first.abs_diff(other) <= 16.max(cost), "{turns:?} of {waiting:?}");
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
