//! What is run at Redis, and what became of it there.

use std::time::{Duration, Instant};

use fred::prelude::*;
use parking_lot::{Mutex, MutexGuard};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::Failed;

/// How often it is logged at most that a script is refused, and how long that counts where the script is not run again.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// A script and the name that Redis has for it.
#[derive(Debug)]
pub struct Script {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) sha1: String,
    refusal: Mutex<Refusal>,
}

/// What became of a script that Redis refused.
#[derive(Debug, Default)]
struct Refusal {
    /// When it was refused last; `None` once it was run again.
    at: Option<Instant>,
    logged: Option<Instant>,
}

impl Script {
    pub(super) fn new(name: &'static str, text: &'static str) -> Self {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let sha1 = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { name, text, sha1, refusal: Mutex::default() }
    }

    /// Whether Redis refused it of late, and has not run it since.
    pub fn is_refused(&self) -> bool {
        self.refusal().at.is_some_and(|at| at.elapsed() < REFUSED_FOR)
    }

    pub(super) fn was_run<T>(&self, answer: T) -> T {
        self.refusal().at = None;
        answer
    }

    /// Takes note of an error; says loudly, and not for every request, when something must be mended at Redis.
    pub(super) fn failed(&self, error: &Error) -> Failed {
        let failed = Failed::of(error);
        if failed == Failed::Refused {
            let (now, mut refusal) = (Instant::now(), self.refusal());
            refusal.at = Some(now);
            if refusal.logged.is_none_or(|at| at.elapsed() >= REFUSED_FOR) {
                refusal.logged = Some(now);
                let (script, error) = (self.name, error.details());
                tracing::error!(script, error, "Redis refuses a script; this replica decides alone what it is for");
            }
        }
        failed
    }

    fn refusal(&self) -> MutexGuard<'_, Refusal> {
        self.refusal.lock()
    }
}
