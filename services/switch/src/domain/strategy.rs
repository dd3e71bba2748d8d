//! In which order the targets of one model are asked for one request.
//!
//! Conditions leave out targets that are not for this request, as do those that cannot do what it asks for; the strategy chooses the first of the rest, and the others
//! follow as fallbacks. A canary goes first for its share of requests and is the last resort for all others. Chance is
//! handed in: a sticky model draws from its session, so that a conversation stays where it began.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How the first target is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// As listed.
    #[default]
    Ordered,
    /// By chance, as often as its weight says.
    Weighted,
    /// The one of two, drawn by chance, that is expected to answer sooner ("power of two choices").
    LeastLatency,
    /// The one of the lowest price; those without a price come last.
    Cheapest,
}

/// How the targets of one model are chosen from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    /// Whether a session keeps its target.
    pub(crate) sticky: bool,
    /// One for each target, in their order.
    pub(crate) choices: Vec<Choice>,
}

/// What is known of one target beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// `provider/model`.
    pub(crate) name: String,
    /// How often it is chosen, beside the others.
    pub(crate) weight: u32,
    /// Its price, in whatever all prices of the model are in.
    pub(crate) price: Option<f64>,
    /// In a hundred requests, how many it is tried out with.
    pub(crate) canary: Option<u8>,
    /// Which requests it is for.
    pub(crate) when: Condition,
}

/// Which requests a target is for: those to which all of this applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Headers and their values.
    pub(crate) headers: Vec<(String, String)>,
    /// Entries of the body's `metadata`.
    pub(crate) tags: Vec<(String, String)>,
    /// Bytes of the body, at least.
    pub(crate) min_bytes: usize,
    /// Bytes of the body, at most.
    pub(crate) max_bytes: Option<usize>,
    /// Organisations; none: any.
    pub(crate) orgs: Vec<String>,
}

/// What a request says about itself. Only what a plan asks for is looked up.
pub(crate) struct Asker<'a> {
    /// The value of a header.
    pub(crate) header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The value of an entry of `metadata`.
    pub(crate) tag: &'a dyn Fn(&str) -> Option<String>,
    /// Bytes of the body.
    pub(crate) bytes: usize,
    /// The organisation.
    pub(crate) org: Option<&'a str>,
    /// The conversation.
    pub(crate) session: &'a dyn Fn() -> Option<String>,
}

impl Plan {
    /// Whether the targets are asked as listed, whoever asks.
    pub(crate) fn is_plain(&self) -> bool {
        let plain = |choice: &Choice| choice.canary.is_none() && choice.when == Condition::default();
        self.strategy == Strategy::Ordered && self.choices.iter().all(plain)
    }

    /// The places of the targets to ask, first choice first, of those that are `able` to answer at all. `random` gives a
    /// number from 0 to below 1, another one each time; `cost` how long the target of this place is expected to take.
    pub(crate) fn order(
        &self,
        asker: &Asker<'_>,
        able: impl Fn(usize) -> bool,
        random: impl Fn() -> f64,
        cost: impl Fn(usize) -> Duration,
    ) -> Vec<usize> {
        let session = if self.sticky { (asker.session)() } else { None };
        let draw = |purpose: u64, name: &str| match &session {
            Some(session) => unit(xxh3_64_with_seed(name.as_bytes(), xxh3_64_with_seed(session.as_bytes(), purpose))),
            None => random(),
        };
        let fits = |place: &usize| able(*place) && self.choices[*place].when.holds(asker);
        let fitting = (0..self.choices.len()).filter(fits);
        let (canaries, mut order): (Vec<usize>, Vec<usize>) =
            fitting.partition(|place| self.choices[*place].canary.is_some());
        match self.strategy {
            Strategy::Ordered => {}
            Strategy::Cheapest => {
                let price = |place: &usize| self.choices[*place].price.unwrap_or(f64::INFINITY);
                order.sort_by(|a, b| price(a).total_cmp(&price(b)));
            }
            Strategy::LeastLatency if session.is_none() => {
                let first = of_two(&order, &random, &cost);
                order.sort_by_cached_key(|place| (Some(*place) != first, cost(*place)));
            }
            Strategy::Weighted | Strategy::LeastLatency => to_front(&mut order, |place| {
                // Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): the lowest score is drawn as often as
                // its weight says, and a session moves only when a target comes or goes that takes part in its draw.
                let choice = &self.choices[place];
                -draw(WEIGHT, &choice.name).max(f64::MIN_POSITIVE).ln() / f64::from(choice.weight)
            }),
        }
        let is_drawn = |place: &usize| {
            let choice = &self.choices[*place];
            choice.canary.is_some_and(|percent| draw(CANARY, &choice.name) * 100.0 < f64::from(percent))
        };
        let drawn = canaries.iter().copied().find(is_drawn);
        let rest = canaries.into_iter().filter(|place| Some(*place) != drawn);
        drawn.into_iter().chain(order).chain(rest).collect()
    }
}

