use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(2);

type Name = usize;

fn replica(name: Name, zone: &str, canary: bool) -> Arc<Replica<Name>> {
    Arc::new(Replica::new(name, Some(zone.to_owned()).filter(|zone| !zone.is_empty()), canary))
}

fn balancer(replicas: impl IntoIterator<Item = Arc<Replica<Name>>>) -> Balancer<Name> {
    let circuit = BreakerConfig { failure_threshold: 3, open_for: PAUSE, ..BreakerConfig::default() };
    Balancer::new(replicas, Some("a"), circuit)
}

/// This many, without labels.
fn plain(many: usize) -> Balancer<Name> {
    balancer((0..many).map(|name| replica(name, "", false)))
}

/// Random words, the same ones each time.
fn draws(many: u64) -> impl Iterator<Item = u64> {
    (0..many).map(|n| xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes()))
}

impl Balancer<Name> {
    fn named(&self, name: Name) -> &Arc<Replica<Name>> {
        self.replicas().find(|replica| replica.target == name).expect("there is one")
    }

    fn ask(&self, name: Name) -> Choice<Name> {
        Choice::of(self.named(name), false, Reason::Well)
    }

    /// Whether it is left alone for this failure.
    fn fail(&self, name: Name, outcome: Outcome, now: Instant) -> bool {
        self.report_at(&self.ask(name), outcome, || now) == Some(Change::Ejected)
    }

    /// Who is asked, over many draws, how often.
    fn shares(&self, canary: bool, now: Instant) -> Vec<usize> {
        let mut shares = vec![0; self.len()];
        for draw in draws(1000) {
            shares[*self.choose_at(canary, draw, now).expect("somebody").target()] += 1;
        }
        shares
    }
}

#[test]
fn requests_are_spread_and_go_to_who_has_fewer() {
    let (balancer, now) = (plain(4), Instant::now());
    assert!(balancer.shares(false, now).iter().all(|share| (180..320).contains(share)));
    let _busy = [balancer.ask(2), balancer.ask(2)];
    let shares = balancer.shares(false, now);
    assert_eq!(shares[2], 0, "in each pair the other one has fewer: {shares:?}");
    assert_eq!(balancer.named(2).outstanding(), 2);
    drop(_busy);
    assert_eq!(balancer.named(2).outstanding(), 0);
}

#[test]
fn who_cannot_be_reached_is_left_at_once_and_probed_once() {
    let (balancer, start) = (plain(2), Instant::now());
    assert!(balancer.fail(0, Outcome::Unreachable, start));
    assert!(!balancer.fail(0, Outcome::Unreachable, start), "that one was under way already");
    assert_eq!(balancer.shares(false, start + SECOND), [0, 1000]);
    assert_eq!(balancer.named(0).ejections(), 1);

    let due = start + PAUSE;
    let probe = balancer.choose_at(false, 7, due).expect("somebody");
    assert_eq!((*probe.target(), probe.reason), (0, Reason::Probe));
    let next = balancer.choose_at(false, 7, due).expect("somebody");
    assert_eq!(*next.target(), 1, "one probe at a time");
    assert_eq!(balancer.report_at(&probe, Outcome::Good, || due), Some(Change::Back));
    assert!(balancer.shares(false, due).iter().all(|share| *share > 0));
}

#[test]
fn who_says_that_it_stops_is_left_at_once_though_it_answered() {
    let (balancer, now) = (plain(2), Instant::now());
    assert!(balancer.fail(0, Outcome::Leaving, now));
    assert_eq!(balancer.shares(false, now), [0, 1000]);
    assert_eq!((balancer.named(0).successes(), balancer.named(0).failures()), (1, 0));
}

#[test]
fn a_probe_that_nobody_waited_for_is_followed_by_another() {
    let (balancer, start) = (plain(2), Instant::now());
    balancer.fail(0, Outcome::Unreachable, start);
    let probe = |at| *balancer.choose_at(false, 7, at).expect("somebody").target() == 0;
    assert!(probe(start + PAUSE));
    assert!(!probe(start + PAUSE + SECOND));
    assert!(probe(start + PAUSE * 2));
}

