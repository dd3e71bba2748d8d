//! A service of several replicas: who is asked, who is left alone, and who comes back.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use vx11_resilience::is_canary;

use crate::edge::{Answer, Edge, TOKEN, eventually};
use crate::service::{Act, Service, answer, chunk, chunked_head, gate, nobody};

const FOR_LONG: (&str, &str) = ("VX11_TENTACULO__CIRCUIT__OPEN_FOR", "60s");
const AFTER_TWO: (&str, &str) = ("VX11_TENTACULO__CIRCUIT__FAILURE_THRESHOLD", "2");
const SOON: (&str, &str) = ("VX11_TENTACULO__CIRCUIT__OPEN_FOR", "10ms");

/// The edge before a switch of these replicas; each is its address and further labels.
async fn over(replicas: &[(&str, &str)], more: &[(&str, &str)]) -> Edge {
    let entries: Vec<_> = replicas.iter().map(|(url, labels)| format!(r#"{{url="{url}"{labels}}}"#)).collect();
    let list = format!("[{}]", entries.join(", "));
    Edge::start(&[&[("VX11_TENTACULO__REPLICAS__SWITCH", list.as_str())], more].concat()).await
}

/// The statuses of this many requests, one after the other.
async fn posts(edge: &Edge, many: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..many {
        statuses.push(Answer::of(edge.post("/switch/x", "{}")).await.status);
    }
    statuses
}

async fn metric(edge: &Edge, name: &str, url: &str) -> f64 {
    let replica = url.trim_start_matches("http://");
    edge.metric(&format!(r#"vx11_replica_{name}{{replica="{replica}",upstream="switch"}}"#)).await
}

async fn readiness(edge: &Edge) -> (String, String) {
    let ready = Answer::of(edge.get("/ready")).await.json();
    let switch = &ready["dependencies"]["switch"];
    (switch["status"].as_str().unwrap().to_owned(), switch["reason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn requests_go_to_all_of_them() {
    let services = [Service::well().await, Service::well().await, Service::well().await];
    let edge = over(&services.each_ref().map(|service| (service.url.as_str(), "")), &[]).await;
    assert_eq!(posts(&edge, 60).await, [200; 60]);
    for service in &services {
        let asked = service.requests().len();
        assert!((5..40).contains(&asked), "{asked}");
        let replica = service.url.trim_start_matches("http://");
        let series = format!(r#"vx11_replica_requests_total{{outcome="ok",replica="{replica}",upstream="switch"}}"#);
        assert_eq!(edge.metric(&series).await, asked as f64);
        eventually("nothing is left", async || metric(&edge, "requests_active", &service.url).await == 0.0).await;
    }
    assert_eq!(readiness(&edge).await.0, "up");
}

#[tokio::test]
async fn one_that_is_gone_costs_nobody_an_answer() {
    let (gone, well) = (nobody(), Service::well().await);
    let edge = over(&[(&gone, ""), (&well.url, "")], &[FOR_LONG]).await;
    eventually("it is asked", async || {
        assert_eq!(posts(&edge, 1).await, [200]);
        metric(&edge, "ejections_total", &gone).await == 1.0
    })
    .await;
    assert_eq!(edge.metric("vx11_upstream_retries_total").await, 1.0, "it is left at once");
    assert_eq!(posts(&edge, 20).await, [200; 20]);
    assert_eq!(edge.metric("vx11_upstream_retries_total").await, 1.0);
    assert_eq!((metric(&edge, "ejected", &gone).await, metric(&edge, "ejected", &well.url).await), (1.0, 0.0));
    assert_eq!(readiness(&edge).await, ("degraded".into(), "1 of its 2 replicas are left alone for a while".into()));
    assert_eq!(edge.circuit("switch").await, "closed");
}

#[tokio::test]
async fn a_body_that_streams_through_goes_to_another_one_too() {
    let (gone, well) = (nobody(), Service::well().await);
    let edge = over(&[(&gone, ""), (&well.url, "")], &[SOON]).await;
    let text = "0123456789".repeat(10_000);
    eventually("the first one is met some times", async || {
        for body in [text.clone().into(), streamed(&text)] {
            assert_eq!(Answer::of(edge.post("/switch/x", body)).await.status, 200);
            assert!(well.last().contains(&text[..1_000]));
        }
        edge.metric("vx11_upstream_retries_total").await >= 4.0
    })
    .await;
}

/// A body of no declared length.
fn streamed(text: &str) -> reqwest::Body {
    let chunks: Vec<Result<String, std::io::Error>> =
        text.as_bytes().chunks(1_000).map(|part| Ok(String::from_utf8_lossy(part).into_owned())).collect();
    reqwest::Body::wrap_stream(futures_util::stream::iter(chunks))
}

#[tokio::test]
async fn one_that_comes_back_is_asked_again() {
    let (gone, well) = (nobody(), Service::well().await);
    let edge = over(&[(&gone, ""), (&well.url, "")], &[SOON]).await;
    eventually("it is found to be gone", async || {
        assert_eq!(posts(&edge, 1).await, [200]);
        metric(&edge, "ejections_total", &gone).await >= 1.0
    })
    .await;
    let listener = TcpListener::bind(gone.trim_start_matches("http://")).await.unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 4096]).await;
            let _ = connection.write_all(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n").await;
        }
    });
    eventually("it answers", async || posts(&edge, 1).await == [204]).await;
    assert_eq!(metric(&edge, "ejected", &gone).await, 0.0);
    assert_eq!(readiness(&edge).await.0, "up");
    serving.abort();
}

#[tokio::test]
async fn one_that_breaks_off_is_left_after_some_failures_and_reads_go_to_another() {
    let (broken, well) = (Service::always([Act::Reset]).await, Service::well().await);
    let edge = over(&[(&broken.url, ""), (&well.url, "")], &[FOR_LONG, AFTER_TWO]).await;
    eventually("a read meets it", async || {
        assert_eq!(Answer::of(edge.get("/switch/x")).await.status, 200);
        broken.requests().len() == 1
    })
    .await;
    eventually("it is left alone", async || {
        let status = posts(&edge, 1).await[0];
        assert!(matches!(status, 200 | 502), "{status}");
        metric(&edge, "ejections_total", &broken.url).await == 1.0
    })
    .await;
    assert_eq!(broken.requests().len(), 2, "one that may have had an effect was not sent again");
    assert_eq!(posts(&edge, 20).await, [200; 20]);
    assert_eq!(edge.circuit("switch").await, "closed", "it is not the service");
}

#[tokio::test]
async fn one_that_says_that_it_stops_is_left_at_once() {
    let leaving = Service::always([answer(200, "x-vx11-draining: true\r\n", "ok")]).await;
    let well = Service::well().await;
    let edge = over(&[(&leaving.url, ""), (&well.url, "")], &[FOR_LONG]).await;
    for _ in 0..40 {
        let got = Answer::of(edge.post("/switch/x", "{}")).await;
        assert_eq!((got.status, got.header("x-vx11-draining")), (200, ""), "it is not the edge that stops");
    }
    assert_eq!((leaving.requests().len(), metric(&edge, "ejections_total", &leaving.url).await), (1, 1.0));
}

#[tokio::test]
async fn an_edge_that_stops_says_so() {
    let well = Service::well().await;
    let edge = Edge::in_front_of(&well.url, &[("VX11_HTTP__SHUTDOWN_DELAY", "1h")]).await;
    assert_eq!(Answer::of(edge.get("/switch/x")).await.header("x-vx11-draining"), "");
    edge.shut_down();
    for path in ["/switch/x", "/tentaculo/circuits", "/nowhere"] {
        let got = Answer::of(edge.get(path)).await;
        assert_eq!((got.header("x-vx11-draining"), got.header("connection")), ("true", "close"), "{path}");
    }
}

#[tokio::test]
async fn one_that_is_slow_is_asked_less() {
    let (gate, wait) = gate();
    let slow = Service::always([wait, answer(200, "", "slow")]).await;
    let well = Service::well().await;
    let edge = over(&[(&slow.url, ""), (&well.url, "")], &[]).await;
    let asked: Vec<_> = (0..20).map(|_| tokio::spawn(Answer::of(edge.post("/switch/x", "{}")))).collect();
    let is_idle = async || metric(&edge, "requests_active", &well.url).await == 0.0;
    let is_sent = async || well.requests().len() + slow.requests().len() == 20;
    eventually("all are sent, and the other has answered", async || is_sent().await && is_idle().await).await;
    let held = slow.requests().len();
    assert!((1..=10).contains(&held), "{held}");
    for _ in 0..20 {
        eventually("the answer before is over", is_idle).await;
        assert_eq!(posts(&edge, 1).await, [200]);
    }
    assert_eq!(slow.requests().len(), held);
    gate.add_permits(20);
    for answer in join_all(asked).await {
        assert_eq!(answer.unwrap().status, 200);
    }
}

#[tokio::test]
async fn one_that_answers_503_is_left_where_another_does_not() {
    let (ill, well) = (Service::always([answer(503, "", "{}")]).await, Service::well().await);
    let edge = over(&[(&ill.url, ""), (&well.url, "")], &[FOR_LONG, AFTER_TWO]).await;
    eventually("it is left alone", async || {
        posts(&edge, 1).await;
        metric(&edge, "ejections_total", &ill.url).await == 1.0
    })
    .await;
    assert_eq!(posts(&edge, 20).await, [200; 20]);
    assert_eq!(ill.requests().len(), 2);
}

#[tokio::test]
async fn where_all_answer_503_it_is_not_them() {
    let script = || Service::always([answer(503, "", "{}")]);
    let (first, second) = (script().await, script().await);
    let edge =
        over(&[(&first.url, ""), (&second.url, "")], &[FOR_LONG, ("VX11_TENTACULO__CIRCUIT__FAILURE_THRESHOLD", "20")])
            .await;
    assert_eq!(posts(&edge, 60).await, [503; 60]);
    assert!(first.requests().len().min(second.requests().len()) > 10);
    assert_eq!(readiness(&edge).await.0, "up", "they answer");
}

#[tokio::test]
async fn the_service_is_down_when_all_of_them_are() {
    let gone = [nobody(), nobody()];
    let edge = over(&[(&gone[0], ""), (&gone[1], "")], &[FOR_LONG, AFTER_TWO]).await;
    for _ in 0..4 {
        let got = Answer::of(edge.post("/switch/x", "{}")).await;
        assert_eq!(got.refusal(), (503, "service_unavailable".to_owned()));
    }
    assert_eq!(edge.circuit("switch").await, "open");
    assert_eq!(readiness(&edge).await.0, "down");
}

#[tokio::test]
async fn a_stream_that_is_cut_is_not_asked_for_again() {
    let script =
        || Service::always([chunked_head("content-type: text/event-stream\r\n"), chunk("data: 1\n\n"), Act::Close]);
    let (first, second) = (script().await, script().await);
    let edge = over(&[(&first.url, ""), (&second.url, "")], &[]).await;
    let read = async { edge.get("/switch/events").send().await?.text().await };
    assert!(read.await.is_err(), "it does not end as if it were whole");
    assert_eq!(first.requests().len() + second.requests().len(), 1);
}

#[tokio::test]
async fn open_streams_are_work_under_way() {
    let (_gate, wait) = gate();
    let script = [chunked_head("content-type: text/event-stream\r\n"), chunk("data: 1\n\n"), wait];
    let services = [Service::always(script.clone()).await, Service::always(script).await];
    let edge = over(&services.each_ref().map(|service| (service.url.as_str(), "")), &[]).await;
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(edge.get("/switch/events").send().await.unwrap());
    }
    for service in &services {
        assert_eq!(service.requests().len(), 3, "each next one goes to who has fewer");
        assert_eq!(metric(&edge, "requests_active", &service.url).await, 3.0);
    }
    drop(open);
    for service in &services {
        eventually("they are over", async || metric(&edge, "requests_active", &service.url).await == 0.0).await;
    }
}

#[tokio::test]
async fn open_websockets_are_work_under_way() {
    let agreed = "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let script = [Act::Say(agreed.to_owned()), Act::Wait];
    let services = [Service::always(script.clone()).await, Service::always(script).await];
    let edge = over(&services.each_ref().map(|service| (service.url.as_str(), "")), &[]).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut request = format!("ws://{}/switch/ws", edge.address()).into_client_request().unwrap();
        request.headers_mut().insert("x-vx11-token", TOKEN.parse().unwrap());
        request.headers_mut().insert("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        open.push(tokio_tungstenite::connect_async(request).await.unwrap());
    }
    for service in &services {
        assert_eq!((service.requests().len(), metric(&edge, "requests_active", &service.url).await), (2, 2.0));
    }
    drop(open);
    for service in &services {
        eventually("they are over", async || metric(&edge, "requests_active", &service.url).await == 0.0).await;
    }
}

#[tokio::test]
async fn the_own_zone_is_asked_first() {
    let (near, far, gone) = (Service::well().await, Service::well().await, nobody());
    let replicas = [(near.url.as_str(), r#", zone="a""#), (&far.url, r#", zone="b""#)];
    let edge = over(&replicas, &[("VX11_TENTACULO__ZONE", "a")]).await;
    assert_eq!(posts(&edge, 20).await, [200; 20]);
    assert_eq!((near.requests().len(), far.requests().len()), (20, 0));

    let replicas = [(gone.as_str(), r#", zone="a""#), (&far.url, r#", zone="b""#)];
    let edge = over(&replicas, &[("VX11_TENTACULO__ZONE", "a"), FOR_LONG]).await;
    assert_eq!(posts(&edge, 20).await, [200; 20]);
    assert_eq!(far.requests().len(), 20);
}

#[tokio::test]
async fn a_canary_gets_its_share_of_the_sessions_and_keeps_them() {
    let (stable, canary) = (Service::well().await, Service::well().await);
    let replicas = [(stable.url.as_str(), ""), (&canary.url, ", canary=true")];
    let edge = over(&replicas, &[("VX11_TENTACULO__CANARY__SWITCH", "30")]).await;
    let sessions: Vec<String> = (0..40).map(|n| format!("s-{n}")).collect();
    for session in sessions.iter().chain(&sessions) {
        let sent = edge.post("/switch/x", "{}").header("x-vx11-session-id", session);
        assert_eq!(Answer::of(sent).await.status, 200);
    }
    let seen = |service: &Service| -> BTreeSet<String> {
        let of = |request: &String| {
            request.lines().find_map(|line| line.strip_prefix("x-vx11-session-id: ")).unwrap_or_default().to_owned()
        };
        service.requests().iter().map(of).collect()
    };
    let chosen = sessions.iter().filter(|session| is_canary("switch", session.as_bytes(), 30)).cloned();
    assert_eq!(seen(&canary), chosen.collect());
    assert!(seen(&stable).is_disjoint(&seen(&canary)));

    let before = (stable.requests().len(), canary.requests().len());
    posts(&edge, 10).await;
    let asked = (stable.requests().len() - before.0, canary.requests().len() - before.1);
    assert!(matches!(asked, (10, 0) | (0, 10)), "without a session its address is one: {asked:?}");
}

#[tokio::test]
async fn the_rest_stands_in_for_a_canary_that_is_gone() {
    let (stable, gone) = (Service::well().await, nobody());
    let replicas = [(stable.url.as_str(), ""), (&gone, ", canary=true")];
    let edge = over(&replicas, &[("VX11_TENTACULO__CANARY__SWITCH", "100"), FOR_LONG]).await;
    assert_eq!(posts(&edge, 20).await, [200; 20]);
    assert_eq!(edge.metric("vx11_upstream_retries_total").await, 1.0);
}
