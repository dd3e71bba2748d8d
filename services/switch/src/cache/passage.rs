//! One request's dealings with the cache: may it use it, what is kept for it, and how it was answered in the end.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use super::flight::{Form, Head};
use super::metrics::Use;
use super::{Boarding, Cache, Control, Entry, Key};

/// Where an answer came from that no provider was asked for by this request.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Who gave it at the time.
    pub(crate) provider: Box<str>,
    pub(crate) model: Arc<str>,
    pub(crate) age: Duration,
    /// How long it was waited for: another request's call was on its way.
    pub(crate) waited: Duration,
}

impl Origin {
    /// What is kept.
    pub(crate) fn of(entry: &Entry) -> Self {
        let (provider, model) = (entry.provider.clone(), entry.model.clone());
        Self { provider, model, age: entry.age(), waited: Duration::ZERO }
    }

    /// What is on its way.
    pub(crate) fn fresh(head: &Head) -> Self {
        let (provider, model) = (head.provider.clone(), head.model.clone());
        Self { provider, model, age: Duration::ZERO, waited: Duration::ZERO }
    }
}

/// What a caller is told of the cache's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The answer was kept, or came with another request's call.
    Hit,
    /// A provider was asked, as nothing was kept.
    Miss,
    /// The cache was left out.
    Bypass,
}

impl Status {
    /// The word in the answer's head.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// What a request may use the cache for.
#[derive(Debug)]
pub(crate) struct Asked {
    cache: Arc<Cache>,
    key: Key,
    control: Control,
    /// What was kept for it when it came.
    kept: Option<Arc<Entry>>,
}

impl Asked {
    /// A request with this key, which is answered in this form; `None` where it wants nothing of the cache.
    pub(crate) fn new(
        cache: &Arc<Cache>,
        control: Control,
        form: Form,
        key: impl FnOnce() -> Option<Key>,
    ) -> Option<Self> {
        let key = control.writes.then(key).flatten();
        let Some(key) = key else {
            cache.metrics.count(Use::Bypass);
            return None;
        };
        let kept = control.reads.then(|| cache.find(&key, control.max_age, form)).flatten();
        Some(Self { cache: cache.clone(), key, control, kept })
    }

    /// What is kept for it, else a part in a call.
    pub(crate) fn board(&self, form: Form) -> Boarding {
        match &self.kept {
            Some(entry) => Boarding::Kept(entry.clone()),
            None => self.cache.board(self.key, self.control, form),
        }
    }

    /// Counts how it was answered.
    pub(crate) fn count(&self, used: Use) {
        self.cache.metrics.count(used);
    }
}

/// One request's dealings with the cache.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    asked: Option<Asked>,
    origin: OnceCell<Origin>,
}

impl Passage {
    /// Of a request that has none.
    pub(crate) fn bypass() -> Self {
        Self::default()
    }

    /// Of a request that may have some.
    pub(crate) fn new(asked: Option<Asked>) -> Self {
        Self { asked, origin: OnceCell::new() }
    }

    /// What it may use the cache for.
    pub(crate) fn asked(&self) -> Option<&Asked> {
        self.asked.as_ref()
    }

    /// Whether its answer was kept when it came.
    pub(crate) fn is_kept(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.kept.is_some())
    }

    /// The answer came from there.
    pub(crate) fn came_from(&self, origin: Origin) {
        let _ = self.origin.set(origin);
    }

    /// Where the answer came from, if not from a provider that was asked for it.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.get()
    }

    /// What the caller is told.
    pub(crate) fn status(&self) -> Status {
        match (&self.asked, self.origin.get()) {
            (_, Some(_)) => Status::Hit,
            (Some(_), None) => Status::Miss,
            (None, None) => Status::Bypass,
        }
    }
}
