//! Redis as the counters need it: the scripts, with a short limit on every answer, and whether it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use fred::prelude::*;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use secrecy::{ExposeSecret, SecretString};

use super::script::{RESERVE, SETTLE};
use crate::accounts::account::{Account, Amounts, Meter};
use crate::accounts::local;
use crate::accounts::meters::{Refused, Reservation};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Milliseconds between two attempts to connect.
const RECONNECT_MS: u32 = 200;
/// How long a reservation holds that nobody settles: longer than any request may take.
const RESERVATION_MS: i64 = 15 * 60 * 1000;
/// How long it is remembered that a reservation was settled: longer than a settlement is repeated after a lost answer.
const SETTLED_MS: i64 = 5 * 60 * 1000;
/// How much longer than its window a counter is kept, for late settlements.
const KEPT_MS: i64 = 60 * 60 * 1000;

/// A connection to Redis.
#[derive(Debug)]
pub(crate) struct Redis {
    client: Client,
    /// Longest wait for an answer.
    timeout: Duration,
    reserve: Script,
    settle: Script,
    lost: AtomicBool,
}

/// A script and the name that Redis has for it.
#[derive(Debug)]
struct Script {
    text: &'static str,
    sha1: String,
}

impl Redis {
    /// Begins to connect to `url`, and goes on connecting for as long as this lives. Needs a tokio runtime.
    ///
    /// # Errors
    /// When `url` is none of Redis'.
    pub(crate) fn connect(url: &SecretString, timeout: Duration) -> anyhow::Result<Self> {
        // The URL may hold a password: what is wrong with it is not repeated.
        let mut config = Config::from_url(url.expose_secret()).ok().context("switch.redis_url is no URL of Redis")?;
        // Redis may come later than the gateway.
        config.fail_fast = false;
        let mut builder = Builder::from_config(config);
        builder
            .with_connection_config(|config| {
                config.connection_timeout = CONNECT_TIMEOUT;
                config.internal_command_timeout = CONNECT_TIMEOUT;
                // Repeating is the settler's affair.
                config.max_command_attempts = 1;
                config.max_command_buffer_len = 10_000;
            })
            .with_performance_config(|config| config.default_command_timeout = timeout)
            .set_policy(ReconnectPolicy::new_constant(0, RECONNECT_MS));
        let client = builder.build().context("cannot set up the client for Redis")?;
        drop(client.connect());
        Ok(Self {
            client,
            timeout,
            reserve: Script::new(RESERVE),
            settle: Script::new(SETTLE),
            // Until it has answered once.
            lost: AtomicBool::new(true),
        })
    }

    /// Whether it did not answer when it was asked last.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Looks whether it answers.
    pub(crate) async fn probe(&self) {
        let answer = tokio::time::timeout(self.timeout, self.client.ping::<Value>(None)).await;
        self.heard(answer.ok().and_then(|answer| answer.ok()).is_some());
    }

    /// Sets `amounts` aside, and makes the process's own counters equal to those of all. `None`: it does not answer.
    pub(super) async fn reserve(
        &self,
        account: &Arc<Account>,
        amounts: Amounts,
        now_ms: i64,
        id: u64,
    ) -> Option<Result<(), Refused>> {
        if account.meters.is_empty() || self.is_lost() {
            return account.meters.is_empty().then_some(Ok(()));
        }
        let mut arguments = vec![now_ms.to_string(), (now_ms + RESERVATION_MS).to_string(), name(id)];
        for meter in &account.meters {
            let amount = meter.unit.of(&amounts).min(i64::MAX as u64);
            let limit = meter.limit.min(i64::MAX as u64);
            arguments.extend([amount.to_string(), limit.to_string(), kept_ms(meter, now_ms, now_ms).to_string()]);
        }
        let answer: Vec<String> = self.run(&self.reserve, keys(account, now_ms), arguments).await?;
        // A counter that was settled below nothing is empty.
        let mut numbers = answer.iter().map(|text| text.parse::<i64>().map_or(0, |used| used.max(0) as u64));
        let refused = numbers.next()?;
        let used: Vec<u64> = numbers.collect();
        local::adopt(account, &used, now_ms);
        let Some(index) = usize::try_from(refused).ok()?.checked_sub(1) else { return Some(Ok(())) };
        let (meter, used) = (account.meters.get(index)?, *used.get(index)?);
        let level = local::level(meter, used, now_ms);
        Some(Err(Refused { scope: meter.scope.clone(), level, wanted: meter.unit.of(&amounts) }))
    }

    /// Replaces what `reservation` holds by `spent`. `false`: it does not answer.
    pub(super) async fn settle(&self, reservation: &Reservation, spent: Amounts) -> bool {
        let Reservation { account, reserved, at_ms, id } = reservation;
        if account.meters.is_empty() {
            return true;
        }
        let now_ms = crate::accounts::period::now_ms();
        let mut arguments = vec![(now_ms + SETTLED_MS).to_string(), name(*id)];
        for meter in &account.meters {
            let whole = meter.unit.of(&spent).min(i64::MAX as u64) as i64;
            let held = meter.unit.of(reserved).min(i64::MAX as u64) as i64;
            let kept_ms = kept_ms(meter, *at_ms, now_ms);
            arguments.extend([(whole - held).to_string(), whole.to_string(), kept_ms.to_string()]);
        }
        self.run::<String>(&self.settle, keys(account, *at_ms), arguments).await.is_some()
    }

    async fn run<T: FromValue + Send>(&self, script: &Script, keys: Vec<String>, arguments: Vec<String>) -> Option<T> {
        let call = async {
            match self.client.evalsha(script.sha1.clone(), keys.clone(), arguments.clone()).await {
                Err(error) if error.details().contains("NOSCRIPT") => {
                    self.client.eval(script.text, keys, arguments).await
                }
                answer => answer,
            }
        };
        let answer = tokio::time::timeout(self.timeout, call).await;
        let answer = match answer {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::debug!(error = error.details(), "Redis refused a script");
                None
            }
            Err(_) => None,
        };
        self.heard(answer.is_some());
        answer
    }

    fn heard(&self, answered: bool) {
        let was_lost = self.lost.swap(!answered, Ordering::Relaxed);
        match (was_lost, answered) {
            (false, false) => tracing::warn!("Redis does not answer; limits are those of this replica alone"),
            (true, true) => tracing::info!("Redis answers; limits are shared by all replicas"),
            _ => {}
        }
    }
}

impl Script {
    fn new(text: &'static str) -> Self {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        Self { text, sha1: digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect() }
    }
}

/// The keys that the scripts take for a request of `at_ms`.
fn keys(account: &Account, at_ms: i64) -> Vec<String> {
    let tenant = &account.tenant.name;
    let own = |rest: &str| format!("vx11:{{{tenant}}}:{rest}");
    let counter = |meter: &Meter| {
        let start_ms = meter.period.window(at_ms).start_ms;
        let start_ms = if start_ms == i64::MIN { 0 } else { start_ms };
        own(&format!("{}:{}:{}:{start_ms}", meter.scope, meter.unit.as_str(), meter.period.as_str()))
    };
    [own("ends"), own("held")].into_iter().chain(account.meters.iter().map(counter)).collect()
}

/// How long the counter of `meter` is kept from `now_ms` on; 0: for ever.
fn kept_ms(meter: &Meter, at_ms: i64, now_ms: i64) -> i64 {
    match meter.period.window(at_ms).end_ms {
        i64::MAX => 0,
        end_ms => (end_ms - now_ms + KEPT_MS).max(1),
    }
}

fn name(id: u64) -> String {
    format!("{id:x}")
}
