//! Repeated messages: the same message in the same session within a minute gets the same answer, so that a client that
//! retries does not pay twice and a plan is not made twice.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use vx11_contracts::chat::{ChatResponse, ChatStatus};

/// Bytes that the cache may hold.
const CAPACITY: u64 = 8 * 1024 * 1024;

/// Session and message.
type Key = (Arc<str>, Arc<str>);

/// Answers by session and message. A cache: losing it only costs another provider call.
#[derive(Clone, Debug)]
pub(crate) struct AnswerCache(Option<Cache<Key, Arc<ChatResponse>>>);

impl AnswerCache {
    /// Keeps answers for `ttl`; a `ttl` of zero keeps none.
    pub(crate) fn new(ttl: Duration) -> Self {
        if ttl.is_zero() {
            return Self(None);
        }
        let weigh = |key: &Key, answer: &Arc<ChatResponse>| {
            u32::try_from(key.0.len() + key.1.len() + answer.response.len() + 512).unwrap_or(u32::MAX)
        };
        Self(Some(Cache::builder().max_capacity(CAPACITY).weigher(weigh).time_to_live(ttl).build()))
    }

    /// The answer that this session got to this message.
    pub(crate) fn get(&self, session_id: &str, message: &str) -> Option<Arc<ChatResponse>> {
        self.0.as_ref()?.get(&(session_id.into(), message.into()))
    }

    /// Keeps `answer`, unless it is one that the caller would rather get anew: a fallback's answer would go on being
    /// given after the provider has come back. (A plan that waits is kept, or a retry would make a second one.)
    pub(crate) fn put(&self, message: &str, answer: &ChatResponse) {
        let Some(cache) = &self.0 else { return };
        if answer.degraded && answer.status != ChatStatus::Waiting {
            return;
        }
        cache.insert((answer.session_id.as_str().into(), message.into()), Arc::new(answer.clone()));
    }
}
