//! `kill -9` of the operator under load: every chat that was answered is in the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use vx11_tests::{Caller, Chain, wait_until};

const CLIENTS: usize = 16;
const CRASHES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answered_chat_is_in_the_store_after_a_crash() {
    let mut chain = Chain::start().expect("starts");
    let load = Arc::new(Load::default());
    let clients: Vec<_> =
        (0..CLIENTS).map(|client| tokio::spawn(chat_on(chain.edge(), client, load.clone()))).collect();

    for _ in 0..CRASHES {
        let before = load.answered.load(Ordering::Relaxed);
        wait_until("chats are answered", async || (load.answered.load(Ordering::Relaxed) > before + 50).then_some(()))
            .await;
        chain.kill9("operator").expect("it ran");
        let failed = load.failed.load(Ordering::Relaxed);
        wait_until("a chat fails", async || (load.failed.load(Ordering::Relaxed) > failed).then_some(())).await;
        chain.restart("operator").expect("starts again");
    }
    let before = load.answered.load(Ordering::Relaxed);
    wait_until("chats are answered again", async || {
        (load.answered.load(Ordering::Relaxed) > before + 50).then_some(())
    })
    .await;
    load.over.store(true, Ordering::Relaxed);
    let mut told = Vec::new();
    for client in clients {
        told.extend(client.await.expect("no panic"));
    }

    let mut missing = Vec::new();
    let operator = chain.call("operator");
    for (id, response) in &told {
        let trail = operator.get(&format!("/operator/api/audit/{id}")).await;
        if trail.body["data"]["turns"][0]["response"] != **response {
            missing.push(id);
        }
    }
    assert!(missing.is_empty(), "{} of {} answered chats are missing: {missing:?}", missing.len(), told.len());
}

#[derive(Default)]
struct Load {
    answered: AtomicUsize,
    failed: AtomicUsize,
    over: AtomicBool,
}

/// Chats until the load is over, and says which chats were answered, and durable, with what.
async fn chat_on(edge: Caller, client: usize, load: Arc<Load>) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for n in 0.. {
        if load.over.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("crash-{client}-{n}");
        let body = serde_json::json!({ "message": format!("echo: {id}"), "correlation_id": id });
        let request = edge.request(reqwest::Method::POST, "/operator/api/chat").json(&body);
        match vx11_tests::send(request).await {
            // A disk that is slow at this moment has it answered before its rows are there: then nothing is promised.
            Ok(answer) if answer.status == 200 && answer.header("x-vx11-storage") == "deferred" => {}
            Ok(answer) if answer.status == 200 => {
                told.push((id, answer.body["response"].as_str().expect("a text").to_owned()));
                load.answered.fetch_add(1, Ordering::Relaxed);
            }
            _ => {
                load.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    told
}
