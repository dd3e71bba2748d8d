//! Services that are down, silent or ill, and their circuits.

use serde_json::json;

use crate::edge::{Answer, Edge, eventually};
use crate::service::{Act, Service, answer, nobody};

const QUICK: [(&str, &str); 2] =
    [("VX11_TENTACULO__CIRCUIT__FAILURE_THRESHOLD", "2"), ("VX11_TENTACULO__CIRCUIT__OPEN_FOR", "60s")];

#[tokio::test]
async fn a_service_that_is_down_is_named_on_every_prefix() {
    let edge = Edge::in_front_of(&nobody(), &[]).await;
    for (path, name) in [
        ("/operator/api/chat", "operator"),
        ("/madre/chat", "madre"),
        ("/switch/chat", "switch"),
        ("/v1/models", "switch"),
    ] {
        for got in [Answer::of(edge.get(path)).await, Answer::of(edge.post(path, "{}")).await] {
            assert_eq!(got.refusal(), (503, "service_unavailable".to_owned()), "{path}");
            assert!(got.body.contains(&format!("`{name}`")), "{}", got.body);
            assert!(got.header("retry-after").parse::<u64>().unwrap() >= 1, "{path}");
            assert!(!got.body.contains("127.0.0.1"), "addresses are the edge's own business: {}", got.body);
        }
    }
    let openai = Answer::of(edge.get("/v1/models")).await.json();
    assert_eq!(openai["error"]["type"], "server_error");
}

#[tokio::test]
async fn one_service_down_leaves_the_others_alone() {
    let well = Service::well().await;
    let nobody = nobody();
    let urls = [("VX11_OPERATOR_URL", &*nobody), ("VX11_MADRE_URL", &well.url), ("VX11_SWITCH_URL", &well.url)];
    let edge = Edge::start(&urls).await;
    for _ in 0..6 {
        assert_eq!(Answer::of(edge.get("/operator/x")).await.status, 503);
    }
    assert_eq!(edge.circuit("operator").await, "open");
    for path in ["/madre/x", "/switch/x", "/v1/x"] {
        assert_eq!(Answer::of(edge.get(path)).await.status, 200, "{path}");
    }
    let ready = Answer::of(edge.get("/ready")).await;
    assert_eq!(ready.status, 200, "the edge itself serves on: {}", ready.body);
    assert!(ready.json().to_string().contains("degraded"), "{}", ready.body);
}

