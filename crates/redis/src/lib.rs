//! The one connection to Redis: what replicas share goes through it, as scripts, with a short limit on every answer; and
//! what they tell each other, as messages.
//!
//! It knows whether Redis is lost. Then nobody waits for it: what is shared is decided by this process alone until it
//! answers again. One that is no master any more is lost too, and the address is asked anew where it leads. A Redis
//! that answers and refuses a script (out of memory, a key of another kind) is not lost: that is a fault that somebody
//! must mend, and is told apart. What is said in the scripts is the affair of those who bring them.

mod address;
mod channel;
mod failure;
mod script;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use fred::prelude::*;
use prometheus::{IntCounterVec, Registry, opts};
use secrecy::SecretString;

use address::address;
use channel::PUBLISH;
use failure::is_not_the_one;

pub use channel::{Heard, Listener};
pub use failure::Failed;
pub use script::Script;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Milliseconds between two attempts to connect.
const RECONNECT_MS: u32 = 200;
/// Writes nothing, and only where something could be written.
const LOOK: &str = "return redis.call('HDEL', KEYS[1], '')";
/// A key that is never there.
const NOTHING: &str = "vx11:nothing";

/// A connection to Redis.
#[derive(Debug)]
pub struct Redis {
    client: Client,
    /// Longest wait for an answer.
    timeout: Duration,
    look: Script,
    lost: AtomicBool,
    /// How often it was found again.
    spells: Arc<AtomicU64>,
    failures: IntCounterVec,
}

impl Redis {
    /// The connection to `url`, on which nothing is waited for longer than `timeout`. Redis may come later than this
    /// process. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the address is none of Redis', or the system's certificates cannot be read where they are needed.
    pub async fn open(url: &SecretString, timeout: Duration, registry: &Registry) -> anyhow::Result<Arc<Self>> {
        Self::open_at(address(url)?, timeout, registry).await
    }

    /// Whether [`Redis::open`] can make anything of `url`.
    ///
    /// # Errors
    /// As [`Redis::open`].
    pub fn check(url: &SecretString) -> anyhow::Result<()> {
        address(url).map(drop)
    }

    async fn open_at(config: Config, timeout: Duration, registry: &Registry) -> anyhow::Result<Arc<Self>> {
        let help = "What Redis did not do: it is lost, or it answered and refused.";
        let failures = IntCounterVec::new(opts!("vx11_redis_failures_total", help), &["script", "kind"])?;
        registry.register(Box::new(failures.clone()))?;
        let client = client(config, timeout, 32)?;
        let spells = Arc::new(AtomicU64::new(0));
        let reconnected = spells.clone();
        // It may be another one now, or an older one, though nobody has missed it. Ends with the connection.
        drop(client.on_reconnect(move |_| {
            reconnected.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        }));
        // Goes on connecting for as long as this lives.
        drop(client.connect());
        // Lost until it has answered once.
        let look = Script::new("look", LOOK);
        let redis = Self { client, timeout, look, lost: AtomicBool::new(true), spells, failures };
        redis.begin_to_count(PUBLISH);
        redis.probe().await;
        Ok(Arc::new(redis))
    }

    /// A script that is going to be run here. `name` is for people and metrics, in which it has not failed yet; Redis
    /// has its own.
    pub fn script(&self, name: &'static str, text: &'static str) -> Script {
        self.begin_to_count(name);
        Script::new(name, text)
    }

    fn begin_to_count(&self, name: &str) {
        for failed in [Failed::Lost, Failed::Refused] {
            self.failures.with_label_values(&[name, failed.as_str()]);
        }
    }

    /// Whether it did not answer when it was asked last.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// The number of the time since it was found last: what it says in a later one holds, whatever it said before.
    pub fn spell(&self) -> u64 {
        self.spells.load(Ordering::Relaxed)
    }

    /// Looks whether it answers, and is the one to ask.
    pub async fn probe(&self) {
        let answer = self.ask::<Value>(&self.look, vec![NOTHING.to_owned()], Vec::new()).await;
        let error = match answer {
            Ok(_) => return self.heard(true),
            Err(error) => error,
        };
        if let Some(error) = error.as_ref().filter(|error| is_not_the_one(error)) {
            tracing::debug!(error = error.details(), "Redis is not the one to ask; its address is looked up anew");
            // Whether that helped shows the next time.
            let _ = tokio::time::timeout(CONNECT_TIMEOUT, self.client.force_reconnection()).await;
        }
        self.heard(error.is_some_and(|error| Failed::of(&error) == Failed::Refused));
    }

    /// Runs `script`.
    ///
    /// # Errors
    /// When Redis does not answer, or refuses it.
    pub async fn run<T: FromValue + Send>(
        &self,
        script: &Script,
        keys: Vec<String>,
        arguments: Vec<String>,
    ) -> Result<T, Failed> {
        let answer = match self.ask(script, keys, arguments).await {
            Ok(answer) => Ok(script.was_run(answer)),
            Err(Some(error)) => Err(script.failed(&error)),
            Err(None) => Err(Failed::Lost),
        };
        self.ended(script.name, &answer);
        answer
    }

    /// Takes note of what came of asking for `name`.
    fn ended<T>(&self, name: &str, answer: &Result<T, Failed>) {
        if let Err(failed) = answer {
            self.failures.with_label_values(&[name, failed.as_str()]).inc();
        }
        self.heard(!matches!(answer, Err(Failed::Lost)));
    }

    /// What it answers to `script`; without an error: nothing, for as long as it may take.
    async fn ask<T: FromValue + Send>(
        &self,
        script: &Script,
        keys: Vec<String>,
        arguments: Vec<String>,
    ) -> Result<T, Option<Error>> {
        let call = async {
            match self.client.evalsha(script.sha1.clone(), keys.clone(), arguments.clone()).await {
                Err(error) if error.details().contains("NOSCRIPT") => {
                    self.client.eval(script.text, keys, arguments).await
                }
                answer => answer,
            }
        };
        tokio::time::timeout(self.timeout, call).await.map_err(|_| None)?.map_err(Some)
    }

    fn heard(&self, answered: bool) {
        let was_lost = self.lost.swap(!answered, Ordering::Relaxed);
        match (was_lost, answered) {
            (false, false) => {
                tracing::warn!("Redis does not answer; this replica is on its own");
            }
            (true, true) => {
                self.spells.fetch_add(1, Ordering::Relaxed);
                tracing::info!("Redis answers; this replica is one of all");
            }
            _ => {}
        }
    }
}

/// A client that is not connected yet, and repeats nothing: that is the callers' affair. It keeps the last `backlog` of
/// what happens to it by itself.
fn client(mut config: Config, timeout: Duration, backlog: usize) -> anyhow::Result<Client> {
    // Redis may come later than this process.
    config.fail_fast = false;
    let mut builder = Builder::from_config(config);
    builder
        .with_connection_config(|config| {
            config.connection_timeout = CONNECT_TIMEOUT;
            config.internal_command_timeout = CONNECT_TIMEOUT;
            config.max_command_attempts = 1;
            config.max_command_buffer_len = 10_000;
        })
        .with_performance_config(|config| {
            config.default_command_timeout = timeout;
            config.broadcast_channel_capacity = backlog;
        })
        .set_policy(ReconnectPolicy::new_constant(0, RECONNECT_MS));
    builder.build().context("cannot set up the client for Redis")
}
