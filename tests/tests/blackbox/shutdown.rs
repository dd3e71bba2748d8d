//! SIGTERM: not ready, drain, flush, exit 0.

use futures_util::StreamExt;
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;
use serde_json::json;
use vx11_tests::{Chain, wait_until};

#[tokio::test]
async fn every_service_exits_with_0() {
    let mut chain = Chain::start().expect("starts");
    assert_eq!(chain.edge().chat("Hello").await.status, 200);
    for service in ["tentaculo", "operator", "switch", "madre", "mock-provider"] {
        let status = chain.process(service).terminate().expect("stops");
        assert_eq!(status.code(), Some(0), "{service}");
        let said = chain.process(service).log();
        for message in ["stopping", "draining", "stopped"] {
            assert!(said.iter().any(|line| line["message"] == message), "{service} does not say `{message}`");
        }
    }
}

#[tokio::test]
async fn a_hangup_ends_nothing() {
    let mut chain = Chain::start().expect("starts");
    for service in ["tentaculo", "operator", "switch", "madre", "mock-provider"] {
        chain.process(service).signal(Signal::SIGHUP).expect("signalled");
        outlives_a_hangup(&mut chain, service).await;
    }
    assert_eq!(chain.edge().chat("Hello").await.status, 200);
}

#[tokio::test]
async fn a_terminal_that_is_closed_ends_what_was_started_in_it() {
    let mut chain = Chain::start().expect("starts");
    // No other process may inherit it: it is closed once nobody has it open.
    let terminal = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
    grantpt(&terminal).expect("granted");
    unlockpt(&terminal).expect("unlocked");
    let line = ptsname_r(&terminal).expect("a name");
    chain.restart_wrapped("madre", &format!("exec <{line};")).expect("starts");
    chain.process("madre").signal(Signal::SIGHUP).expect("signalled");
    outlives_a_hangup(&mut chain, "madre").await;
    drop(terminal);
    chain.process("madre").signal(Signal::SIGHUP).expect("signalled");
    assert_eq!(chain.process("madre").wait().expect("stops").code(), Some(0));
}

async fn outlives_a_hangup(chain: &mut Chain, service: &str) {
    wait_until("it says so", async || {
        let log = chain.process(service).log();
        log.iter().any(|line| line["message"].as_str().is_some_and(|said| said.starts_with("SIGHUP"))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_under_way_are_finished_and_ready_fails_meanwhile() {
    let mut chain = Chain::start_with(&[("VX11_HTTP__SHUTDOWN_DELAY", "3s")]).expect("starts");
    let slow = json!({ "plan": "latency=3500ms" });
    let set = chain.call("mock-provider").request(reqwest::Method::PUT, "/admin/faults").json(&slow);
    assert_eq!(vx11_tests::send(set).await.expect("set").status, 200);

    let operator = chain.call("operator");
    let chat = tokio::spawn(async move { operator.chat("echo: still here").await });
    let mock = chain.call("mock-provider");
    wait_until("the provider is asked", async || {
        let asked = mock.get("/admin/requests/count").await;
        (asked.body["count"] == 1).then_some(())
    })
    .await;
    chain.process("operator").signal(Signal::SIGTERM).expect("signalled");
    let operator = chain.call("operator");
    wait_until("it is not ready", async || (operator.get("/ready").await.status == 503).then_some(())).await;
    let answer = chat.await.expect("no panic");
    assert_eq!((answer.status, &answer.body["response"]), (200, &json!("still here")));
    assert_eq!(chain.process("operator").wait().expect("stops").code(), Some(0));

    chain.restart("operator").expect("starts again");
    let id = answer.body["correlation_id"].as_str().expect("an id");
    let kept = chain.call("operator").get(&format!("/operator/api/audit/{id}")).await;
    assert_eq!(kept.body["data"]["turns"][0]["response"], "still here");
}

#[tokio::test]
async fn a_stream_under_way_is_finished() {
    let mut chain = Chain::start().expect("starts");
    let set = chain
        .call("mock-provider")
        .request(reqwest::Method::PUT, "/admin/faults")
        .json(&json!({ "plan": "drip=20ms" }));
    assert_eq!(vx11_tests::send(set).await.expect("set").status, 200);
    let request = chain.edge().request(reqwest::Method::POST, "/operator/api/chat");
    let response = request.json(&json!({ "message": "tokens: 40", "stream": true })).send().await.expect("an answer");
    let mut body = response.bytes_stream();
    let mut text = String::new();
    while !text.contains("event: token") {
        text += &String::from_utf8_lossy(&body.next().await.expect("more").expect("whole"));
    }
    chain.process("tentaculo").signal(Signal::SIGTERM).expect("signalled");
    chain.process("operator").signal(Signal::SIGTERM).expect("signalled");
    while let Some(chunk) = body.next().await {
        text += &String::from_utf8_lossy(&chunk.expect("whole"));
    }
    assert!(text.contains("event: done") && !text.contains("event: fallback"), "{text}");
    for service in ["tentaculo", "operator"] {
        assert_eq!(chain.process(service).wait().expect("stops").code(), Some(0), "{service}");
    }
}
