//! How many messages a session may send in any window of time, at all replicas together where they have a Redis.
//!
//! Without one, and while it does not answer, each replica counts for itself; it counts what Redis lets in as well, so that
//! it goes on from there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use vx11_redis::{Redis, Script};
use vx11_resilience::{RetryAfter, SlidingWindow, SlidingWindowConfig};

/// Lets a call in unless the window is full, and answers 0; else the milliseconds until it fits. The call's own name keeps
/// two of one millisecond apart. `KEYS`: the window. `ARGV`: the limit, the window's length in milliseconds, the name.
const ADMIT: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local length = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - length)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
  return math.max((oldest or now) + length - now, 1)
end
redis.call('ZADD', KEYS[1], now, ARGV[3])
redis.call('PEXPIRE', KEYS[1], length)
return 0
";

/// The window of every session. A clone is the same one.
#[derive(Clone, Debug)]
pub(crate) struct SessionRate {
    config: SlidingWindowConfig,
    local: Arc<SlidingWindow>,
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    redis: Arc<Redis>,
    admit: Script,
    /// Longest wait for an answer before this replica counts alone.
    timeout: Duration,
}

impl SessionRate {
    /// Counts in `redis`, if there is one, as long as that answers within `timeout`.
    pub(crate) fn new(config: SlidingWindowConfig, redis: Option<Arc<Redis>>, timeout: Duration) -> Self {
        let shared = redis.map(|redis| Arc::new(Shared { admit: redis.script("session_rate", ADMIT), redis, timeout }));
        Self { config, local: Arc::new(SlidingWindow::new(config)), shared }
    }

    /// Counts a message of `session`.
    ///
    /// # Errors
    /// When there were too many, and when there is room again.
    pub(crate) async fn check(&self, session: &str) -> Result<(), RetryAfter> {
        match &self.shared {
            // One that refuses all needs nobody to count.
            Some(shared) if self.config.limit > 0 => match shared.admit(session, self.config).await {
                Some(admitted) => {
                    if admitted.is_ok() {
                        // What Redis lets in is in, whatever has been counted here.
                        let _ = self.count(session);
                    }
                    admitted
                }
                None => self.count(session),
            },
            _ => self.count(session),
        }
    }

    fn count(&self, session: &str) -> Result<(), RetryAfter> {
        self.local.check(session, Instant::now()).map(drop)
    }

    /// How many sessions have a message within the window that this replica knows of.
    pub(crate) fn active_sessions(&self) -> usize {
        self.local.active_keys(Instant::now())
    }
}

impl Shared {
    /// What all replicas together say; `None` where Redis does not.
    async fn admit(&self, session: &str, config: SlidingWindowConfig) -> Option<Result<(), RetryAfter>> {
        if self.redis.is_lost() {
            return None;
        }
        let arguments = vec![
            config.limit.to_string(),
            config.window.as_millis().to_string(),
            format!("{:016x}", rand::random::<u64>()),
        ];
        let asking = self.redis.run::<u64>(&self.admit, vec![key(session)], arguments);
        let wait_ms = tokio::time::timeout(self.timeout, asking).await.ok()?.ok()?;
        Some(if wait_ms == 0 { Ok(()) } else { Err(RetryAfter(Duration::from_millis(wait_ms))) })
    }
}

/// Sessions may be called anything, and that is nobody's to read in Redis.
fn key(session: &str) -> String {
    let digest = digest(&SHA256, session.as_bytes());
    let hex: String = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("vx11:session:{hex}:rate")
}
