//! The one connection to Redis: what replicas share goes through it, as scripts, with a short limit on every answer.
//!
//! It knows whether Redis is lost. Then nobody waits for it: what is shared is decided by this process alone until it
//! answers again. What is said in the scripts is the affair of those who bring them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use fred::prelude::*;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use secrecy::{ExposeSecret, SecretString};

use crate::config::SwitchConfig;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Milliseconds between two attempts to connect.
const RECONNECT_MS: u32 = 200;

/// A connection to Redis.
#[derive(Debug)]
pub(crate) struct Redis {
    client: Client,
    /// Longest wait for an answer.
    timeout: Duration,
    lost: AtomicBool,
}

/// A script and the name that Redis has for it.
#[derive(Debug)]
pub(crate) struct Script {
    text: &'static str,
    sha1: String,
}

impl Redis {
    /// The connection that `config` names, where it names one. Redis may come later than the gateway.
    ///
    /// # Errors
    /// When the address is none of Redis'.
    pub(crate) async fn open(config: &SwitchConfig) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(url) = &config.redis_url else { return Ok(None) };
        let redis = Self::connect(url, config.redis_timeout)?;
        redis.probe().await;
        Ok(Some(Arc::new(redis)))
    }

    /// Begins to connect to `url`, and goes on connecting for as long as this lives. Needs a tokio runtime.
    fn connect(url: &SecretString, timeout: Duration) -> anyhow::Result<Self> {
        // The URL may hold a password: what is wrong with it is not repeated.
        let mut config = Config::from_url(url.expose_secret()).ok().context("switch.redis_url is no URL of Redis")?;
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
        drop(client.connect());
        // Lost until it has answered once.
        Ok(Self { client, timeout, lost: AtomicBool::new(true) })
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

    /// Runs `script`. `None`: it does not answer.
    pub(crate) async fn run<T: FromValue + Send>(
        &self,
        script: &Script,
        keys: Vec<String>,
        arguments: Vec<String>,
    ) -> Option<T> {
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
            (false, false) => {
                tracing::warn!("Redis does not answer; limits, breakers and keys are those of this replica alone");
            }
            (true, true) => tracing::info!("Redis answers; limits, breakers and keys are shared by all replicas"),
            _ => {}
        }
    }
}

impl Script {
    /// Under the name that Redis will have for it.
    pub(crate) fn new(text: &'static str) -> Self {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        Self { text, sha1: digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect() }
    }
}
