//! What all workers of the operator share, and what runs beside them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus::Registry;
use tokio::task::JoinSet;
use tracing::Instrument;
use url::Url;
use vx11_chassis::Shutdown;
use vx11_chassis::client::ServiceClient;
use vx11_chassis::config::Common;
use vx11_chassis::health::Dependencies;
use vx11_contracts::health::DependencyState;
use vx11_contracts::intervention::Channel;
use vx11_http_client::InvalidAddress;
use vx11_identity::StoredKey;
use vx11_redis::Redis;
use vx11_resilience::{Breaker, BreakerConfig, BreakerState, SlidingWindowConfig};
use vx11_store::{DatabaseConfig, DatabaseUrl, ServiceDatabase, StoreError, WriterHealth};

use crate::audit::Audit;
use crate::bus::{Bus, Ear, Mouth};
use crate::chat::{AnswerCache, Chat, Engine, Limits, StreamLimits};
use crate::clients::{HealthGate, Madre, Switch};
use crate::config::{ChatConfig, OperatorConfig};
use crate::control::{self, Control};
use crate::desk::{Desk, DeskLimits, DeskMetrics, Outboxes};
use crate::events::EventHub;
use crate::feed::Feeds;
use crate::health_watch::HealthWatch;
use crate::hearing::Hearing;
use crate::login::{Login, LoginMetrics};
use crate::mail::Mail;
use crate::metrics::Metrics;
use crate::outbox::{Outbox, OutboxMetrics};
use crate::rate::SessionRate;
use crate::routes::Callers;
use crate::state::{Peer, Places, State};
use crate::store::{self, Store};
use crate::verifier::Verifier;
use crate::webhooks::Webhooks;

/// How often gauges are brought up to date.
const GAUGE_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for a connection to another service.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Days that decided, expired and closed interventions are kept where nothing else is configured.
const ARCHIVE_DAYS: u32 = 90;
/// Names the secret of other programs whose access tokens count as well.
const JWT_SECRET: &str = "VX11_JWT_SECRET";
/// Sessions whose rate is remembered.
const MAX_SESSIONS: usize = 100_000;

/// The databases: of what people decide, and of what happened. On PostgreSQL the second is in the first, so that each
/// replica has one set of connections.
///
/// # Errors
/// When one cannot be opened, or is of a newer version.
pub(crate) fn open_stores(common: &Common) -> Result<(Control, Store), StoreError> {
    let control = Control::open(control_config(common))?;
    let store = match control.replicated() {
        Some(database) => Store::open(database)?,
        None => Store::at(&common.data_dir.0)?,
    };
    Ok((control, store))
}

/// The databases, for those who look after them: two files, or one database that both are in.
pub(crate) fn databases(common: &Common) -> Vec<ServiceDatabase> {
    let url = common.database_url.clone().map(DatabaseUrl);
    let of = |config, migrations| ServiceDatabase { service: crate::NAME, config, migrations };
    vec![
        of(control_config(common), || control::MIGRATIONS),
        of(store::config(url, &common.data_dir.0), store::migrations),
    ]
}

/// Where the database of what people decide is.
fn control_config(common: &Common) -> DatabaseConfig {
    let url = common.database_url.clone().map(DatabaseUrl);
    DatabaseConfig::new(url, crate::NAME, common.data_dir.0.join("control.sqlite3"))
}

/// Where the ends of audit logs are noted.
pub(crate) fn heads_file(common: &Common) -> PathBuf {
    common.data_dir.0.join("audit-heads.jsonl")
}

/// One set for the whole service. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) common: Arc<Common>,
    pub(crate) store: Store,
    config: Arc<OperatorConfig>,
    metrics: Metrics,
    switch: Watched,
    madre: Watched,
    rate: SessionRate,
    cache: AnswerCache,
    answered: Arc<std::sync::atomic::AtomicU64>,
    events: EventHub,
    summaries: Arc<crate::metrics_cache::MetricsCache>,
    rows_total: Arc<crate::row_total::RowTotal>,
    control: Control,
    pub(crate) audit: Audit,
    pub(crate) verifier: Verifier,
    login: Login,
    desk: Desk,
    pub(crate) bus: Bus,
    feeds: Feeds,
    callers: Callers,
    outboxes: Outboxes,
    shutdown: Shutdown,
}

