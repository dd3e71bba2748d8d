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
    let at = |which| served.iter().enumerate().filter(|(_, who)| **who == which).map(|(at, _)| at).collect::<Vec<_>>();
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
        assert_eq!(served.iter().filter(|who| **who == tenant).count(), 10, "{tenant}: all, while the flood got forty");
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
        before in prop::collection::vec((0usize..3, 0u64..4, any::<bool>()), 0..40), priority in 0usize..3, tenant in 0u64..5,
    ) {
        let mut queue = Queue::new(100);
        for (priority, tenant, is_one_served) in before {
            queue.push(Priority::ALL[priority], tenant, false);
            if is_one_served {
                queue.pop();
            }
        }
        let ahead = queue.ahead_of(Priority::ALL[priority], tenant);
        queue.push(Priority::ALL[priority], tenant, true);
        let served = std::iter::from_fn(|| queue.pop()).take_while(|is_newcomer| !is_newcomer).count();
        prop_assert_eq!(served, ahead);
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
