//! One call for all who ask the same at one time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use vx11_testing::gate;

use super::{BODY, PATH, STREAM, STREAM_WITH_USAGE, ask, caching, counted, has_usage, text, used};
use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, STOP, USAGE, chunk, completion, error, event, stream_head, whole_stream};

/// A provider that answers the first request once the others have joined, which a `gate` says.
async fn slow(acts: Vec<Act>) -> (Fake, Arc<Semaphore>) {
    let (gate, at_gate) = gate();
    let acts: Vec<Act> =
        acts.into_iter().map(|act| if matches!(act, Act::Wait) { at_gate.clone() } else { act }).collect();
    (Fake::always(acts).await, gate)
}

/// Waits until so many requests share a call.
async fn seated(app: &App, requests: u32) {
    app.wait_for_metric("vx11_cache_pending", requests.into()).await;
}

#[tokio::test]
async fn identical_requests_at_one_time_make_one_call_in_whatever_form() {
    for streamed_first in [false, true] {
        let mut acts = if streamed_first { whole_stream() } else { vec![completion("Hello")] };
        acts.insert(usize::from(streamed_first) * 2, Act::Wait);
        let (fake, gate) = slow(acts).await;
        let app = caching(&fake).await;
        let first = tokio::spawn(Answer::of(app.post(PATH, if streamed_first { STREAM } else { BODY })));
        eventually("the provider is asked", async || fake.requests().len() == 1).await;
        let others: Vec<_> = (0..10)
            .map(|number| {
                tokio::spawn(Answer::of(app.post(PATH, if number % 2 == 0 { BODY } else { STREAM_WITH_USAGE })))
            })
            .collect();
        seated(&app, 11).await;
        gate.add_permits(1);
        let first = first.await.unwrap();
        assert_eq!(used(&first), (200, "miss"));
        for (number, other) in others.into_iter().enumerate() {
            let got = other.await.unwrap();
            assert_eq!(
                (used(&got), got.header("x-vx11-cost-usd")),
                ((200, "hit"), if number % 2 == 0 { "0" } else { "" })
            );
            if number % 2 == 0 {
                assert_eq!(got.json()["choices"][0]["message"]["content"], "Hello");
            } else {
                assert_eq!(
                    (text(&got).as_str(), got.events().last(), has_usage(&got)),
                    ("Hello", Some(&"[DONE]"), true)
                );
            }
        }
        assert_eq!(fake.requests().len(), 1);
        assert_eq!([counted(&app, "miss").await, counted(&app, "shared").await], [1.0, 10.0]);
    }
}