#[tokio::test]
async fn a_circuit_opens_after_failures_and_spares_the_service() {
    let service = Service::always([Act::Reset]).await;
    let edge = Edge::in_front_of(&service.url, &QUICK).await;
    for _ in 0..2 {
        assert_eq!(Answer::of(edge.post("/madre/chat", "{}")).await.status, 502);
    }
    let got = Answer::of(edge.post("/madre/chat", "{}")).await;
    assert_eq!(got.refusal(), (503, "service_unavailable".to_owned()));
    let wait: u64 = got.header("retry-after").parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    assert_eq!(service.requests().len(), 2);
    let circuits = Answer::of(edge.get("/tentaculo/circuits")).await.json();
    assert_eq!((&circuits["madre"]["state"], &circuits["madre"]["failure_count"]), (&json!("open"), &json!(2)));
    assert_eq!(circuits["operator"]["state"], "closed");
    eventually("the gauge shows it", async || {
        edge.metric(r#"vx11_circuit_breaker_state{target="madre"}"#).await == 1.0
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_back_is_let_in_by_one_probe() {
    let service =
        Service::start(|number| if number < 2 { vec![Act::Reset] } else { vec![answer(200, "", "ok")] }).await;
    let edge = Edge::in_front_of(&service.url, &[QUICK[0], ("VX11_TENTACULO__CIRCUIT__OPEN_FOR", "100ms")]).await;
    for _ in 0..2 {
        assert_eq!(Answer::of(edge.post("/madre/chat", "{}")).await.status, 502);
    }
    eventually("a probe closes the circuit", async || Answer::of(edge.post("/madre/chat", "{}")).await.status == 200)
        .await;
    assert_eq!(edge.circuit("madre").await, "closed");
}

#[tokio::test]
async fn a_silent_service_is_given_up_at_the_edges_limit() {
    let service = Service::always([Act::Wait]).await;
    let limits = [("VX11_TENTACULO__ANSWER_TIMEOUT", "1s"), ("VX11_TENTACULO__MODEL_ANSWER_TIMEOUT", "1s")];
    let edge = Edge::in_front_of(&service.url, &[&QUICK[..], &limits].concat()).await;
    for path in ["/operator/x", "/v1/chat/completions"] {
        let got = Answer::of(edge.post(path, "{}")).await;
        assert_eq!(got.refusal(), (504, "deadline_exceeded".to_owned()), "{path}");
    }
    eventually("both calls are dropped", async || service.hung_up() == 2).await;
    assert_eq!(service.requests().len(), 2, "a request that may be under way is not sent again");
    assert_eq!(Answer::of(edge.get("/operator/x")).await.status, 504);
    assert_eq!(edge.circuit("operator").await, "open", "silence is a failure");
}

#[tokio::test]
async fn a_model_may_take_longer_than_the_other_services() {
    let service = Service::always([Act::Wait]).await;
    let short = [("VX11_TENTACULO__ANSWER_TIMEOUT", "50ms")];
    let edge = Edge::in_front_of(&service.url, &[&QUICK[..], &short].concat()).await;
    let model = tokio::spawn(Answer::of(edge.post("/v1/chat/completions", "{}")));
    eventually("the model is asked", async || service.requests().len() == 1).await;
    assert_eq!(Answer::of(edge.post("/operator/x", "{}")).await.status, 504);
    assert_eq!((service.requests().len(), model.is_finished()), (2, false), "it was asked first, and is waited for");
    model.abort();
}

#[tokio::test]
async fn a_callers_deadline_travels_and_holds() {
    let service = Service::always([Act::Wait]).await;
    let edge = Edge::in_front_of(&service.url, &QUICK).await;
    for n in 1..=5 {
        let got = Answer::of(edge.get("/operator/x").header("x-vx11-deadline-ms", "1000")).await;
        assert_eq!(got.refusal(), (504, "deadline_exceeded".to_owned()));
        eventually("the call is dropped", async || service.hung_up() == n).await;
        let left: u64 = service.header("x-vx11-deadline-ms")[0].parse().unwrap();
        assert!((1..=1000).contains(&left), "{left}");
    }
    assert_eq!(edge.circuit("operator").await, "closed", "an impatient caller says nothing about the service");
    for bad in ["soon", "-1", "1.5", ""] {
        let got = Answer::of(edge.get("/operator/x").header("x-vx11-deadline-ms", bad)).await;
        assert_eq!(got.refusal(), (400, "malformed_request".to_owned()), "{bad:?}");
    }
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_not_even_tried() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let got = Answer::of(edge.post("/operator/x", "{}").header("x-vx11-deadline-ms", "0")).await;
    assert_eq!(got.refusal(), (504, "deadline_exceeded".to_owned()));
    assert_eq!(service.requests(), [""; 0]);
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_a_bad_gateway() {
    for said in ["hello", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "SSH-2.0-x\r\n"] {
        let service = Service::always([Act::Say(said.to_owned()), Act::Close]).await;
        let edge = Edge::in_front_of(&service.url, &[]).await;
        let got = Answer::of(edge.post("/operator/x", "{}")).await;
        assert_eq!(got.refusal(), (502, "upstream_error".to_owned()), "{said}");
        assert!(!got.body.contains(said), "{}", got.body);
    }
}

#[tokio::test]
async fn a_long_poll_is_told_how_long_the_edge_waits_for_it() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for (said, most) in [(None, 59_500), (Some("20000"), 19_500), (Some("2000"), 1800), (Some("90000"), 59_500)] {
        let mut request = edge.get("/operator/api/interventions/r1/wait");
        if let Some(ms) = said {
            request = request.header("x-vx11-deadline-ms", ms);
        }
        assert_eq!(Answer::of(request).await.status, 200);
        let told = service.header("x-vx11-deadline-ms");
        let [told] = told.as_slice() else { panic!("{told:?}") };
        let told: u64 = told.parse().expect("a number");
        assert!((most / 2..=most).contains(&told), "{said:?}: {told}");
    }
}

#[tokio::test]
async fn the_edge_gives_no_stream_a_deadline_of_its_own() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for (said, passed) in [(None, 0), (Some("60000"), 1)] {
        let mut request = edge.post("/v1/chat/completions", r#"{"stream":true}"#);
        if let Some(ms) = said {
            request = request.header("x-vx11-deadline-ms", ms);
        }
        assert_eq!(Answer::of(request).await.status, 200);
        assert_eq!(service.header("x-vx11-deadline-ms").len(), passed, "a stream may take its time: {said:?}");
    }
}
