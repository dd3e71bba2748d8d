//! Webhooks while the operator is killed: every decision is told, at least once, and always by the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vx11_tests::{Chain, wait_until};

const ALL: &str = "/operator/api/interventions";
const REQUESTS: usize = 40;
/// 24 bytes.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The ids that came, by request.
type Told = Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_webhook_is_lost_when_the_operator_is_killed() {
    let (url, told) = receiver().await;
    let mut chain = Chain::start_with(&[
        ("VX11_WEBHOOK_SECRET", SECRET),
        ("VX11_OPERATOR__WEBHOOKS__ALLOW_PRIVATE", "true"),
        ("VX11_OPERATOR__WEBHOOKS__RETRY_BASE", "10ms"),
        // What was being sent when the operator died is sent again when its lease is over: soon after that.
        ("VX11_OPERATOR__WEBHOOKS__TIMEOUT", "1s"),
    ])
    .expect("starts");
    let ids: Vec<String> = (0..REQUESTS).map(|number| format!("r{number}")).collect();
    for id in &ids {
        let body = json!({"title": "May I?", "request_id": id, "callback_url": url});
        assert_eq!(chain.edge().post(ALL, &body).await.status, 201);
    }
    for decided in ids.chunks(REQUESTS / 4) {
        let edge = chain.edge();
        let approve = async |id: &String| {
            let answer = edge.post(&format!("{ALL}/{id}/approve"), &json!({"version": 1})).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        };
        futures_util::future::join_all(decided.iter().map(approve)).await;
        // Most of them are not told yet.
        chain.kill9("operator").expect("it ran");
        chain.restart("operator").expect("starts again");
    }
    wait_until("every decision is told", async || (told.lock().expect("no panic").len() == REQUESTS).then_some(()))
        .await;
    let of_dead = "/operator/api/notifications/deliveries?state=dead";
    assert_eq!(chain.call("operator").get(of_dead).await.body["data"]["items"], json!([]));
    for (request, ids) in told.lock().expect("no panic").iter() {
        assert_eq!(ids.len(), 1, "{request}: {ids:?}");
    }
}

/// A receiver that takes everything, and what it was told.
async fn receiver() -> (String, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let told = Told::default();
    let all = told.clone();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(take(connection, all.clone()));
        }
    });
    (url, told)
}

/// Reads one webhook. One that breaks off was not told.
async fn take(mut connection: TcpStream, told: Told) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(event) = serde_json::from_str::<Value>(body)
        {
            let id = head.lines().find_map(|line| line.strip_prefix("webhook-id: ")).expect("an id").to_owned();
            let request = event["data"]["request_id"].as_str().expect("a request").to_owned();
            told.lock().expect("no panic").entry(request).or_default().insert(id);
            let _ = connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            return;
        }
        if connection.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
}
