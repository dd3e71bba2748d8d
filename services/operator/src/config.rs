//! The operator's configuration section.

mod email;
mod login;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vx11_chassis::config::ConfigError;
use vx11_chassis::process::Section;
use vx11_resilience::BreakerConfig;

pub(crate) use email::EmailConfig;
pub(crate) use login::{LoginConfig, ProviderConfig, ProviderKind, is_loopback};

/// `[operator]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperatorConfig {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Whether people may open and close power windows and spawn work from here.
    pub operator_control: bool,
    /// Chat.
    pub chat: ChatConfig,
    /// The event stream.
    pub events: EventsConfig,
    /// Interventions.
    pub interventions: InterventionsConfig,
    /// Units of work.
    pub units: UnitsConfig,
    /// Webhooks.
    pub webhooks: WebhooksConfig,
    /// E-mail.
    pub email: EmailConfig,
    /// What is learned from interventions.
    pub insights: InsightsConfig,
    /// How people log in.
    pub login: LoginConfig,
    /// The audit log.
    pub audit: AuditConfig,
}

/// `[operator.chat]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatConfig {
    /// Messages of one session in any `rate_window`.
    pub rate_limit: u32,
    /// The window of `rate_limit`.
    #[serde(with = "humantime_serde")]
    pub rate_window: Duration,
    /// Longest wait for Redis before this replica counts the messages of a session alone.
    #[serde(with = "humantime_serde")]
    pub redis_timeout: Duration,
    /// Characters of a message.
    pub max_message_chars: usize,
    /// How long a repeated message of a session is answered from memory; zero turns it off.
    #[serde(with = "humantime_serde")]
    pub answer_cache_ttl: Duration,
    /// Earlier turns of the session that are sent along.
    pub history_turns: u32,
    /// How long the health of the switch, and of madre, is believed, good or bad.
    #[serde(with = "humantime_serde")]
    pub switch_health_ttl: Duration,
    /// Longest wait for it.
    #[serde(with = "humantime_serde")]
    pub switch_health_timeout: Duration,
    /// Longest wait for the switch's answer, and for the first token of a streamed one.
    #[serde(with = "humantime_serde")]
    pub switch_timeout: Duration,
    /// Longest silence within a streamed answer.
    #[serde(with = "humantime_serde")]
    pub stream_idle: Duration,
    /// Longest streamed answer.
    #[serde(with = "humantime_serde")]
    pub stream_total: Duration,
    /// Longest wait for madre's answer; this much of a caller's deadline is kept for it.
    #[serde(with = "humantime_serde")]
    pub madre_timeout: Duration,
    /// When calls to the switch are given up for a while, and calls to madre for two seconds at most.
    pub breaker: BreakerConfig,
}

/// Longest that madre is not asked at all.
const LAST_RESORT_PAUSE: Duration = Duration::from_secs(2);

/// `[operator.events]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// How often a silent stream gets a comment.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// When the server closes a stream; clients resume.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Events of the backlog.
    pub backlog: u32,
    /// Streams at a time.
    pub max_streams: usize,
    /// Streams of one organisation at a time, but for the platform's own; who comes then gets 429.
    pub max_streams_per_org: usize,
}

/// `[operator.interventions]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct InterventionsConfig {
    /// How long a pilot may stay at a request that it has claimed; also the most that a claim may ask for.
    #[serde(with = "humantime_serde")]
    pub claim: Duration,
    /// WebSockets at a time; who comes when it is full is told to come again (1013).
    pub max_sockets: usize,
    /// WebSockets of one caller at a time, who comes with a token or key of its own; a newer one takes the place of the
    /// oldest (4409).
    pub max_sockets_per_caller: usize,
    /// Callers of one organisation that wait for a decision at a time, over HTTP; who comes then gets 429.
    pub max_waits_per_org: usize,
    /// How often a WebSocket is asked whether its client is there; who does not answer twice is closed.
    #[serde(with = "humantime_serde")]
    pub socket_ping: Duration,
    /// How often dashboards are sent the metrics.
    #[serde(with = "humantime_serde")]
    pub metrics_interval: Duration,
}

/// `[operator.units]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnitsConfig {
    /// How long an active unit may be silent before it is a zombie; and a zombie, before it is dead.
    #[serde(with = "humantime_serde")]
    pub heartbeat_timeout: Duration,
    /// How often silent units are looked for.
    #[serde(with = "humantime_serde")]
    pub sweep_interval: Duration,
}

impl Default for UnitsConfig {
    fn default() -> Self {
        Self { heartbeat_timeout: Duration::from_secs(300), sweep_interval: Duration::from_secs(60) }
    }
}

/// `[operator.insights]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct InsightsConfig {
    /// Whether what looks wrong in requests is told.
    pub anomalies: bool,
    /// Whether pilots are suggested for requests.
    pub routing: bool,
    /// Whether it is told how pilots do.
    pub performance: bool,
}

