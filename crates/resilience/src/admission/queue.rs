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

    /// How many are served before a newcomer of this tenant, if nobody else comes and nobody gives up: those of its own
    /// line, and of every other one those whose turn is due until then.
    pub(super) fn ahead_of(&self, priority: Priority, tenant: u64) -> usize {
        let own = self.line(priority, tenant);
        let due = own.map_or(self.clock + priority.cost(), |own| own.due + own.waiters.len() as u64 * priority.cost());
        let turns_until_then = |line: &Line<W>| {
            let turns = due.checked_sub(line.due).map_or(0, |time| match line.priority > priority {
                // A less urgent one that is due at the same time comes after it.
                true => time.div_ceil(line.priority.cost()),
                false => time / line.priority.cost() + 1,
            });
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
mod tests;