impl Shared {
    pub(crate) fn new(
        config: OperatorConfig,
        common: Common,
        registry: &Registry,
        (bus, redis): (Bus, Option<Arc<Redis>>),
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        let (control, store) = open_stores(&common)?;
        store.writer.register(registry)?;
        let audit = Audit::new(control.clone(), heads_file(&common), config.audit.heads_interval, registry)?;
        let webhooks = Webhooks::new(config.webhooks.clone(), common.secrets.clone())?;
        let mail = Mail::new(config.email.clone(), common.secrets.clone())?;
        let counted = |channel| OutboxMetrics::new(channel, registry);
        let outboxes = Outboxes {
            webhooks: Outbox::new(control.clone(), webhooks, counted(Channel::Webhook)?),
            mail: Outbox::new(control.clone(), mail, counted(Channel::Email)?),
        };
        let archive_days = common.retention_days.get("interventions").copied().unwrap_or(ARCHIVE_DAYS);
        let secret = common.secrets.get(JWT_SECRET)?;
        let secret = secret.map(|secret| StoredKey::from_configured(&secret)).transpose().context(JWT_SECRET)?;
        let told = DeskMetrics::new(registry)?;
        let limits = DeskLimits { waits: config.interventions.max_waits_per_org, archive_days };
        let (trail, ways) = (store.writer.clone(), outboxes.clone());
        let desk = Desk::new(control.clone(), trail, told, ways, audit.clone(), bus.clone(), limits);
        let feeds = Feeds::new(desk.clone(), config.interventions.metrics_interval);
        let verifier = Verifier::new(control.clone(), desk.refusals().clone(), audit.clone(), secret);
        let told = LoginMetrics::new(registry)?;
        let login = Login::new(&config.login, &common.secrets, control.clone(), verifier.clone(), told)?;
        let chat = &config.chat;
        let window = SlidingWindowConfig { limit: chat.rate_limit, window: chat.rate_window, max_keys: MAX_SESSIONS };
        Ok(Self {
            metrics: Metrics::new(registry)?,
            switch: Watched::new(chat, chat.breaker),
            madre: Watched::new(chat, chat.madre_breaker()),
            rate: SessionRate::new(window, redis, chat.redis_timeout),
            cache: AnswerCache::new(chat.answer_cache_ttl),
            answered: Arc::default(),
            events: EventHub::new(store.clone()),
            summaries: Arc::default(),
            rows_total: Arc::default(),
            desk,
            bus,
            feeds,
            callers: Callers::default(),
            outboxes,
            verifier,
            login,
            control,
            audit,
            config: Arc::new(config),
            common: Arc::new(common),
            store,
            shutdown,
        })
    }

    /// What the handlers of one worker use; its connections are the worker's own.
    pub(crate) fn worker_state(&self) -> Result<State, InvalidAddress> {
        let urls = &self.common.urls;
        let client = |name, url: &Url| ServiceClient::new(name, url, self.common.token.as_ref(), CONNECT_TIMEOUT);
        let madre = Madre::new(client("madre", &urls.madre)?, self.madre.gate.clone(), self.madre.breaker.clone());
        let config = &self.config.chat;
        let engine = Engine {
            switch: Switch::new(client("switch", &urls.switch)?, self.switch.gate.clone(), self.switch.breaker.clone()),
            madre: madre.clone(),
            metrics: self.metrics.clone(),
            switch_timeout: config.switch_timeout,
            madre_timeout: config.madre_timeout,
        };
        let chat = Chat {
            engine,
            store: self.store.clone(),
            rate: self.rate.clone(),
            cache: self.cache.clone(),
            metrics: self.metrics.clone(),
            limits: Limits { max_message_chars: config.max_message_chars },
            stream_limits: StreamLimits { idle: config.stream_idle, total: config.stream_total },
            history_turns: config.history_turns,
            answered: self.answered.clone(),
        };
        let peer = |name, role, url: &Url| {
            let port = url.port_or_known_default().unwrap_or(0);
            client(name, url).map(|client| Peer { role, port, client })
        };
        Ok(State {
            config: self.config.clone(),
            store: self.store.clone(),
            control: self.control.clone(),
            audit: self.audit.clone(),
            verifier: self.verifier.clone(),
            login: self.login.clone(),
            desk: self.desk.clone(),
            feeds: self.feeds.clone(),
            callers: self.callers.clone(),
            chat,
            madre,
            events: self.events.clone(),
            summaries: self.summaries.clone(),
            rows_total: self.rows_total.clone(),
            services: Arc::new([
                peer("tentaculo", "edge", &urls.tentaculo)?,
                peer("operator", "API for people", &urls.operator)?,
                peer("switch", "LLM gateway", &urls.switch)?,
                peer("madre", "orchestrator", &urls.madre)?,
                peer("mock-provider", "deterministic provider", &urls.mock_provider)?,
            ]),
            places: Arc::new(Places {
                backups: self.common.data_dir.0.join("backups"),
                retention_days: self.common.retention_days.clone(),
                token: self.common.token.clone(),
            }),
            shutdown: self.shutdown.clone(),
        })
    }

