//! Repeated messages: the same message in the same session within a minute gets the same answer, so that a client that
//! retries does not pay twice and a plan is not made twice.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use vx11_contracts::chat::{ChatResponse, ChatStatus};
use vx11_contracts::identity::OrgId;

use super::{Accepted, Provider};

/// Bytes that the cache may hold.
const CAPACITY: u64 = 4 * 1024 * 1024;
/// What an entry takes beside its texts: the answer's fields, each with an allocation, and the cache's own account of
/// it.
const OVERHEAD: usize = 1024;

/// Whose session, which, the message, and who was to answer.
type Key = (OrgId, Arc<str>, Arc<str>, Provider);

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
            u32::try_from(key.1.len() + key.2.len() + answer.response.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self(Some(Cache::builder().max_capacity(CAPACITY).weigher(weigh).time_to_live(ttl).build()))
    }

    /// The answer that this session got to this message.
    pub(crate) fn get(&self, asked: &Accepted) -> Option<Arc<ChatResponse>> {
        self.0.as_ref()?.get(&key(asked))
    }

    /// Keeps the answer to what was `asked`, unless it is one that the caller would rather get anew: a fallback's
    /// answer would go on being given after the provider has come back. (A plan that waits is kept, or a retry would
    /// make a second one.)
    pub(crate) fn put(&self, asked: &Accepted, answer: &ChatResponse) {
        let Some(cache) = &self.0 else { return };
        if answer.degraded && answer.status != ChatStatus::Waiting {
            return;
        }
        cache.insert(key(asked), Arc::new(answer.clone()));
    }
}

fn key(asked: &Accepted) -> Key {
    let org = asked.asker.org.clone();
    (org, asked.session_id.as_str().into(), asked.request.message.as_str().into(), asked.provider.clone())
}
