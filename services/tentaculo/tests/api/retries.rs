//! A request is sent a second time only where the first cannot have had an effect.

use reqwest::Method;

use crate::edge::{Answer, Edge, TOKEN};
use crate::service::{Act, Service, answer};

/// Breaks the first request in this way, and answers the others.
async fn broken_once(how: &'static [Act]) -> Service {
    Service::start(move |number| if number == 0 { how.to_vec() } else { vec![answer(200, "", "ok")] }).await
}

fn but_for_its_deadline(request: &str) -> Vec<&str> {
    request.lines().filter(|line| !line.starts_with("x-vx11-deadline-ms: ")).collect()
}

#[tokio::test]
async fn a_read_that_broke_off_is_tried_once_more() {
    for how in [&[Act::Reset][..], &[Act::Close]] {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let service = broken_once(how).await;
            let edge = Edge::in_front_of(&service.url, &[]).await;
            let got = Answer::of(edge.stranger(method.clone(), "/operator/x").bearer_auth(TOKEN)).await;
            assert_eq!(got.status, 200, "{method} {how:?}");
            let [first, second] = service.requests().try_into().expect("two requests");
            // The second one has less time.
            assert_eq!(but_for_its_deadline(&first), but_for_its_deadline(&second), "{method} {how:?}");
            assert_eq!(edge.metric("vx11_upstream_retries_total").await, 1.0);
        }
    }
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_never_sent_again() {
    for how in [&[Act::Reset][..], &[Act::Close]] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let service = broken_once(how).await;
            let edge = Edge::in_front_of(&service.url, &[]).await;
            let got = Answer::of(edge.stranger(method.clone(), "/operator/x").bearer_auth(TOKEN).body("{}")).await;
            assert_eq!(got.refusal(), (502, "upstream_error".to_owned()), "{method} {how:?}");
            assert_eq!(service.requests().len(), 1, "{method} {how:?}");
        }
    }
}

#[tokio::test]
async fn not_even_on_a_connection_that_served_before() {
    for how in [Act::Reset, Act::Close] {
        let last = how.clone();
        let service =
            Service::start(move |number| if number == 1 { vec![last.clone()] } else { vec![answer(200, "", "ok")] })
                .await;
        let edge = Edge::in_front_of(&service.url, &[]).await;
        assert_eq!(Answer::of(edge.post("/operator/x", "first")).await.status, 200);
        let got = Answer::of(edge.post("/operator/x", "second")).await;
        assert_eq!(got.status, 502, "{how:?}");
        let seconds = service.requests().iter().filter(|request| request.ends_with("second")).count();
        assert_eq!((seconds, service.connections()), (1, 1), "{how:?}");
    }
}

#[tokio::test]
async fn an_error_answer_is_an_answer() {
    for status in [429, 500, 502, 503, 504] {
        let service = Service::always([answer(status, "retry-after: 7\r\n", r#"{"ok":false}"#)]).await;
        let edge = Edge::in_front_of(&service.url, &[]).await;
        let got = Answer::of(edge.get("/operator/x")).await;
        assert_eq!((got.status, got.header("retry-after"), got.body.as_str()), (status, "7", r#"{"ok":false}"#));
        assert_eq!(service.requests().len(), 1);
        assert_eq!(edge.circuit("operator").await, "closed");
    }
}

#[tokio::test]
async fn a_spent_budget_means_no_second_try() {
    let service = Service::always([Act::Reset]).await;
    let budget = [("VX11_TENTACULO__RETRIES__RATIO", "0.0"), ("VX11_TENTACULO__RETRIES__MIN_PER_SECOND", "0")];
    let edge = Edge::in_front_of(&service.url, &budget).await;
    assert_eq!(Answer::of(edge.get("/operator/x")).await.status, 502);
    assert_eq!(service.requests().len(), 1);
}
