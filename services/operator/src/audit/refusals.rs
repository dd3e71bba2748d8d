//! Attempts that changed nothing, gathered: of one kind, by one actor, there is one row at once and one a minute after
//! that, which says how many there were. So whoever is refused as often as a network carries it makes the log no longer.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use vx11_contracts::identity::OrgId;

use crate::domain::audit::Entry;

/// Kinds that are gathered at a time.
const MOST: usize = 10_000;
/// Of one organisation, so that none leaves the others no room.
const MOST_EACH: usize = 1_000;
/// How often a kind has a row.
const EVERY: Duration = Duration::from_secs(60);
/// When what could not be written is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Attempts that are not in the log yet.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    orgs: HashMap<OrgId, HashMap<Kind, Tally>>,
}

/// What came of gathering an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// It is the first of its kind.
    First,
    /// It is counted with others.
    Counted,
    /// It is not: there are too many kinds.
    NoRoom,
}

/// Attempts of an organisation that are one row together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    actor: String,
    action: String,
    why: String,
    /// Only where there are few: which intervention is not part of it, or each would be a kind.
    route: Option<String>,
}

#[derive(Debug)]
struct Tally {
    /// The first that has no row.
    entry: Entry,
    /// How many have none.
    count: u64,
    /// When there may be a row.
    row_at: Instant,
}

impl Kind {
    fn of(entry: &Entry) -> Self {
        let why = entry.details.get("why").and_then(|why| why.as_str()).unwrap_or_default().to_owned();
        let route = entry.target.as_ref().filter(|(kind, _)| *kind == "route").map(|(_, id)| id.clone());
        Self { actor: entry.actor.clone(), action: entry.action.clone(), why, route }
    }
}

impl Refusals {
    pub(super) fn add(&mut self, org: &OrgId, entry: Entry, now: Instant) -> Gathered {
        let kind = Kind::of(&entry);
        if let Some(tally) = self.orgs.get_mut(org).and_then(|kinds| kinds.get_mut(&kind)) {
            if tally.count == 0 {
                tally.entry = entry;
            }
            tally.count += 1;
            return Gathered::Counted;
        }
        if self.orgs.values().map(HashMap::len).sum::<usize>() >= MOST {
            return Gathered::NoRoom;
        }
        let kinds = self.orgs.entry(org.clone()).or_default();
        if kinds.len() >= MOST_EACH {
            return Gathered::NoRoom;
        }
        kinds.insert(kind, Tally { entry, count: 1, row_at: now });
        Gathered::First
    }

    /// What is to be written now, with how often it happened; organisation by organisation.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(OrgId, Entry, u64)> {
        let mut taken = Vec::new();
        for (org, kinds) in &mut self.orgs {
            // A minute in which nothing more happened: it is forgotten.
            kinds.retain(|_, tally| tally.count > 0 || tally.row_at > now);
            let due = kinds.values_mut().filter(|tally| tally.count > 0 && tally.row_at <= now);
            taken.extend(due.map(|tally| {
                tally.row_at = now + EVERY;
                (org.clone(), tally.entry.clone(), std::mem::take(&mut tally.count))
            }));
        }
        self.orgs.retain(|_, kinds| !kinds.is_empty());
        taken.sort_by(|one, other| (&one.0, &one.1.at).cmp(&(&other.0, &other.1.at)));
        taken
    }

    /// All of it, whether it is time or not.
    pub(super) fn take_all(&mut self, now: Instant) -> Vec<(OrgId, Entry, u64)> {
        self.orgs.values_mut().flat_map(HashMap::values_mut).for_each(|tally| tally.row_at = now);
        self.take_due(now)
    }

    /// What could not be written, for later.
    pub(super) fn put_back(&mut self, org: &OrgId, entry: Entry, count: u64, now: Instant) {
        let fresh = || Tally { entry: entry.clone(), count: 0, row_at: now };
        let kinds = self.orgs.entry(org.clone()).or_default();
        let tally = kinds.entry(Kind::of(&entry)).or_insert_with(fresh);
        tally.entry = entry;
        tally.count += count;
        tally.row_at = now + AGAIN_AFTER;
    }
}

#[cfg(test)]
mod tests {
    use vx11_contracts::audit::AuditOutcome;
    use vx11_contracts::intervention::Role;

    use super::*;
    use crate::domain::intervention::Actor;

    fn refused(actor: &str, target: &str) -> Entry {
        let actor = Actor::new(actor, Role::Viewer);
        let entry = Entry::done(&actor, "intervention.approve", String::new()).to("intervention", target);
        entry.ended(AuditOutcome::Refused, "forbidden")
    }

    fn org() -> OrgId {
        named("acme")
    }

    fn named(id: &str) -> OrgId {
        id.parse().expect("an id")
    }

    #[test]
    fn a_flood_of_refusals_is_a_row_at_once_and_one_a_minute() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let mut rows = Vec::new();
        for second in 0..180u64 {
            let now = start + Duration::from_secs(second);
            for number in 0..100 {
                let gathered = refusals.add(&org(), refused("eve", &format!("r{second}-{number}")), now);
                assert_eq!(gathered == Gathered::First, (second, number) == (0, 0));
            }
            rows.extend(refusals.take_due(now).into_iter().map(|(_, entry, count)| (entry.target, count)));
        }
        let target = |id: &str| Some(("intervention", id.to_owned()));
        let expected = [(target("r0-0"), 100), (target("r1-0"), 6000), (target("r61-0"), 6000)];
        assert_eq!(rows, expected);
        let left = refusals.take_all(start + Duration::from_secs(180));
        assert_eq!((left.len(), left[0].2), (1, 5900), "none is lost");
        assert!(refusals.take_due(start + Duration::from_secs(300)).is_empty());
        assert!(refusals.orgs.is_empty(), "nothing is kept of it");
    }

    #[test]
    fn kinds_are_bounded_and_what_could_not_be_written_comes_again() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        for number in 0..MOST_EACH {
            assert_eq!(refusals.add(&org(), refused(&format!("e{number}"), "r"), now), Gathered::First);
        }
        assert_eq!(refusals.add(&org(), refused("one too many", "r"), now), Gathered::NoRoom);
        for other in 1..MOST / MOST_EACH {
            let other = named(&format!("o{other}"));
            for number in 0..MOST_EACH {
                assert_eq!(refusals.add(&other, refused(&format!("e{number}"), "r"), now), Gathered::First, "{other}");
            }
        }
        assert_eq!(refusals.add(&named("late"), refused("one too many", "r"), now), Gathered::NoRoom);
        assert_eq!(refusals.take_due(now).len(), MOST);
        refusals.put_back(&org(), refused("e1", "r"), 1, now);
        assert!(refusals.take_due(now).is_empty());
        assert_eq!(refusals.take_due(now + AGAIN_AFTER)[0].2, 1);
    }
}