#[test]
fn pauses_grow_until_it_stays_well() {
    let (balancer, mut now) = (plain(2), Instant::now());
    balancer.fail(0, Outcome::Unreachable, now);
    let pause = |at: Instant| (0..1000).find(|s| !balancer.named(0).is_out_at(at + SECOND * *s)).expect("an end");
    for expected in [2, 4, 8, 16, 32, 32] {
        let seconds = pause(now);
        assert_eq!(seconds, expected);
        now += SECOND * seconds;
        let probe = balancer.choose_at(false, 7, now).expect("the probe");
        assert_eq!(balancer.report_at(&probe, Outcome::Unreachable, || now), None, "it was left alone before");
    }
    let well = |at: Instant| {
        let probe = balancer.choose_at(false, 7, at).expect("the probe");
        balancer.report_at(&probe, Outcome::Good, || at);
    };
    now += SECOND * pause(now);
    well(now);
    now += SECOND * 31;
    balancer.fail(0, Outcome::Unreachable, now);
    assert_eq!(pause(now), 32, "it was well for less than it was left alone");
    now += SECOND * 32;
    well(now);
    now += SECOND * 32;
    balancer.fail(0, Outcome::Unreachable, now);
    assert_eq!(pause(now), 2);
}

#[test]
fn who_fails_in_a_row_is_left_alone_where_another_does_better() {
    let (balancer, now) = (plain(2), Instant::now());
    assert!(!balancer.fail(0, Outcome::Bad, now));
    assert!(!balancer.fail(0, Outcome::Bad, now));
    balancer.report_at(&balancer.ask(0), Outcome::Good, || now);
    let ejected: Vec<bool> = (0..4).map(|_| balancer.fail(0, Outcome::Bad, now)).collect();
    assert_eq!(ejected, [false, false, true, false]);
    assert_eq!(balancer.shares(false, now), [0, 1000]);
}

#[test]
fn where_all_fail_the_fault_is_not_theirs() {
    let (balancer, now) = (plain(3), Instant::now());
    for name in [0, 1, 2].into_iter().cycle().take(60) {
        assert!(!balancer.fail(name, Outcome::Bad, now));
    }
    assert!(balancer.replicas().all(|replica| replica.is_well()));
}

#[test]
fn where_nobody_is_left_all_are_asked_and_one_answer_ends_the_pauses() {
    let (balancer, now) = (plain(3), Instant::now());
    for name in 0..3 {
        assert!(balancer.fail(name, Outcome::Unreachable, now));
    }
    assert!(balancer.shares(false, now).iter().all(|share| *share > 100));
    let guess = balancer.choose_at(false, 7, now).expect("somebody");
    assert_eq!(balancer.report_at(&guess, Outcome::Unreachable, || now), None, "a guess makes no pause longer");
    balancer.report_at(&guess, Outcome::Good, || now);
    for _ in 0..2 {
        let probe = balancer.choose_at(false, 7, now).expect("somebody");
        assert_eq!(probe.reason, Reason::Probe);
        balancer.report_at(&probe, Outcome::Good, || now);
    }
    assert!(balancer.replicas().all(|replica| replica.is_well()));
}

#[test]
fn a_single_one_is_never_left_alone_nor_is_any_where_that_is_off() {
    let now = Instant::now();
    let off = BreakerConfig { enabled: false, failure_threshold: 1, ..BreakerConfig::default() };
    let two = Balancer::new((0..2).map(|name| replica(name, "", false)), None, off);
    for balancer in [plain(1), two] {
        for outcome in [Outcome::Unreachable, Outcome::Bad].repeat(5) {
            assert!(!balancer.fail(0, outcome, now));
        }
        assert!(balancer.named(0).is_well());
    }
}

#[test]
fn the_own_zone_is_asked_alone_until_too_few_of_it_are_well() {
    let now = Instant::now();
    let zones = ["a", "a", "a", "a", "b", "b", ""];
    let balancer = balancer(zones.into_iter().enumerate().map(|(name, zone)| replica(name, zone, false)));
    let near = || balancer.shares(false, now)[..4].iter().sum::<usize>();
    assert_eq!(near(), 1000);
    balancer.fail(0, Outcome::Unreachable, now);
    assert_eq!(near(), 1000, "three of four bear it");
    balancer.fail(1, Outcome::Unreachable, now);
    assert!((650..750).contains(&near()), "{}: two bear 1.4 times their share", near());
    balancer.fail(2, Outcome::Unreachable, now);
    assert!((300..400).contains(&near()), "{}", near());
    balancer.fail(3, Outcome::Unreachable, now);
    assert_eq!(near(), 0);
    for name in 4..7 {
        balancer.fail(name, Outcome::Unreachable, now);
    }
    assert!((500..650).contains(&near()), "{}: nobody is left, so all are asked", near());
}

