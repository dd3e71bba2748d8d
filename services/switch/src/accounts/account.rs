//! A key as the gateway knows it: whose it is, what it may ask for, and the meters that its requests run through.

use std::sync::Arc;

use parking_lot::Mutex;

use super::money::Usd;
use super::period::{Period, Window};
use crate::domain::name_pattern::NamePattern;

/// What one request takes of its limits: reserved before the call, settled after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    /// 1, however the request ends; 0 for one that was never let in.
    pub(crate) requests: u64,
    /// Tokens read and written.
    pub(crate) tokens: u64,
    /// What they cost.
    pub(crate) money: Usd,
}

impl Amounts {
    /// Both together.
    #[must_use]
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
            money: self.money.plus(other.money),
        }
    }
}

/// What a meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unit {
    Requests,
    Tokens,
    /// In pico-dollars.
    Money,
}

impl Unit {
    /// Every one.
    pub(crate) const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Money];

    /// The unit as it stands in names and labels.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Money => "money",
        }
    }

    /// How much of `amounts` a meter of this unit counts.
    pub(crate) const fn of(self, amounts: &Amounts) -> u64 {
        match self {
            Self::Requests => amounts.requests,
            Self::Tokens => amounts.tokens,
            Self::Money => amounts.money.picos(),
        }
    }
}

/// One limit of a key, its team or its organisation.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    /// Whose it is, such as `org:acme`; unique within the tenant.
    pub(crate) scope: Arc<str>,
    pub(crate) unit: Unit,
    pub(crate) period: Period,
    pub(crate) limit: u64,
    /// Its counter's place in the tenant's book.
    pub(crate) slot: usize,
    /// Keeps that counter there.
    pub(crate) _held: Arc<()>,
}

/// One counter, in the window at hand and in the one before.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// What it counts; with scope and period, what makes it the same one under another configuration.
    pub(crate) unit: Unit,
    pub(crate) scope: Arc<str>,
    pub(crate) period: Period,
    pub(crate) now: Counts,
    /// A clock that was set forward by mistake leads back to it.
    pub(crate) last: Counts,
    /// A clone is with every meter that counts in it, and so with every request under way.
    held: Arc<()>,
}

/// What was settled in a window, and what is reserved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) window: Window,
    /// The era in which it was opened: what was reserved before belongs to another life of the same window.
    pub(crate) since: u64,
    /// What all replicas have used, as Redis said last; what the ledger knew, where Redis was not asked yet.
    pub(crate) said: Said,
    /// What this process adds to that, or takes off it: what Redis has not been told, or has not said.
    pub(crate) own: i128,
    /// What Redis is told when requests end, where it is shared.
    pub(crate) untold: u64,
}

/// What Redis said of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) used: u64,
    /// Which of Redis' lives it was read in; 0: none. A Redis that has lost everything begins a new one.
    pub(crate) life: u64,
    /// The number of the call in that life that it answers: answers may overtake one another on their way.
    pub(crate) turn: u64,
    /// The spell of Redis' in which it was asked. One that comes back with older data counts its calls from there.
    pub(crate) spell: u64,
}

impl Cell {
    /// One that has counted nothing.
    pub(crate) fn new(unit: Unit, scope: Arc<str>, period: Period) -> Self {
        let empty = Counts::new(Window::EMPTY, 0, Said::default());
        Self { unit, scope, period, now: empty, last: empty, held: Arc::default() }
    }

    /// Where what was reserved for `at_ms` in `era` is counted, as long as it is.
    pub(crate) fn counts(&mut self, at_ms: i64, era: u64) -> Option<&mut Counts> {
        let mut known = [&mut self.now, &mut self.last].into_iter();
        known.find(|counts| counts.window.has(at_ms) && counts.since <= era)
    }
}

impl Counts {
    /// Those of a window in which nothing is used, after Redis has `said` something of another one.
    pub(crate) fn new(window: Window, since: u64, said: Said) -> Self {
        Self { window, since, said: Said { used: 0, ..said }, own: 0, untold: 0 }
    }

    /// All that counts against the limit.
    pub(crate) fn used(&self) -> u64 {
        let used = i128::from(self.said.used).saturating_add(self.own);
        u64::try_from(used.max(0)).unwrap_or(u64::MAX)
    }

