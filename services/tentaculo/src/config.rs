//! `[tentaculo]`

mod replicas;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vx11_chassis::config::ConfigError;
use vx11_chassis::process::Section;
use vx11_resilience::{BreakerConfig, RateLimitConfig, RetryBudgetConfig};

use crate::trusted::ProxyNetwork;
use crate::upstream::Name;

pub use replicas::{PerService, ReplicaConfig};

/// The edge's section.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TentaculoConfig {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Web pages that may call from a browser, such as `https://app.example`; `*` stands for every page.
    pub allowed_origins: Vec<String>,
    /// Proxies in front of the edge, whose `X-Forwarded-For`, `-Host` and `-Proto` are believed: addresses, and
    /// networks such as `10.42.0.0/16`.
    pub trusted_proxies: Vec<ProxyNetwork>,
    /// Largest request body, in bytes.
    pub max_body: usize,
    /// Largest request body on `/v1` and `/switch`, in bytes.
    pub max_model_body: usize,
    /// Whether `/v1` is open to the keys of `[switch.keys]` too: what is not the token is then passed on, and switch
    /// says whose it is. The operator's API keys and access tokens need no leave: they are told by their form.
    pub switch_keys: bool,
    /// Requests of one address.
    pub address_limit: RateLimitConfig,
    /// Requests with one token.
    pub token_limit: RateLimitConfig,
    /// Wrong tokens that an address may present in a minute; after them none of its tokens is looked at for a while.
    pub wrong_tokens_per_minute: NonZeroU32,
    /// Longest wait for the head of an answer, and for the whole of a small request; a caller's shorter deadline holds.
    #[serde(with = "humantime_serde")]
    pub answer_timeout: Duration,
    /// The same on `/v1` and `/switch`, where models answer. More than a provider may take, so that the switch gets to
    /// say who was silent.
    #[serde(with = "humantime_serde")]
    pub model_answer_timeout: Duration,
    /// Longest silence within an answer, or within a WebSocket.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// When a service, or one of its replicas, is given up for a while.
    pub circuit: BreakerConfig,
    /// Where the replicas of services are that have more than the one address in `[urls]`.
    pub replicas: PerService<Vec<ReplicaConfig>>,
    /// Where the edge is: replicas of the same zone are preferred.
    pub zone: Option<String>,
    /// How many of a service's sessions in a hundred go to its canary.
    pub canary: PerService<u8>,
    /// How many requests may be sent a second time.
    pub retries: RetryBudgetConfig,
}

impl Default for TentaculoConfig {
    fn default() -> Self {
        let limit = |per_minute, burst| RateLimitConfig { per_minute, burst, ..RateLimitConfig::default() };
        Self {
            bind: (Ipv4Addr::LOCALHOST, 8000).into(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            max_body: 1024 * 1024,
            max_model_body: 8 * 1024 * 1024,
            switch_keys: false,
            address_limit: limit(number(6_000), number(1_000)),
            token_limit: limit(number(60_000), number(5_000)),
            wrong_tokens_per_minute: number(60),
            answer_timeout: Duration::from_secs(60),
            model_answer_timeout: Duration::from_secs(630),
            idle_timeout: Duration::from_secs(300),
            // A service that restarts is back within a second or two; a refused connection costs next to nothing.
            circuit: BreakerConfig { open_for: Duration::from_secs(2), ..BreakerConfig::default() },
            replicas: PerService::default(),
            zone: None,
            canary: PerService::default(),
            retries: RetryBudgetConfig::default(),
        }
    }
}

const fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}

impl Section for TentaculoConfig {
    const NAME: &'static str = "tentaculo";

    fn bind(&self) -> SocketAddr {
        self.bind
    }

    fn check(&self) -> Result<(), ConfigError> {
        let limits = [
            ("answer_timeout", self.answer_timeout),
            ("model_answer_timeout", self.model_answer_timeout),
            ("idle_timeout", self.idle_timeout),
        ];
        for (field, value) in limits {
            if value.is_zero() {
                return Err(ConfigError::unusable(format!("tentaculo.{field}"), "must be longer than zero"));
            }
        }
        Name::ALL.into_iter().try_for_each(|name| replicas::check(name, self.replicas.of(name), *self.canary.of(name)))
    }
}

