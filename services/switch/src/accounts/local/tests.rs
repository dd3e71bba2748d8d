//! Whatever order requests are reserved, settled, given up and abandoned in, the counters are the truth.

use proptest::prelude::*;

use super::*;
use crate::accounts::money::Usd;
use crate::accounts::period::Period;

/// A key with one meter of each unit in `period`, limited to `limits`.
pub(super) fn account(period: Period, limits: [u64; 3]) -> Arc<Account> {
    let units = [Unit::Requests, Unit::Tokens, Unit::Money];
    let meters = units.into_iter().zip(limits);
    let mut book = Book::default();
    let meters: Vec<Meter> = meters.map(|(unit, limit)| book.open(&"key:k".into(), unit, period, limit)).collect();
    let tenant = Arc::new(Tenant::new("key:k".to_owned(), book));
    Arc::new(Account { key: "k".into(), org: "".into(), team: "".into(), models: None, meters, tenant })
}

pub(super) fn amounts(tokens: u64, picos: u64) -> Amounts {
    Amounts { requests: 1, tokens, money: Usd::from_picos(picos) }
}

/// What is left on the meter of each unit.
fn levels(account: &Account, now_ms: i64) -> [Level; 3] {
    tightest(account, Unit::ALL, now_ms).map(|level| level.expect("a meter of each unit"))
}

pub(super) fn remaining(account: &Account, now_ms: i64) -> Vec<u64> {
    levels(account, now_ms).map(|level| level.remaining).to_vec()
}

#[test]
fn what_does_not_fit_on_one_meter_is_counted_on_none() {
    let account = account(Period::Minute, [5, 100, 1000]);
    let held = reserve(&account, amounts(60, 10), 0, 0).expect("room");
    let refused = reserve(&account, amounts(41, 10), 1, 0).expect_err("one token too many");
    assert_eq!((refused.level.unit, refused.level.remaining, refused.wanted), (Unit::Tokens, 40, 41));
    assert_eq!(remaining(&account, 1), [4, 40, 990]);
    settle(&held, amounts(1, 3));
    assert_eq!(remaining(&account, 2), [4, 99, 997]);
}

#[test]
fn a_window_that_is_over_takes_no_settlement_and_the_next_one_begins_empty() {
    let account = account(Period::Minute, [5, 100, 1000]);
    let held = reserve(&account, amounts(60, 10), 59_999, 0).expect("room");
    assert_eq!(remaining(&account, 60_000), [5, 100, 1000]);
    settle(&held, amounts(90, 900));
    assert_eq!(remaining(&account, 60_000), [5, 100, 1000]);
    assert_eq!(levels(&account, 60_000)[0].reset, Duration::from_secs(60));
}

#[test]
fn a_clock_that_was_far_ahead_leaves_no_limit_behind_in_the_future() {
    for period in [Period::Minute, Period::Day, Period::Month] {
        let account = account(period, [5, 100, 1000]);
        let (present, ahead) = (1_763_700_000_000, 1_763_700_000_000 + 40 * 24 * 3_600_000);
        let early = reserve(&account, amounts(100, 1000), ahead, 0).expect("room");
        let held = reserve(&account, amounts(60, 10), present, 0).expect("room in the present window");
        settle(&early, amounts(100, 1000));
        settle(&held, amounts(1, 3));
        assert_eq!(remaining(&account, present), [4, 99, 997], "{period:?}");
    }
}

#[test]
fn a_clock_that_was_far_ahead_for_a_moment_leaves_the_present_window_as_it_was() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let (account, present) = (account(Period::Month, [5, 100, 1000]), 1_763_700_000_000);
    let done = reserve(&account, amounts(20, 10), present, 0).expect("room");
    settle(&done, amounts(20, 10));
    let [held, meanwhile] = [0, 1].map(|at| reserve(&account, amounts(30, 10), present + at, 0).expect("room"));
    let early = reserve(&account, amounts(100, 10), present + 40 * DAY_MS, 0).expect("room");
    settle(&meanwhile, amounts(5, 10));
    assert_eq!(remaining(&account, present), [2, 45, 970]);
    settle(&held, amounts(1, 3));
    assert_eq!(remaining(&account, present), [2, 74, 977]);
    assert_eq!(remaining(&account, present + 40 * DAY_MS), [5, 100, 1000], "the next window begins empty");
    settle(&early, amounts(1, 3));
    assert_eq!(remaining(&account, present + 40 * DAY_MS), [5, 100, 1000], "it was reserved in a life that is over");
}

