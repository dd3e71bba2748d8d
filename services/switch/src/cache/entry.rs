//! A kept answer, and which answers may be one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;

use crate::domain::operation::Operation;

/// What an answer takes beside its bytes, about.
const OVERHEAD: usize = 256;

/// A whole answer, as it is kept and as it is handed to all who wait for it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// In OpenAI's wire, as one body.
    pub(crate) body: Bytes,
    /// Who gave it.
    pub(crate) provider: Box<str>,
    /// The model as the provider knows it.
    pub(crate) model: Arc<str>,
    since: Instant,
}

impl Entry {
    /// An answer that came just now.
    pub(crate) fn new(body: &[u8], provider: &str, model: Arc<str>) -> Self {
        // A copy, because the bytes may be a part of a larger buffer.
        Self { body: Bytes::copy_from_slice(body), provider: provider.into(), model, since: Instant::now() }
    }

    /// How old it is.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// What it takes of the cache's bytes.
    pub(super) fn weight(&self) -> u32 {
        let bytes = self.body.len() + self.provider.len() + self.model.len() + OVERHEAD;
        bytes.try_into().unwrap_or(u32::MAX)
    }

    /// Whether it says all that it was to say: one that a filter or an error cut off may come out whole the next time.
    pub(crate) fn is_whole(&self, operation: Operation) -> bool {
        #[derive(Deserialize)]
        struct Answer {
            choices: Vec<Choice>,
        }
        #[derive(Deserialize)]
        struct Choice {
            finish_reason: Option<String>,
        }
        if operation == Operation::Embeddings {
            return true;
        }
        let ended = |choice: &Choice| {
            choice.finish_reason.as_deref().is_some_and(|reason| !["", "content_filter", "error"].contains(&reason))
        };
        serde_json::from_slice::<Answer>(&self.body).is_ok_and(|answer| answer.choices.iter().all(ended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_is_not_whole() {
        let of = |reason: &str| {
            let body = format!(r#"{{"choices":[{{"finish_reason":"stop"}},{{"finish_reason":{reason}}}]}}"#);
            Entry::new(body.as_bytes(), "p", "m".into()).is_whole(Operation::Chat)
        };
        assert!(of("\"stop\"") && of("\"length\"") && of("\"tool_calls\""));
        assert!(!of("\"content_filter\"") && !of("null") && !of("\"error\"") && !of("7"));
        assert!(Entry::new(b"{}", "p", "m".into()).is_whole(Operation::Embeddings));
    }
}