#[cfg(test)]
mod tests {
    use vx11_chassis::config::Settings;
    use vx11_chassis::process::section;

    use super::*;

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        let trusted = |list: &str| {
            let variables = [("VX11_TENTACULO__TRUSTED_PROXIES".to_owned(), list.to_owned())];
            section::<TentaculoConfig>(&Settings::load(None, variables).expect("settings"))
        };
        assert_eq!(trusted("[\"10.0.0.1\", \"10.42.0.0/16\", \"fd00::/8\"]").expect("a list").trusted_proxies.len(), 3);
        for mistake in ["10.42.0.0/33", "10.42/16", "ingress"] {
            let refused = trusted(&format!("[\"{mistake}\"]")).expect_err("no network").to_string();
            assert!(refused.contains("an IP address or a network such as 10.42.0.0/16"), "{refused}");
        }
    }

    #[test]
    fn replicas_are_addresses_with_labels() {
        let read = |name: &str, value: &str, percent: &str| {
            let variables = [(name, value), ("VX11_TENTACULO__CANARY__SWITCH", percent)];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            section::<TentaculoConfig>(&Settings::load(None, variables).expect("settings"))
        };
        let switch = |value: &str, percent: &str| read("VX11_TENTACULO__REPLICAS__SWITCH", value, percent);
        let list = r#"[{url="http://10.0.0.1:8002", zone="a"}, {url="http://switch-next", canary=true}]"#;
        let config = switch(list, "5").expect("a list");
        let labels = config.replicas.switch.iter().map(|replica| (replica.zone.as_deref(), replica.canary));
        assert_eq!(labels.collect::<Vec<_>>(), [(Some("a"), false), (None, true)]);
        assert_eq!((config.canary.switch, config.canary.madre, config.replicas.madre.len()), (5, 0, 0));

        for (list, percent, problem) in [
            (list, "101", "0 to 100"),
            (r#"[{url="http://10.0.0.1:8002"}]"#, "5", "there is no canary"),
            (r#"[{url="https://10.0.0.1:8002"}]"#, "0", "begins with http://"),
            (r#"[{url="http://10.0.0.1:8002/x"}]"#, "0", "nothing else"),
            (r#"[{url="http://a"}, {url="http://a:80/"}]"#, "0", "is there twice"),
            (r#"[{url="http://a", weight=3}]"#, "0", "weight"),
        ] {
            let refused = switch(list, percent).expect_err("refused").to_string();
            assert!(refused.contains(problem), "{refused}");
        }
        let refused = read("VX11_TENTACULO__REPLICAS__SWICH", list, "").expect_err("refused").to_string();
        assert!(refused.contains("swich"), "{refused}");
    }

    #[test]
    fn a_limit_that_is_set_in_part_keeps_the_rest_of_the_edges_own() {
        let variables = [
            ("VX11_TENTACULO__TOKEN_LIMIT__PER_MINUTE", "90000"),
            ("VX11_TENTACULO__ADDRESS_LIMIT__MAX_KEYS", "10"),
            ("VX11_TENTACULO__CIRCUIT__FAILURE_THRESHOLD", "9"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config: TentaculoConfig = section(&Settings::load(None, variables).expect("settings")).expect("a section");
        let limit = |limit: RateLimitConfig| (limit.per_minute.get(), limit.burst.get(), limit.max_keys);
        assert_eq!(limit(config.token_limit), (90_000, 5_000, 100_000));
        assert_eq!(limit(config.address_limit), (6_000, 1_000, 10));
        let circuit =
            BreakerConfig { failure_threshold: 9, open_for: Duration::from_secs(2), ..BreakerConfig::default() };
        assert_eq!(config.circuit, circuit);
    }
}
