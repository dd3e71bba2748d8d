//! The one connection to Redis: what replicas share goes through it, as scripts, with a short limit on every answer.
//!
//! It knows whether Redis is lost. Then nobody waits for it: what is shared is decided by this process alone until it
//! answers again. One that is no master any more is lost too, and the address is asked anew where it leads. A Redis
//! that answers and refuses a script (out of memory, a key of another kind) is not lost: that is a fault that somebody
//! must mend, and is told apart. What is said in the scripts is the affair of those who bring them.

mod failure;
mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use fred::prelude::*;
use prometheus::{IntCounterVec, Registry, opts};
use secrecy::{ExposeSecret, SecretString};

use crate::config::SwitchConfig;
use failure::is_not_the_one;

pub(crate) use failure::Failed;
pub(crate) use script::Script;

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
pub(crate) struct Redis {
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
    /// The connection that `config` names, where it names one. Redis may come later than the gateway.
    ///
    /// # Errors
    /// When the address is none of Redis'.
    pub(crate) async fn open(config: &SwitchConfig, registry: &Registry) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(url) = &config.redis_url else { return Ok(None) };
        let help = "Scripts that Redis did not run: it is lost, or it answered and refused.";
        let failures = IntCounterVec::new(opts!("vx11_redis_failures_total", help), &["script", "kind"])?;
        registry.register(Box::new(failures.clone()))?;
        let redis = Self::connect(url, config.redis_timeout, failures)?;
        redis.probe().await;
        Ok(Some(Arc::new(redis)))
    }

    /// Whether [`Redis::open`] can make anything of the address in `config`.
    ///
    /// # Errors
    /// When it is none of Redis'.
    pub(crate) fn check(config: &SwitchConfig) -> anyhow::Result<()> {
        config.redis_url.as_ref().map_or(Ok(()), |url| address(url).map(drop))
    }

    /// Begins to connect to `url`, and goes on connecting for as long as this lives. Needs a tokio runtime.
    fn connect(url: &SecretString, timeout: Duration, failures: IntCounterVec) -> anyhow::Result<Self> {
        let mut config = address(url)?;
        // Redis may come later than the gateway.
        config.fail_fast = false;
        let mut builder = Builder::from_config(config);
        builder
            .with_connection_config(|config| {
                config.connection_timeout = CONNECT_TIMEOUT;
                config.internal_command_timeout = CONNECT_TIMEOUT;
                // Repeating is the callers' affair.
                config.max_command_attempts = 1;
                config.max_command_buffer_len = 10_000;
            })
            .with_performance_config(|config| config.default_command_timeout = timeout)
            .set_policy(ReconnectPolicy::new_constant(0, RECONNECT_MS));
        let client = builder.build().context("cannot set up the client for Redis")?;
        let spells = Arc::new(AtomicU64::new(0));
        let reconnected = spells.clone();
        // It may be another one now, or an older one, though nobody has missed it. Ends with the connection.
        drop(client.on_reconnect(move |_| {
            reconnected.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        }));
        drop(client.connect());
        // Lost until it has answered once.
        let look = Script::new("look", LOOK);
        Ok(Self { client, timeout, look, lost: AtomicBool::new(true), spells, failures })
    }

    /// A script that is going to be run here. `name` is for people and metrics, in which it has not failed yet; Redis
    /// has its own.
    pub(crate) fn script(&self, name: &'static str, text: &'static str) -> Script {
        for failed in [Failed::Lost, Failed::Refused] {
            self.failures.with_label_values(&[name, failed.as_str()]);
        }
        Script::new(name, text)
    }

    /// Whether it did not answer when it was asked last.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// The number of the time since it was found last: what it says in a later one holds, whatever it said before.
    pub(crate) fn spell(&self) -> u64 {
        self.spells.load(Ordering::Relaxed)
    }

    /// Looks whether it answers, and is the one to ask.
    pub(crate) async fn probe(&self) {
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
    pub(crate) async fn run<T: FromValue + Send>(
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
        if let Err(failed) = &answer {
            self.failures.with_label_values(&[script.name, failed.as_str()]).inc();
        }
        self.heard(!matches!(answer, Err(Failed::Lost)));
        answer
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
                tracing::warn!("Redis does not answer; limits, breakers and keys are those of this replica alone");
            }
            (true, true) => {
                self.spells.fetch_add(1, Ordering::Relaxed);
                tracing::info!("Redis answers; limits, breakers and keys are shared by all replicas");
            }
            _ => {}
        }
    }
}

/// What `url` says of where Redis is.
fn address(url: &SecretString) -> anyhow::Result<Config> {
    let url = url.expose_secret();
    // The client, which is built without TLS, would take them, and send the password in the clear.
    let wants_tls = ["rediss", "valkeys"].iter().any(|scheme| url.starts_with(scheme));
    anyhow::ensure!(
        !wants_tls,
        "switch.redis_url: there is no TLS to Redis yet; it has to begin with redis:// or valkey://"
    );
    // The client takes any scheme for Redis'.
    let is_of_redis = ["redis", "valkey"].iter().any(|scheme| url.starts_with(scheme));
    let config = is_of_redis.then(|| Config::from_url(url).ok()).flatten();
    // It may hold a password: what is wrong with it is not repeated.
    config.context("switch.redis_url is no URL of Redis")
}
