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
    plan.order(&asker, |_| true, random, |place| Duration::from_millis(costs.get(place).copied().unwrap_or_default()))
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