#[test]
fn a_zone_without_replicas_is_no_zone() {
    let balancer = balancer((0..2).map(|name| replica(name, "b", false)));
    assert!(balancer.shares(false, Instant::now()).iter().all(|share| *share > 300));
}

#[test]
fn a_canary_is_for_its_sessions_and_each_side_stands_in_for_the_other() {
    let (balancer, now) = (balancer((0..3).map(|name| replica(name, "", name == 2))), Instant::now());
    assert_eq!(balancer.shares(true, now), [0, 0, 1000]);
    assert_eq!(balancer.shares(false, now)[2], 0);
    balancer.fail(2, Outcome::Unreachable, now);
    assert_eq!(balancer.shares(true, now)[2], 0);
    let due = now + PAUSE;
    assert_ne!(*balancer.choose_at(false, 7, due).expect("somebody").target(), 2, "not theirs to try");
    let probe = balancer.choose_at(true, 7, due).expect("somebody");
    assert_eq!(*probe.target(), 2);
    balancer.report_at(&probe, Outcome::Good, || due);
    balancer.fail(0, Outcome::Unreachable, due);
    balancer.fail(1, Outcome::Unreachable, due);
    assert_eq!(balancer.shares(false, due), [0, 0, 1000]);
}

#[test]
fn a_second_attempt_goes_to_another_one_that_is_well() {
    let (balancer, now) = (plain(3), Instant::now());
    let failed = balancer.ask(0);
    for draw in draws(100) {
        assert_ne!(balancer.choose_another(&failed, || draw).expect("another").target(), &0);
    }
    balancer.fail(1, Outcome::Unreachable, now);
    balancer.fail(2, Outcome::Unreachable, now);
    assert!(balancer.choose_another(&failed, || 7).is_none(), "it is the only one that is well");
    balancer.fail(0, Outcome::Unreachable, now);
    assert_ne!(balancer.choose_another(&failed, || 7).expect("another").target(), &0);
    let single = plain(1);
    assert!(single.choose_another(&single.ask(0), || 7).is_none());
}

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Open,
    Ends(Outcome),
    GivenUp,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Open),
        Just(Fate::Ends(Outcome::Good)),
        Just(Fate::Ends(Outcome::Leaving)),
        Just(Fate::Ends(Outcome::Bad)),
        Just(Fate::Ends(Outcome::Unreachable)),
        Just(Fate::GivenUp),
    ]
}

proptest! {
    #[test]
    fn whatever_happens(
        labels in prop::collection::vec((0u8..3, any::<bool>()), 1..8),
        requests in prop::collection::vec((fate(), any::<bool>(), any::<u64>(), 0u64..3_000), 1..200),
    ) {
        let zones = ["", "a", "b"];
        let replicas = labels.iter().enumerate();
        let balancer =
            balancer(replicas.map(|(name, (zone, canary))| replica(name, zones[usize::from(*zone)], *canary)));
        let (mut now, mut open) = (Instant::now(), Vec::new());
        for (fate, canary, draw, pause_ms) in requests {
            now += Duration::from_millis(pause_ms);
            let well: Vec<Name> =
                balancer.replicas().filter(|replica| replica.is_well()).map(|replica| replica.target).collect();
            let choice = balancer.choose_at(canary, draw, now).expect("there always is one");
            match choice.reason {
                Reason::Well => {
                    prop_assert!(well.contains(choice.target()));
                    let is_its = |name: &Name| labels[*name].1 == canary;
                    prop_assert!(is_its(choice.target()) || !well.iter().any(is_its));
                }
                Reason::Probe => prop_assert!(!well.contains(choice.target())),
                Reason::NobodyIs => prop_assert!(well.is_empty()),
            }
            match fate {
                Fate::Open => open.push(choice),
                Fate::GivenUp => drop(choice),
                Fate::Ends(outcome) => {
                    let is_new = balancer.report_at(&choice, outcome, || now) == Some(Change::Ejected);
                    drop(choice);
                    let left = balancer.replicas().filter(|replica| replica.is_well()).count();
                    prop_assert!(!is_new || outcome != Outcome::Bad || left * 2 >= balancer.len());
                }
            }
            let asked: u32 = balancer.replicas().map(|replica| replica.outstanding()).sum();
            prop_assert_eq!(asked as usize, open.len());
        }
    }
}