/// `[operator.audit]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// How often the ends of the audit logs are noted in the log and in a file.
    #[serde(with = "humantime_serde")]
    pub heads_interval: Duration,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { heads_interval: Duration::from_secs(60) }
    }
}

/// `[operator.webhooks]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// The variable with the secret that the organisation `default` signs with. Another one's is in the variable of the
    /// same name with `_` and the organisation's id in capitals behind it.
    pub secret_env: String,
    /// Whether receivers may be on this machine, or in its network.
    pub allow_private: bool,
    /// Longest wait for a receiver's answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The most that is waited after the first attempt; three times as much after each one more, up to an hour.
    #[serde(with = "humantime_serde")]
    pub retry_base: Duration,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            secret_env: "VX11_WEBHOOK_SECRET".to_owned(),
            allow_private: false,
            timeout: Duration::from_secs(10),
            retry_base: Duration::from_secs(5),
        }
    }
}

impl Default for InterventionsConfig {
    fn default() -> Self {
        Self {
            claim: Duration::from_secs(300),
            max_sockets: 10_000,
            max_sockets_per_caller: 5,
            max_waits_per_org: 2000,
            socket_ping: Duration::from_secs(30),
            metrics_interval: Duration::from_secs(30),
        }
    }
}

impl Default for OperatorConfig {
    fn default() -> Self {
        Self {
            bind: (Ipv4Addr::LOCALHOST, 8011).into(),
            operator_control: false,
            chat: ChatConfig::default(),
            events: EventsConfig::default(),
            interventions: InterventionsConfig::default(),
            units: UnitsConfig::default(),
            webhooks: WebhooksConfig::default(),
            email: EmailConfig::default(),
            insights: InsightsConfig::default(),
            login: LoginConfig::default(),
            audit: AuditConfig::default(),
        }
    }
}

impl ChatConfig {
    /// The breaker of madre. Nobody stands in for the last resort, so it is tried again soon.
    pub(crate) fn madre_breaker(&self) -> BreakerConfig {
        BreakerConfig { open_for: self.breaker.open_for.min(LAST_RESORT_PAUSE), ..self.breaker }
    }
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            rate_limit: 10,
            rate_window: Duration::from_secs(60),
            redis_timeout: Duration::from_millis(100),
            max_message_chars: 4000,
            answer_cache_ttl: Duration::from_secs(60),
            history_turns: 10,
            switch_health_ttl: Duration::from_secs(30),
            switch_health_timeout: Duration::from_secs(2),
            switch_timeout: Duration::from_secs(30),
            stream_idle: Duration::from_secs(20),
            stream_total: Duration::from_secs(300),
            madre_timeout: Duration::from_secs(5),
            breaker: BreakerConfig::default(),
        }
    }
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(30),
            max_age: Duration::from_secs(300),
            backlog: 100,
            max_streams: 1000,
            max_streams_per_org: 100,
        }
    }
}

impl Section for OperatorConfig {
    const NAME: &'static str = "operator";

    fn bind(&self) -> SocketAddr {
        self.bind
    }

    fn check(&self) -> Result<(), ConfigError> {
        let positive = [
            ("operator.chat.redis_timeout", self.chat.redis_timeout),
            ("operator.chat.switch_timeout", self.chat.switch_timeout),
            ("operator.chat.switch_health_ttl", self.chat.switch_health_ttl),
            ("operator.chat.switch_health_timeout", self.chat.switch_health_timeout),
            ("operator.chat.madre_timeout", self.chat.madre_timeout),
            ("operator.chat.stream_idle", self.chat.stream_idle),
            ("operator.chat.stream_total", self.chat.stream_total),
            ("operator.events.heartbeat", self.events.heartbeat),
            ("operator.events.max_age", self.events.max_age),
            ("operator.interventions.claim", self.interventions.claim),
            ("operator.interventions.socket_ping", self.interventions.socket_ping),
            ("operator.interventions.metrics_interval", self.interventions.metrics_interval),
            ("operator.units.heartbeat_timeout", self.units.heartbeat_timeout),
            ("operator.units.sweep_interval", self.units.sweep_interval),
            ("operator.audit.heads_interval", self.audit.heads_interval),
            ("operator.webhooks.timeout", self.webhooks.timeout),
            ("operator.webhooks.retry_base", self.webhooks.retry_base),
            ("operator.email.timeout", self.email.timeout),
            ("operator.email.retry_base", self.email.retry_base),
        ];
        match positive.iter().find(|(_, value)| value.is_zero()) {
            Some((field, _)) => Err(ConfigError::unusable(*field, "must be longer than zero")),
            None if self.chat.max_message_chars == 0 => {
                Err(ConfigError::unusable("operator.chat.max_message_chars", "must be at least 1"))
            }
            None => self.login.check(),
        }
    }
}
