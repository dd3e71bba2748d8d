//! However the answers of Redis overtake one another, the counters of the process are those of Redis once all is told.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::accounts::account::{Book, Tenant, Unit};
use crate::accounts::period::Period;

/// A key with one limit, on tokens.
fn account() -> Arc<Account> {
    let (unit, period, scope) = (Unit::Tokens, Period::Total, Arc::<str>::from("key:k"));
    let mut book = Book::default();
    let meters = vec![book.open(&scope, unit, period, u64::MAX)];
    let tenant = Arc::new(Tenant::new("key:k".to_owned(), book));
    Arc::new(Account { meters, tenant, ..Account::unlimited("k") })
}

fn tokens(tokens: u64) -> Amounts {
    Amounts { tokens, ..Amounts::default() }
}

fn reservation(account: &Arc<Account>, amount: u64, is_shared: bool) -> Reservation {
    Reservation { account: account.clone(), reserved: tokens(amount), at_ms: 0, era: 0, id: 1, is_shared }
}

fn used(account: &Account) -> u64 {
    local::lock(&account.tenant).cells[0].now.used()
}

#[test]
fn a_settlement_that_waits_is_not_forgotten_when_redis_does_not_know_of_it_yet() {
    let account = account();
    let say = |used, turn| [Said { used, life: 7, turn, spell: 0 }];
    let (first, second) = (reservation(&account, 20, true), reservation(&account, 20, true));
    heard(&account, &say(20, 1), 0);
    began(&first);
    local::settle(&first, tokens(10));
    ended(&first, tokens(10));
    heard(&account, &say(40, 2), 0);
    began(&second);
    assert_eq!(used(&account), 30, "ten were spent, twenty are reserved");
    assert_eq!(seeds(&account, 0), [Seed { used: 0, life: 7 }], "Redis is told of both");
    told(&first, tokens(10), &say(30, 3));
    local::settle(&second, tokens(10));
    ended(&second, tokens(10));
    assert_eq!(used(&account), 20);
    assert_eq!(seeds(&account, 0), [Seed { used: 10, life: 7 }]);
}

#[test]
fn a_redis_that_comes_back_with_older_data_is_believed() {
    let account = account();
    let say = |used, turn, spell| heard(&account, &[Said { used, life: 7, turn, spell }], 0);
    say(150, 150, 1);
    say(100, 101, 1);
    assert_eq!(used(&account), 150, "it was overtaken");
    say(100, 101, 2);
    assert_eq!(used(&account), 100);
    say(160, 160, 1);
    assert_eq!(used(&account), 100, "that was before");
    say(110, 102, 2);
    assert_eq!(used(&account), 110);
}

/// What happens next; numbers choose among what is there.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request comes in, and Redis grants it.
    Granted(u64),
    /// A request comes in while Redis does not answer.
    Alone(u64),
    /// The answer to a grant arrives.
    Arrives(usize),
    /// A request ends, having spent that.
    Ends(usize, u64),
    /// Redis is told of an end.
    Tell(usize),
    /// Its answer arrives.
    Told(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..100u64).prop_map(Step::Granted),
        (0..100u64).prop_map(Step::Alone),
        any::<usize>().prop_map(Step::Arrives),
        (any::<usize>(), 0..150u64).prop_map(|(which, spent)| Step::Ends(which, spent)),
        any::<usize>().prop_map(Step::Tell),
        any::<usize>().prop_map(Step::Told),
    ]
}

/// Redis, and all that is on its way to it and back.
struct World {
    account: Arc<Account>,
    said: Said,
    granted: Vec<(Reservation, Said)>,
    under_way: Vec<Reservation>,
    ended: Vec<(Reservation, u64)>,
    told: Vec<(Reservation, u64, Said)>,
}

impl World {
    fn new() -> Self {
        let said = Said { used: 0, life: 7, turn: 0, spell: 0 };
        let (granted, under_way, ended, told) = Default::default();
        Self { account: account(), said, granted, under_way, ended, told }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Granted(amount) => {
                self.said = Said { used: self.said.used + amount, turn: self.said.turn + 1, ..self.said };
                self.granted.push((reservation(&self.account, amount, true), self.said));
            }
            Step::Alone(amount) => {
                local::reserve(&self.account, tokens(amount), 0, 1).expect("no limit");
                let reservation = reservation(&self.account, amount, false);
                began(&reservation);
                self.under_way.push(reservation);
            }
            Step::Arrives(which) if !self.granted.is_empty() => {
                let (reservation, said) = self.granted.swap_remove(which % self.granted.len());
                heard(&self.account, &[said], 0);
                began(&reservation);
                self.under_way.push(reservation);
            }
            Step::Ends(which, spent) if !self.under_way.is_empty() => {
                let reservation = self.under_way.swap_remove(which % self.under_way.len());
                local::settle(&reservation, tokens(spent));
                ended(&reservation, tokens(spent));
                self.ended.push((reservation, spent));
            }
            Step::Tell(which) if !self.ended.is_empty() => {
                let (reservation, spent) = self.ended.swap_remove(which % self.ended.len());
                let held = if reservation.is_shared { reservation.reserved.tokens } else { 0 };
                self.said = Said { used: self.said.used - held + spent, turn: self.said.turn + 1, ..self.said };
                self.told.push((reservation, spent, self.said));
            }
            Step::Told(which) if !self.told.is_empty() => {
                let (reservation, spent, said) = self.told.swap_remove(which % self.told.len());
                told(&reservation, tokens(spent), &[said]);
            }
            _ => {}
        }
    }

    /// Lets everything come to its end.
    fn finish(&mut self) {
        while !self.granted.is_empty() {
            self.take(Step::Arrives(0));
        }
        while !self.under_way.is_empty() {
            self.take(Step::Ends(0, 3));
        }
        while !self.ended.is_empty() {
            self.take(Step::Tell(0));
        }
        while !self.told.is_empty() {
            self.take(Step::Told(0));
        }
    }
}

proptest! {
    #[test]
    fn in_whatever_order_answers_arrive_all_that_is_told_is_what_redis_says(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.finish();
        prop_assert_eq!(used(&world.account), world.said.used);
        prop_assert_eq!(seeds(&world.account, 0)[0].used, world.said.used);
    }
}
