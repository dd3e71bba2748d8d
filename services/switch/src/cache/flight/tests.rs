use vx11_chassis::sse::Parser;

use super::super::CacheMetrics;
use super::*;
use crate::cache::{Control, Kind, Scope};
use crate::config::CacheConfig;

fn cache() -> Arc<Cache> {
    let metrics = CacheMetrics::new(&prometheus::Registry::new()).expect("metrics");
    Cache::new(&CacheConfig { enabled: true, ..CacheConfig::default() }, &metrics, None).expect("enabled")
}

fn key() -> Key {
    Key::new(Scope::PLAIN, b"{}").expect("a key")
}

fn lead(cache: &Arc<Cache>, form: Form) -> (Lead, Seat) {
    match cache.board(key(), Control::read([].into_iter()), form) {
        super::super::Boarding::Lead(lead, seat) => (lead, seat),
        other => panic!("{other:?}"),
    }
}

fn follow(cache: &Arc<Cache>, form: Form) -> Option<Seat> {
    match cache.board(key(), Control::read([].into_iter()), form) {
        super::super::Boarding::Follow(seat) => Some(seat),
        _ => None,
    }
}

fn frame(size: usize) -> Frame {
    let mut parser = Parser::new(usize::MAX);
    parser.push(format!("data: {}\n\n", "x".repeat(size)).as_bytes());
    parser.next_frame().expect("whole").expect("whole")
}

fn head() -> Arc<Head> {
    Arc::new(Head { tried: Vec::new(), request_id: None, provider: "p".into(), model: "m".into() })
}

async fn reads(seat: &Seat) -> usize {
    match seat.next().await {
        Next::Frame(frame, _) => frame.data().len(),
        Next::End(end) => panic!("{end:?}"),
    }
}

#[tokio::test]
async fn who_comes_late_reads_from_the_beginning_and_all_see_the_end() {
    let cache = cache();
    let (lead, first) = lead(&cache, Form::Stream);
    lead.begin(head());
    lead.tell(frame(1), Said::default()).await;
    assert_eq!(reads(&first).await, 1);
    let second = follow(&cache, Form::Stream).expect("it is on its way");
    let third = follow(&cache, Form::Whole).expect("it is on its way");
    lead.tell(frame(2), Said::default()).await;
    assert_eq!([reads(&first).await, reads(&second).await, reads(&second).await], [2, 1, 2]);
    let entry = Arc::new(Entry::new(Kind::Pivot, b"whole", "p", "m".into()));
    lead.land(Landed { head: head(), entry: Some(entry), usage: None }, true);
    assert!(matches!(first.next().await, Next::End(End::Landed(_))));
    let End::Landed(Landed { entry: Some(entry), .. }) = third.end().await else { panic!("not whole") };
    assert_eq!(entry.body, "whole");
    let kept = cache.board(key(), Control::read([].into_iter()), Form::Whole);
    assert!(matches!(kept, super::super::Boarding::Kept(_)), "{kept:?}");
}

#[tokio::test]
async fn a_lead_that_is_gone_leaves_nobody_waiting_and_its_place_free() {
    let cache = cache();
    let (lead_, seat) = lead(&cache, Form::Whole);
    let follower = follow(&cache, Form::Stream).expect("it is on its way");
    drop(lead_);
    assert!(matches!(seat.end().await, End::Lost));
    assert!(matches!(follower.beginning().await, Beginning::End(End::Lost)));
    lead(&cache, Form::Whole);
}

#[tokio::test]
async fn a_call_goes_on_while_anybody_waits_and_no_longer() {
    let cache = cache();
    let (lead_, first) = lead(&cache, Form::Whole);
    let second = follow(&cache, Form::Whole).expect("it is on its way");
    drop(first);
    let mut abandoned = Box::pin(lead_.abandoned());
    assert!(futures_util::poll!(&mut abandoned).is_pending());
    drop(second);
    abandoned.await;
    assert!(follow(&cache, Form::Whole).is_none(), "nobody boards what is about to be given up");
}

#[tokio::test]
async fn of_a_long_stream_only_what_is_unread_is_held_and_who_stands_still_loses_the_seat() {
    let lead = Lead { cache: cache(), key: key(), flight: Flight::new(Duration::from_millis(1), Priority::Normal) };
    let [fast, slow] = [(); 2].map(|()| lead.flight.sit(&mut lead.flight.state(), Form::Stream));
    lead.begin(head());
    let telling = async {
        for _ in 0..12 {
            lead.tell(frame(MOST / 4), Said::default()).await;
            assert!(lead.flight.state().bytes <= MOST);
        }
        lead.end(End::Broken(Outcome::StreamCut));
    };
    let reading = async {
        let mut read = 0;
        while let Next::Frame(..) = fast.next().await {
            read += 1;
            tokio::task::yield_now().await;
        }
        read
    };
    let ((), read) = tokio::join!(telling, reading);
    assert_eq!(read, 12);
    assert!(matches!(slow.next().await, Next::End(End::Broken(Outcome::Stalled))));
}

#[tokio::test]
async fn the_only_reader_of_a_long_stream_is_waited_for_and_nobody_joins() {
    let lead = Lead { cache: cache(), key: key(), flight: Flight::new(Duration::from_millis(1), Priority::Normal) };
    let seat = lead.flight.sit(&mut lead.flight.state(), Form::Stream);
    lead.begin(head());
    for _ in 0..3 {
        lead.tell(frame(MOST / 4), Said::default()).await;
    }
    assert!(lead.flight.board(Priority::Normal, Form::Stream).is_some(), "all of it is held");
    lead.tell(frame(MOST / 5), Said::default()).await;
    let mut waiting = Box::pin(lead.tell(frame(MOST / 4), Said::default()));
    let patient = tokio::time::timeout(Duration::from_millis(20), &mut waiting);
    assert!(patient.await.is_err(), "there is no room until something is read");
    assert_eq!(reads(&seat).await, MOST / 4);
    waiting.await;
    assert!(lead.flight.board(Priority::Normal, Form::Stream).is_none(), "its beginning is gone");
}

#[tokio::test]
async fn nobody_waits_in_the_turn_of_somebody_less_urgent() {
    let lead = Lead { cache: cache(), key: key(), flight: Flight::new(PATIENCE, Priority::Normal) };
    let _seat = lead.flight.sit(&mut lead.flight.state(), Form::Whole);
    let may_board = |priority| lead.flight.board(priority, Form::Whole).is_some();
    assert_eq!(Priority::ALL.map(may_board), [false, true, true]);
}