#[test]
fn what_was_reserved_before_a_window_was_opened_again_takes_nothing_off_it() {
    let (account, present) = (account(Period::Minute, [5, 100, 1000]), 1_763_700_000_000);
    let held = reserve(&account, amounts(90, 900), present, 0).expect("room");
    // The window before is kept, and no earlier one.
    for ahead in [3, 2] {
        reserve(&account, amounts(1, 1), present + ahead * 3_600_000, 0).expect("room");
    }
    let other = reserve(&account, amounts(60, 10), present, 0).expect("room in an empty window");
    settle(&held, amounts(1, 3));
    assert_eq!(remaining(&account, present), [4, 40, 990]);
    settle(&other, amounts(1, 3));
    assert_eq!(remaining(&account, present), [4, 99, 997]);
}

#[test]
fn what_is_reserved_with_a_clock_that_was_set_back_a_little_is_settled_where_it_was_reserved() {
    let account = account(Period::Minute, [5, 100, 1000]);
    reserve(&account, amounts(10, 10), 60_000, 0).expect("room");
    let held = reserve(&account, amounts(60, 10), 59_000, 0).expect("room");
    assert_eq!(remaining(&account, 60_000), [3, 30, 980], "no window is opened twice");
    settle(&held, amounts(1, 3));
    assert_eq!(remaining(&account, 60_000), [3, 89, 987]);
}

#[test]
fn threads_that_reserve_at_once_get_no_more_than_the_limit_together() {
    let account = account(Period::Day, [100, u64::MAX, u64::MAX]);
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..60).filter(|_| reserve(&account, amounts(1, 1), 0, 0).is_ok()).count()))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!((admitted, remaining(&account, 0)[0]), (100, 0));
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A request comes in with this estimate.
    Reserve { tokens: u64, picos: u64 },
    /// The request of this number, among those under way, ends having spent so much. Nothing: it failed, or its client
    /// left before anything was spent.
    Settle { which: usize, tokens: u64, picos: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..200u64, 0..5000u64).prop_map(|(tokens, picos)| Step::Reserve { tokens, picos }),
        (any::<usize>(), 0..300u64, 0..6000u64).prop_map(|(which, tokens, picos)| Step::Settle {
            which,
            tokens,
            picos
        }),
        any::<usize>().prop_map(|which| Step::Settle { which, tokens: 0, picos: 0 }),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn any_interleaving_sums_to_the_truth(steps in steps(), limit in 1..4000u64) {
        let account = account(Period::Total, [60, limit, u64::MAX]);
        let mut under_way: Vec<Reservation> = Vec::new();
        let (mut requests, mut tokens, mut picos) = (0u64, 0u64, 0u64);
        for step in steps {
            match step {
                Step::Reserve { tokens: more, picos: cost } => {
                    let held: u64 = under_way.iter().map(|held| held.reserved.tokens).sum();
                    // What wants nothing of a meter is not stopped by it.
                    let fits = requests < 60 && (more == 0 || tokens + held + more <= limit);
                    let reserved = reserve(&account, amounts(more, cost), 0, 0);
                    prop_assert_eq!(reserved.is_ok(), fits);
                    if let Ok(reservation) = reserved {
                        under_way.push(reservation);
                        requests += 1;
                    }
                }
                Step::Settle { which, tokens: spent, picos: cost } if !under_way.is_empty() => {
                    let reservation = under_way.swap_remove(which % under_way.len());
                    settle(&reservation, amounts(spent, cost));
                    tokens += spent;
                    picos += cost;
                }
                Step::Settle { .. } => {}
            }
            let held: u64 = under_way.iter().map(|held| held.reserved.tokens).sum();
            let expected = limit.saturating_sub(tokens + held);
            prop_assert_eq!(remaining(&account, 0)[1], expected);
        }
        for reservation in under_way {
            settle(&reservation, amounts(0, 0));
        }
        prop_assert_eq!(
            remaining(&account, 0),
            vec![60 - requests, limit.saturating_sub(tokens), u64::MAX - picos]
        );
    }
}