#[tokio::test]
async fn who_joins_a_stream_gets_it_as_it_comes() {
    let (fake, gate) =
        slow(vec![stream_head(), chunk("Hel"), Act::Wait, chunk("lo"), event(STOP), event(USAGE), event("[DONE]")])
            .await;
    let app = caching(&fake).await;
    let mut first = app.post(PATH, STREAM).send().await.unwrap();
    let mut second = app.post(PATH, STREAM).send().await.unwrap();
    for response in [&mut first, &mut second] {
        let piece = response.chunk().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&piece).contains("Hel"));
    }
    gate.add_permits(1);
    for response in [first, second] {
        let rest = response.text().await.unwrap();
        assert!(rest.contains("lo") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    }
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_call_outlives_the_request_that_began_it_while_others_wait() {
    for (body, at) in [(BODY, 0), (STREAM, 0), (STREAM, 2)] {
        let mut acts = if body == STREAM { whole_stream() } else { vec![completion("Hello")] };
        acts.insert(at, Act::Wait);
        let (fake, gate) = slow(acts).await;
        let app = caching(&fake).await;
        let first = tokio::spawn(app.post(PATH, body).send());
        eventually("the provider is asked", async || fake.requests().len() == 1).await;
        let second = tokio::spawn(Answer::of(app.post(PATH, body)));
        seated(&app, 2).await;
        match at {
            0 => first.abort(),
            _ => drop(first.await.unwrap().unwrap()),
        }
        seated(&app, 1).await;
        gate.add_permits(1);
        let got = second.await.unwrap();
        assert_eq!(used(&got), (200, "hit"));
        assert!(text(&got) == "Hello" || got.body.contains("Hello"), "{}", got.body);
        assert_eq!(used(&ask(&app, BODY).await), (200, "hit"), "and the answer is kept");
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_given_up() {
    for (body, acts) in [(BODY, vec![Act::Wait]), (STREAM, vec![stream_head(), chunk("Hel"), Act::Wait])] {
        let fake = Fake::always(acts).await;
        let app = caching(&fake).await;
        let both: Vec<_> = (0..2).map(|_| tokio::spawn(Answer::of(app.post(PATH, body)))).collect();
        eventually("the provider is asked", async || fake.requests().len() == 1).await;
        seated(&app, 2).await;
        both.iter().for_each(|request| request.abort());
        eventually("the provider sees its caller go", async || fake.hung_up() == 1).await;
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_told_to_all_and_other_failures_to_the_leader_alone() {
    for (status, calls) in [(400, 1), (500, 4)] {
        for body in [BODY, STREAM] {
            let (fake, gate) = slow(vec![Act::Wait, error(status, "")]).await;
            let app = caching(&fake).await;
            let all: Vec<_> = (0..4).map(|_| tokio::spawn(Answer::of(app.post(PATH, body)))).collect();
            eventually("the provider is asked", async || fake.requests().len() == 1).await;
            seated(&app, 4).await;
            gate.add_permits(1);
            eventually("the others do as they must", async || fake.requests().len() == calls).await;
            for _ in 1..calls {
                gate.add_permits(1);
                eventually("one more", async || {
                    gate.add_permits(1);
                    all.iter().all(|request| request.is_finished())
                })
                .await;
            }
            for request in all {
                assert_eq!(request.await.unwrap().status, status, "{body}");
            }
            assert_eq!(fake.requests().len(), calls);
        }
    }
}

#[tokio::test]
async fn a_follower_keeps_its_own_deadline() {
    let (fake, gate) = slow(vec![Act::Wait, completion("Hello")]).await;
    let app = caching(&fake).await;
    let first = tokio::spawn(Answer::of(app.post(PATH, BODY)));
    eventually("the provider is asked", async || fake.requests().len() == 1).await;
    let hurried =
        Answer::of(app.post(PATH, BODY).header("x-vx11-timeout-ms", "50").timeout(Duration::from_secs(10))).await;
    assert_eq!(hurried.status, 504);
    gate.add_permits(1);
    assert_eq!(used(&first.await.unwrap()), (200, "miss"));
}

#[tokio::test]
async fn a_leader_that_has_waited_long_enough_ends_no_other_stream() {
    let mut acts = whole_stream();
    acts.insert(2, Act::Wait);
    let (fake, gate) = slow(acts).await;
    let app = caching(&fake).await;
    // Long enough for the second one to join it, however slow the machine.
    let hurried = app.post(PATH, STREAM).header("x-vx11-deadline-ms", "5000").send().await.unwrap();
    let patient = app.post(PATH, STREAM).send().await.unwrap();
    let hurried = hurried.text().await.unwrap();
    // It pays for what the others still wait for.
    assert!(hurried.contains("deadline_exceeded") && !hurried.contains("x-vx11-cost-usd"), "{hurried}");
    // One that comes and goes later: by then the first one's time is over for whatever looks at it.
    let later = Answer::of(app.post(PATH, STREAM).header("x-vx11-timeout-ms", "200")).await;
    let costs_nothing = later.body.contains(": x-vx11-cost-usd 0\n");
    assert!(later.body.contains("deadline_exceeded") && costs_nothing, "{}", later.body);
    gate.add_permits(1);
    let got = Answer::read(patient).await;
    assert_eq!((text(&got).as_str(), got.events().last()), ("Hello", Some(&"[DONE]")), "{}", got.body);
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn who_is_more_urgent_does_not_wait_in_the_turn_of_who_asked_first() {
    let (fake, gate) = slow(vec![Act::Wait, completion("Hello")]).await;
    let app = caching(&fake).await;
    let ask = |priority: &str| tokio::spawn(Answer::of(app.post(PATH, BODY).header("x-vx11-priority", priority)));
    let batch = ask("batch");
    eventually("the provider is asked", async || fake.requests().len() == 1).await;
    let interactive = ask("interactive");
    eventually("it is asked once more", async || fake.requests().len() == 2).await;
    let normal = ask("normal");
    seated(&app, 2).await;
    gate.add_permits(2);
    for (request, status) in [(batch, "miss"), (interactive, "miss"), (normal, "hit")] {
        assert_eq!(used(&request.await.unwrap()), (200, status));
    }
    assert_eq!(fake.requests().len(), 2);
}
