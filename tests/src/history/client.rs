//! A client that knows several edges, and goes to the next one where one does not answer.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::{Answer, Caller, send};

/// How often something is asked before it counts as not answered.
pub(super) const ATTEMPTS: usize = 12;
/// How long the services are given for an answer, in milliseconds.
const DEADLINE_MS: &str = "8000";
/// How long an edge is given that says nothing at all.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The first wait before somebody else is asked; later ones are longer.
const BACKOFF: Duration = Duration::from_millis(50);

/// One client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    edges: Vec<Caller>,
    at: usize,
    failures: u32,
}

impl Client {
    /// One that begins with another edge than its neighbour.
    pub(super) fn new(edges: &[Caller], number: usize) -> Self {
        Self { edges: edges.to_vec(), at: number, failures: 0 }
    }

    /// Asks one edge, once. None: it is not known what came of it, and the next one is turned to after a while.
    pub(super) async fn once(&mut self, request: impl FnOnce(&Caller) -> RequestBuilder) -> Option<Answer> {
        let request = request(&self.edges[self.at % self.edges.len()]);
        match send(request.header("x-vx11-deadline-ms", DEADLINE_MS).timeout(TIMEOUT)).await {
            Ok(answer) if answer.status < 500 => {
                self.failures = 0;
                Some(answer)
            }
            _ => {
                self.look_elsewhere().await;
                None
            }
        }
    }

    /// Turns to the next edge after a while.
    pub(super) async fn look_elsewhere(&mut self) {
        self.at += 1;
        self.failures = (self.failures + 1).min(5);
        tokio::time::sleep(BACKOFF * (1 << self.failures)).await;
    }

    /// Asks the same of one edge after the other until one answers; with it, whether an attempt before is unsure.
    pub(super) async fn insist(&mut self, method: &Method, path: &str, body: &Value) -> Option<(Answer, bool)> {
        for attempt in 0..ATTEMPTS {
            let request = |edge: &Caller| match *method {
                Method::GET => edge.request(Method::GET, path),
                _ => edge.request(method.clone(), path).header("idempotency-key", path_key(body)).json(body),
            };
            if let Some(answer) = self.once(request).await {
                return Some((answer, attempt > 0));
            }
        }
        None
    }
}

/// The key of what is asked for; empty where it has no id, and then it is nothing that a key is for.
fn path_key(body: &Value) -> &str {
    body["request_id"].as_str().unwrap_or_default()
}