    /// Adds what this process does, and takes off what it undoes.
    pub(crate) fn add(&mut self, more: u64, less: u64) {
        self.own = self.own.saturating_add(i128::from(more)).saturating_sub(i128::from(less));
    }

    /// Takes over what Redis said, unless it has said something newer.
    pub(crate) fn hear(&mut self, said: Said) {
        let is_same = (said.spell, said.life) == (self.said.spell, self.said.life);
        if said.spell >= self.said.spell && (!is_same || said.turn > self.said.turn) {
            self.said = said;
        }
    }
}

/// The counters of a tenant.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) cells: Vec<Cell>,
    /// How often a clock that was set back has left a window for an earlier one.
    pub(crate) era: u64,
}

impl Book {
    /// The limit of this scope, unit and period, with its counter: the one that others count in, else a new one. One
    /// that nobody counts in any more may have missed something meanwhile, and the ledger knows it; so it is not gone
    /// on with, and its place is the next one's. Thus a book has no more counters than its callers have limits.
    pub(crate) fn open(&mut self, scope: &Arc<str>, unit: Unit, period: Period, limit: u64) -> Meter {
        let is_free = |cell: &Cell| Arc::strong_count(&cell.held) == 1;
        let is_same = |cell: &Cell| cell.scope == *scope && cell.unit == unit && cell.period == period;
        let held = self.cells.iter().position(|cell| is_same(cell) && !is_free(cell));
        let slot = held.unwrap_or_else(|| {
            let (new, free) = (Cell::new(unit, scope.clone(), period), self.cells.iter().position(is_free));
            match free {
                Some(slot) => self.cells[slot] = new,
                None => self.cells.push(new),
            }
            free.unwrap_or(self.cells.len() - 1)
        });
        Meter { scope: scope.clone(), unit, period, limit, slot, _held: self.cells[slot].held.clone() }
    }
}

/// All that shares limits: an organisation, or a key that belongs to none. One short lock holds all of its counters, so
/// that a request is counted against all of its meters or against none.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// Unique, and fit for Redis' keys.
    pub(crate) name: String,
    pub(crate) book: Mutex<Book>,
    /// Held while new counters are filled: none may be filled twice.
    pub(crate) restoring: tokio::sync::Mutex<()>,
}

impl Tenant {
    /// One whose counters are in `book`.
    pub(crate) fn new(name: String, book: Book) -> Self {
        Self { name, book: Mutex::new(book), restoring: tokio::sync::Mutex::default() }
    }
}

/// A key.
#[derive(Debug)]
pub(crate) struct Account {
    /// The key's name.
    pub(crate) key: Arc<str>,
    /// Empty where it belongs to none.
    pub(crate) org: Arc<str>,
    /// Empty where it belongs to none.
    pub(crate) team: Arc<str>,
    /// Models that it may ask for; a trailing `*` stands for any ending. `None`: all.
    pub(crate) models: Option<Vec<String>>,
    /// Its own, its team's and its organisation's.
    pub(crate) meters: Vec<Meter>,
    pub(crate) tenant: Arc<Tenant>,
}

impl Account {
    /// An account of VX11's own, by this name: everything, without limits.
    pub(crate) fn unlimited(name: &str) -> Self {
        let tenant = Tenant::new(name.to_owned(), Book::default());
        Self {
            key: name.into(),
            org: "".into(),
            team: "".into(),
            models: None,
            meters: Vec::new(),
            tenant: Arc::new(tenant),
        }
    }

    /// Whether what it spends is limited, by itself or above it.
    pub(crate) fn has_budget(&self) -> bool {
        self.meters.iter().any(|meter| meter.unit == Unit::Money)
    }

    /// Whether any of its limits is of something else than requests.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.meters.iter().any(|meter| meter.unit != Unit::Requests)
    }

    /// Whether it may ask for `model`.
    pub(crate) fn may_use(&self, model: &str) -> bool {
        let fits = |pattern: &String| NamePattern::of(pattern).fits(model);
        self.models.as_ref().is_none_or(|patterns| patterns.iter().any(fits))
    }
}