    /// Starts what runs beside the workers; it ends when the set is dropped.
    pub(crate) fn start_background(&self, others: Option<(Mouth, Ear)>) -> Result<JoinSet<()>, InvalidAddress> {
        let mut tasks = JoinSet::new();
        let span = tracing::Span::current();
        tasks.spawn(self.events.clone().run(self.shutdown.clone()).instrument(span.clone()));
        tasks.spawn(self.desk.clone().sweep(self.shutdown.clone()).instrument(span.clone()));
        tasks.spawn(self.desk.clone().count(self.shutdown.clone()).instrument(span.clone()));
        tasks.spawn(self.desk.clone().clear(self.shutdown.clone()).instrument(span.clone()));
        tasks.spawn(self.desk.clone().look_for_waiters(self.shutdown.clone()).instrument(span.clone()));
        let (units, shutdown) = (&self.config.units, self.shutdown.clone());
        let sweep = self.desk.clone().sweep_units(units.heartbeat_timeout, units.sweep_interval, shutdown);
        tasks.spawn(sweep.instrument(span.clone()));
        tasks.spawn(self.outboxes.webhooks.clone().run(self.shutdown.clone()).instrument(span.clone()));
        tasks.spawn(self.outboxes.mail.clone().run(self.shutdown.clone()).instrument(span.clone()));
        tasks.spawn(self.audit.clone().run(self.shutdown.clone()).instrument(span.clone()));
        tasks.spawn(self.audit.clone().run_linking(self.shutdown.clone()).instrument(span.clone()));
        tasks.spawn(self.verifier.clone().keep_keys(self.shutdown.clone()).instrument(span.clone()));
        tasks.spawn(self.clone().keep_gauges().instrument(span.clone()));
        if let Some((mouth, ear)) = others {
            let hearing = Hearing { desk: self.desk.clone(), events: self.events.clone() };
            tasks.spawn(mouth.run().instrument(span.clone()));
            tasks.spawn(hearing.run(ear).instrument(span.clone()));
            tasks.spawn(
                self.events.clone().tell_others(self.bus.clone(), self.shutdown.clone()).instrument(span.clone()),
            );
        }
        let urls = &self.common.urls;
        for (name, url, Watched { gate, breaker }) in
            [("switch", &urls.switch, self.switch.clone()), ("madre", &urls.madre, self.madre.clone())]
        {
            let watch = HealthWatch {
                client: ServiceClient::new(name, url, None, CONNECT_TIMEOUT)?,
                gate,
                breaker,
                limit: self.config.chat.switch_health_timeout,
                writer: self.store.writer.clone(),
            };
            tasks.spawn(watch.run().instrument(span.clone()));
        }
        Ok(tasks)
    }

    async fn keep_gauges(self) {
        loop {
            self.metrics.set_sessions_active(self.rate.active_sessions());
            self.metrics.set_breaker("switch", &self.switch.breaker);
            self.metrics.set_breaker("madre", &self.madre.breaker);
            tokio::time::sleep(GAUGE_INTERVAL).await;
        }
    }

    /// What `/ready` names.
    pub(crate) fn dependencies(&self) -> Dependencies {
        let Self { store, switch, madre, desk, bus, .. } = self.clone();
        Arc::new(move || {
            let store = match store.writer.health() {
                WriterHealth::Ok => DependencyState::up(),
                WriterHealth::Degraded { reason, backlog_rows, .. } => {
                    DependencyState::degraded(format!("{reason}; {backlog_rows} rows wait in memory"))
                }
                WriterHealth::Stopped => DependencyState::down("the writer has stopped"),
            };
            let switch = switch.state("it does not answer; chats go to madre");
            let madre = madre.state("it does not answer");
            let replicas = bus.state().map(|state| ("replicas".to_owned(), state));
            let others = [
                ("store".to_owned(), store),
                ("switch".to_owned(), switch),
                ("madre".to_owned(), madre),
                ("interventions".to_owned(), desk.state()),
            ];
            others.into_iter().chain(replicas).collect()
        })
    }
}

/// What all workers know of a service that chats go to.
#[derive(Clone, Debug)]
struct Watched {
    gate: Arc<HealthGate>,
    breaker: Arc<Breaker>,
}

impl Watched {
    fn new(config: &ChatConfig, breaker: BreakerConfig) -> Self {
        let gate = HealthGate::new(config.switch_health_ttl);
        Self { gate: Arc::new(gate), breaker: Arc::new(Breaker::new(breaker)) }
    }

    /// What `/ready` says of it; `gone` where it does not answer.
    fn state(&self, gone: &str) -> DependencyState {
        match (self.gate.is_healthy(), self.breaker.snapshot().state) {
            (false, _) => DependencyState::down(gone),
            (true, BreakerState::Open) => {
                DependencyState::degraded("it answers, but not to chats: its circuit is open")
            }
            (true, BreakerState::Closed | BreakerState::HalfOpen) => DependencyState::up(),
        }
    }
}
