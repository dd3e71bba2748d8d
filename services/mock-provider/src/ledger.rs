//! What the provider saw: the last requests, each with how it ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vx11_chassis::header_names;
use vx11_contracts::time;
use xxhash_rust::xxh3::xxh3_64;

use crate::wire::Wire;

/// Bytes of a header or a model that are remembered, about.
const MAX_TEXT: usize = 256;

/// One request.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Entry {
    /// Counts up from 1.
    pub(crate) id: u64,
    /// RFC 3339 UTC.
    pub(crate) timestamp: String,
    pub(crate) path: String,
    /// `openai`, `responses`, `anthropic` or `gemini`.
    pub(crate) wire: String,
    /// As it was sent, faults included.
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// The faults that happened, as text.
    pub(crate) fault: String,
    /// The status that was sent; 0 when there was none.
    pub(crate) status: u16,
    pub(crate) correlation_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) deadline_ms: Option<String>,
    /// A short hash of the key that was presented; the key itself is not kept.
    pub(crate) key_hash: Option<String>,
    pub(crate) messages: usize,
    pub(crate) prompt_tokens: u64,
    /// Tokens that were sent; of a client that went away, those until then.
    pub(crate) tokens_sent: u64,
    /// `in_flight`, then how it ended: `completed`, `error`, `reset`, `cut`, `malformed`, `html`,
    /// `empty`, `client_disconnected` or `hung`.
    pub(crate) outcome: String,
    pub(crate) duration_ms: u64,
}

/// A ring of entries.
#[derive(Debug)]
pub(crate) struct Ledger {
    capacity: usize,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    /// Requests ever seen since the last clearing.
    seen: u64,
    last_id: u64,
}

impl Ledger {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), ring: Mutex::default() }
    }

    /// Writes down a request that has come, to be told how it ends.
    pub(crate) fn open(self: &Arc<Self>, http: &HttpRequest, wire: Wire, mut entry: Entry) -> Open {
        let header = |name: HeaderName| http.headers().get(name).and_then(|value| value.to_str().ok()).map(short);
        entry.timestamp = time::now();
        entry.path = http.path().to_owned();
        entry.correlation_id = header(header_names::CORRELATION_ID);
        entry.traceparent = header(header_names::TRACEPARENT);
        entry.deadline_ms = header(header_names::DEADLINE_MS);
        entry.wire = wire.as_str().to_owned();
        entry.key_hash = wire.key(http).map(|key| format!("{:08x}", xxh3_64(key.as_bytes()) as u32));
        entry.model = short(&entry.model);
        entry.outcome = "in_flight".to_owned();
        let mut ring = self.lock();
        ring.seen += 1;
        ring.last_id += 1;
        entry.id = ring.last_id;
        let (id, prompt_tokens) = (entry.id, entry.prompt_tokens);
        if ring.entries.len() >= self.capacity {
            ring.entries.pop_front();
        }
        ring.entries.push_back(entry);
        Open {
            ledger: self.clone(),
            id,
            begun: Instant::now(),
            prompt_tokens,
            status: 0,
            tokens_sent: 0,
            outcome: "client_disconnected",
        }
    }

    /// Entries after `since` that `fits` accepts, oldest first.
    pub(crate) fn list(&self, since: u64, fits: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.lock().entries.iter().filter(|entry| entry.id > since && fits(entry)).cloned().collect()
    }

    /// Requests seen since the last clearing, forgotten ones included.
    pub(crate) fn seen(&self) -> u64 {
        self.lock().seen
    }

    /// Forgets everything but the ids, which go on.
    pub(crate) fn clear(&self) {
        let mut ring = self.lock();
        ring.entries.clear();
        ring.seen = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock()
    }
}

/// A request under way. Dropped before it was told its end, it notes that the client went away.
#[derive(Debug)]
pub(crate) struct Open {
    ledger: Arc<Ledger>,
    id: u64,
    begun: Instant,
    pub(crate) prompt_tokens: u64,
    pub(crate) status: u16,
    pub(crate) tokens_sent: u64,
    outcome: &'static str,
}

impl Open {
    /// How the request will have ended, unless something else happens.
    pub(crate) fn will_end(&mut self, outcome: &'static str) {
        self.outcome = outcome;
    }

    /// The request was answered with `status`.
    pub(crate) fn close(mut self, status: u16, outcome: &'static str) {
        self.status = status;
        self.outcome = outcome;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut ring = self.ledger.lock();
        let Some(first) = ring.entries.front().map(|entry| entry.id) else { return };
        let at = self.id.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        if let Some(entry) = at.and_then(|at| ring.entries.get_mut(at)) {
            entry.status = self.status;
            entry.tokens_sent = self.tokens_sent;
            entry.outcome = self.outcome.to_owned();
            entry.duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
    }
}

fn short(text: &str) -> String {
    text[..text.ceil_char_boundary(MAX_TEXT)].to_owned()
}