/// What a number is drawn for, so that one session's draws do not depend on each other.
const WEIGHT: u64 = 1;
const CANARY: u64 = 2;

/// A hash as a number from 0 to below 1.
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// The cheaper one of two different places, drawn by chance.
fn of_two(places: &[usize], random: impl Fn() -> f64, cost: impl Fn(usize) -> Duration) -> Option<usize> {
    let pick = |count: usize| ((random() * count as f64) as usize).min(count.saturating_sub(1));
    let first = pick(places.len());
    let second = match pick(places.len().saturating_sub(1)) {
        other if other >= first => other + 1,
        other => other,
    };
    let (first, second) = (places.get(first), places.get(second));
    first.into_iter().chain(second).copied().min_by_key(|place| cost(*place))
}

/// Moves the place of the lowest score to the front; the others stay in order.
fn to_front(places: &mut [usize], score: impl Fn(usize) -> f64) {
    let scores = places.iter().map(|place| score(*place));
    if let Some((best, _)) = scores.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b)) {
        places[..=best].rotate_right(1);
    }
}

impl Condition {
    fn holds(&self, asker: &Asker<'_>) -> bool {
        asker.bytes >= self.min_bytes
            && self.max_bytes.is_none_or(|most| asker.bytes <= most)
            && (self.orgs.is_empty() || asker.org.is_some_and(|org| self.orgs.iter().any(|known| known == org)))
            && self.headers.iter().all(|(name, value)| (asker.header)(name) == Some(value))
            && self.tags.iter().all(|(name, value)| (asker.tag)(name).as_ref() == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;
    use proptest::strategy::Strategy as Generator;

    use super::Strategy;
    use super::*;

    fn choice(name: &str) -> Choice {
        Choice { name: name.to_owned(), weight: 1, price: None, canary: None, when: Condition::default() }
    }

    fn plan(strategy: Strategy, choices: Vec<Choice>) -> Plan {
        Plan { strategy, sticky: false, choices }
    }

    /// A request of this session that says nothing else about itself.
    fn order_of(plan: &Plan, session: Option<&str>, random: impl Fn() -> f64, costs: &[u64]) -> Vec<usize> {
        let session = || session.map(str::to_owned);
        let asker = Asker { header: &|_| None, tag: &|_| None, bytes: 100, org: None, session: &session };
        plan.order(
            &asker,
            |_| true,
            random,
            |place| Duration::from_millis(costs.get(place).copied().unwrap_or_default()),
        )
    }

    /// Chance that can be repeated.
    fn dice(seed: u64) -> impl Fn() -> f64 {
        let state = Cell::new(seed);
        move || {
            state.set(state.get() + 1);
            unit(xxh3_64_with_seed(&state.get().to_le_bytes(), 7))
        }
    }

    #[test]
    fn weights_are_shares_and_the_others_follow_as_listed() {
        let mut choices = vec![choice("a"), choice("b"), choice("c")];
        choices[1].weight = 3;
        choices[2].weight = 0;
        let (plan, random) = (plan(Strategy::Weighted, choices), dice(1));
        let mut first = [0; 3];
        for _ in 0..4000 {
            let order = order_of(&plan, None, &random, &[]);
            first[order[0]] += 1;
            assert!(matches!(order[..], [0, 1, 2] | [1, 0, 2]), "{order:?}");
        }
        assert!((900..1100).contains(&first[0]) && first[2] == 0, "{first:?}");
    }

    #[test]
    fn the_cheapest_comes_first_and_the_unpriced_last() {
        let mut choices = vec![choice("a"), choice("b"), choice("c")];
        choices[1].price = Some(2.0);
        choices[2].price = Some(0.5);
        assert_eq!(order_of(&plan(Strategy::Cheapest, choices), None, || 0.5, &[]), [2, 1, 0]);
    }

    #[test]
    fn of_two_the_faster_one_is_asked_and_the_slowest_of_all_never_first() {
        let plan = plan(Strategy::LeastLatency, vec![choice("a"), choice("b"), choice("c")]);
        let random = dice(1);
        let mut first = [0; 3];
        for _ in 0..1000 {
            let order = order_of(&plan, None, &random, &[30, 10, 20]);
            first[order[0]] += 1;
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
        }
        assert!(first[0] == 0 && first[1] > first[2] && first[2] > 100, "{first:?}");
        let lone = Plan { choices: vec![choice("a")], ..plan };
        assert_eq!(order_of(&lone, None, random, &[]), [0]);
    }

    #[test]
    fn a_canary_gets_its_share_and_is_else_the_last_resort() {
        let mut choices = vec![choice("new"), choice("old")];
        choices[0].canary = Some(10);
        let (plan, random) = (plan(Strategy::Ordered, choices), dice(1));
        let canary = (0..2000).filter(|_| order_of(&plan, None, &random, &[]) == [0, 1]).count();
        assert!((150..250).contains(&canary), "{canary}");
        assert_eq!(order_of(&plan, None, || 0.99, &[]), [1, 0]);
    }

    #[test]
    fn a_condition_holds_when_all_of_it_does() {
        let mut choices = vec![choice("special"), choice("usual")];
        choices[0].when = Condition {
            headers: vec![("x-team".to_owned(), "blue".to_owned())],
            tags: vec![("kind".to_owned(), "long".to_owned())],
            min_bytes: 10,
            max_bytes: Some(20),
            orgs: vec!["acme".to_owned()],
        };
        let plan = plan(Strategy::Ordered, choices);
        let order = |team: &str, kind: &str, bytes, org| {
            let header = |name: &str| (name == "x-team").then_some(team);
            let tag = |name: &str| (name == "kind").then(|| kind.to_owned());
            let asker = Asker { header: &header, tag: &tag, bytes, org, session: &|| None };
            plan.order(&asker, |_| true, || 0.5, |_| Duration::ZERO)
        };
        assert_eq!(order("blue", "long", 20, Some("acme")), [0, 1]);
        assert_eq!(order("red", "long", 20, Some("acme")), [1]);
        assert_eq!(order("blue", "short", 20, Some("acme")), [1]);
        assert_eq!(order("blue", "long", 21, Some("acme")), [1]);
        assert_eq!(order("blue", "long", 9, Some("acme")), [1]);
        assert_eq!(order("blue", "long", 20, None), [1]);
    }

    fn plans() -> impl Generator<Value = Plan> {
        let strategy = prop_oneof![
            Just(Strategy::Ordered),
            Just(Strategy::Weighted),
            Just(Strategy::LeastLatency),
            Just(Strategy::Cheapest)
        ];
        let choice = (1u32..10, prop::option::of(0.0..9.0f64), prop::option::of(0u8..=100), 0usize..200);
        (strategy, any::<bool>(), prop::collection::vec(choice, 1..7)).prop_map(|(strategy, sticky, choices)| {
            let choices = choices.into_iter().enumerate().map(|(place, (weight, price, canary, min_bytes))| Choice {
                weight,
                price,
                canary,
                when: Condition { min_bytes, ..Condition::default() },
                ..choice_named(place)
            });
            Plan { strategy, sticky, choices: choices.collect() }
        })
    }

    fn choice_named(place: usize) -> Choice {
        choice(&format!("p/{place}"))
    }

    proptest! {
        #[test]
        fn every_fitting_target_is_asked_once_and_no_other(plan in plans(), seed: u64, session: Option<String>) {
            let mut order = order_of(&plan, session.as_deref(), dice(seed), &[3, 1, 2, 5, 4, 6, 0]);
            order.sort_unstable();
            let fitting: Vec<usize> = (0..plan.choices.len()).filter(|place| plan.choices[*place].when.min_bytes <= 100).collect();
            prop_assert_eq!(order, fitting);
        }

        #[test]
        fn a_session_keeps_its_target_whatever_chance_says(plan in plans(), one: u64, other: u64, session: String) {
            let plan = Plan { sticky: true, ..plan };
            let order = |seed| order_of(&plan, Some(&session), dice(seed), &[]);
            prop_assert_eq!(order(one), order(other));
        }

        #[test]
        fn a_new_target_takes_sessions_but_moves_none_between_the_others(
            weights in prop::collection::vec(1u32..9, 1..5), added in 1u32..9, session: String,
        ) {
            let choices = |weights: &[u32]| {
                weights.iter().enumerate().map(|(place, weight)| Choice { weight: *weight, ..choice_named(place) }).collect()
            };
            let first = |weights: &[u32]| {
                let plan = Plan { strategy: Strategy::Weighted, sticky: true, choices: choices(weights) };
                order_of(&plan, Some(&session), || 0.0, &[])[0]
            };
            let (before, after) = (first(&weights), first(&[weights.as_slice(), &[added]].concat()));
            prop_assert!(after == before || after == weights.len());
        }
    }
}
