//! The providers in service: what each one may cost in time, how it is, and how it is asked.
//!
//! A kind of provider is a wire; each has a file under `providers/` that alone knows its paths and headers.

pub(crate) mod anthropic;
mod azure;
mod convention;
mod endpoint;
mod gemini;
mod http;
mod identity;
mod keys;
mod live;
mod openai;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use url::Url;
use vx11_chassis::config::Common;
use vx11_contracts::switch::{
    BreakerInfo, BreakerState as Shown, ConcurrencyInfo, KeyHealth, KeyInfo, ModelInfo, ProviderHealth, ProviderInfo,
    QueueInfo,
};
use vx11_http_client::{Client, Connector, InvalidAddress, Request};
use vx11_resilience::{Breaker, BreakerState};
use vx11_telemetry::GenAiProvider;

use crate::config::{ProviderConfig, RetryConfig, SwitchConfig};
use crate::domain::request::ChatRequest;
use crate::domain::routing::{Labels, Served};
use crate::domain::wishes::Wishes;
use crate::wire::{Untranslatable, Wire};

use endpoint::Endpoint;
use keys::Key;
pub(crate) use keys::Keys;
pub(crate) use live::{Form, InFlight, Live, ModelLive};

/// Longest that one call keeps others from a provider of which it is to show whether it is well again.
const LONGEST_PROBE: Duration = Duration::from_secs(30);

/// One provider in service.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Its name.
    pub(crate) name: String,
    /// How long it may take.
    pub(crate) limits: Limits,
    /// What is learnt about it.
    pub(crate) live: Arc<Live>,
    /// Whether its models go on from an assistant's message that stands last.
    pub(crate) prefill: bool,
    identity: String,
    convention: Option<&'static str>,
    endpoint: Endpoint,
    models: Vec<String>,
    default_model: String,
    credentials: Credentials,
    /// What it was made of, to see whether that has changed.
    config: ProviderConfig,
    retries: RetryConfig,
    use_breakers: bool,
}

/// How long a provider may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    connect: Duration,
    /// For a whole answer.
    pub(crate) answer: Duration,
    /// For the first token of a stream.
    pub(crate) first: Duration,
    /// Both for a conversation at `/switch/chat`.
    chat: (Duration, Duration),
    /// Between two chunks of a stream.
    pub(crate) idle: Duration,
    /// Whether that is what one request allows, and less than the provider has.
    pub(crate) is_hurried: bool,
    /// For a whole stream.
    pub(crate) stream: Duration,
}

impl Limits {
    /// How long a probe keeps other calls away: until it is known whether it was answered, but an answer may take
    /// minutes, and a provider that is well must not wait for them.
    pub(crate) fn probe(self) -> Duration {
        self.answer.max(self.first).min(LONGEST_PROBE)
    }

    /// These limits for one request, within the silence that it allows.
    pub(crate) fn within(self, wishes: &Wishes) -> Self {
        let (answer, first) = if wishes.is_chat { self.chat } else { (self.answer, self.first) };
        let idle = wishes.idle.map_or(self.idle, |idle| idle.min(self.idle));
        // With half of its own time it had its chance.
        Self { answer, first, idle, is_hurried: idle < self.idle / 2, ..self }
    }
}

/// What a provider asks of its callers.
#[derive(Debug)]
enum Credentials {
    NotRequired,
    Missing,
    Present(Keys),
}

impl Provider {
    /// `before` is the provider of that name in the configuration before; what was learnt about it is kept where its
    /// settings and those of `all` are the same. Its keys begin anew.
    fn new(
        name: String,
        config: ProviderConfig,
        all: &SwitchConfig,
        common: &Common,
        before: Option<&Self>,
    ) -> anyhow::Result<Self> {
        let field = |field: &str| format!("switch.providers.{name}.{field}");
        let (retries, use_breakers) = (all.retries, all.use_circuit_breakers);
        let credentials = Credentials::read(&name, &config, common, before.is_some())?;
        let settings = |before: &Self| (before.retries, before.use_breakers);
        let same = before.filter(|before| before.config == config && settings(before) == (retries, use_breakers));
        let live = same.map_or_else(|| Arc::new(Live::new(&config, retries, use_breakers)), |same| same.live.clone());
        let made_of = config.clone();
        let default_model = config.default_model().with_context(|| field("default_model"))?.to_owned();
        let models = config.models().to_vec();
        let endpoint = Endpoint::new(&config).with_context(|| format!("switch.providers.{name}"))?;
        let (answer, first) = config.answer_limits();
        let limits = Limits {
            connect: config.connect_timeout,
            answer,
            first,
            chat: config.chat_limits(),
            idle: config.stream_idle_timeout,
            is_hurried: false,
            stream: config.stream_total_timeout,
        };
        Ok(Self {
            identity: identity::provider(&name, &endpoint.base_url),
            convention: convention::name(config.kind, &endpoint.base_url),
            name,
            limits,
            live,
            prefill: config.prefill,
            endpoint,
            models,
            default_model,
            credentials,
            config: made_of,
            retries,
            use_breakers,
        })
    }

    /// Whether it can be asked at all: its key is there, or it needs none.
    pub(crate) fn is_usable(&self) -> bool {
        !matches!(self.credentials, Credentials::Missing)
    }

    /// The variables that its keys come from.
    pub(crate) fn key_variables(&self) -> Vec<&str> {
        self.config.key_variables()
    }

    /// What it is called among replicas: the same where it has the same name and address.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// As spans have it.
    pub(crate) fn traced(&self) -> GenAiProvider<'_> {
        GenAiProvider { convention: self.convention.unwrap_or(&self.name), name: &self.name, url: self.address() }
    }

    /// The wire in which it answers `request`.
    pub(crate) fn wire_for(&self, request: &ChatRequest) -> Wire {
        self.endpoint.wire_for(request)
    }

    /// Whether it is asked for `request` as that is, and not for a chat in its place.
    pub(crate) fn speaks(&self, request: &ChatRequest) -> bool {
        self.endpoint.speaks(request)
    }

    /// Where its API begins.
    pub(crate) fn address(&self) -> &Url {
        &self.endpoint.base_url
    }

    /// Whether it can do what `request` asks for.
    pub(crate) fn can(&self, request: &ChatRequest) -> bool {
        self.endpoint.can(request)
    }

    /// Whether it counts the tokens of what `request` asks.
    pub(crate) fn counts(&self, request: &ChatRequest) -> bool {
        self.endpoint.counts(request)
    }

    /// Its keys, where it asks for one and has one.
    pub(crate) fn keys(&self) -> Option<&Keys> {
        match &self.credentials {
            Credentials::Present(keys) => Some(keys),
            Credentials::NotRequired | Credentials::Missing => None,
        }
    }

    /// The request that asks it for `model`, with the key of this number.
    ///
    /// # Errors
    /// When its wire has no words for what is asked.
    pub(crate) fn chat(
        &self,
        http: &Client,
        request: &ChatRequest,
        model: &str,
        key: Option<usize>,
    ) -> Result<Request, Untranslatable> {
        let key = self.keys().zip(key).map(|(keys, key)| keys.header(key));
        self.endpoint.ask(http, request, model, key)
    }

    /// The request that has it count the tokens of a prompt for `model`, with the key of this number.
    pub(crate) fn count_tokens(
        &self,
        http: &Client,
        request: &ChatRequest,
        model: &str,
        key: Option<usize>,
    ) -> anyhow::Result<Request> {
        let key = self.keys().zip(key).map(|(keys, key)| keys.header(key));
        self.endpoint.count(http, request, model, key)
    }

    /// What people are shown of it, whose models have these `labels`.
    pub(crate) fn info(&self, labels: &Labels) -> ProviderInfo {
        let mut base_url = self.endpoint.base_url.clone();
        base_url.set_query(None);
        let key = match self.credentials {
            Credentials::NotRequired => "not_required",
            Credentials::Missing => "missing",
            Credentials::Present(_) => "present",
        };
        let telling: Vec<Breaker> =
            self.live.telling(labels).values().flatten().map(|model| model.breaker.clone()).collect();
        let keys = self.keys().map(Keys::info).unwrap_or_default();
        let admission = self.live.admission.snapshot();
        let [interactive, normal, batch] = admission.waiting;
        ProviderInfo {
            name: self.name.clone(),
            kind: self.endpoint.kind.as_str().to_owned(),
            base_url: base_url.into(),
            models: self.models.clone(),
            key: key.to_owned(),
            health: health(self.is_usable(), &keys, &telling),
            keys,
            breaker: worst(&telling),
            concurrency: ConcurrencyInfo { limit: admission.limit, in_flight: admission.in_flight },
            queue: QueueInfo { interactive, normal, batch },
            live: self.live.models().iter().map(|model| model_info(model)).collect(),
        }
    }

    /// What routing needs to know of it.
    pub(crate) fn served(&self) -> Served {
        Served {
            name: self.name.clone(),
            patterns: self.models.iter().map(|pattern| pattern.as_str().into()).collect(),
            default_model: self.default_model.as_str().into(),
        }
    }

    /// Whether the client of one will do for the other.
    fn is_reached_like(&self, other: &Self) -> bool {
        let way = |provider: &Self| (provider.limits.connect, provider.is_called_over_tls());
        self.name == other.name && self.address() == other.address() && way(self) == way(other)
    }

    fn is_called_over_tls(&self) -> bool {
        self.endpoint.base_url.scheme() == "https" && self.is_usable()
    }
}

impl Credentials {
    fn read(name: &str, config: &ProviderConfig, common: &Common, again: bool) -> anyhow::Result<Self> {
        let variables = config.key_variables();
        if variables.is_empty() {
            return Ok(Self::NotRequired);
        }
        let mut keys = Vec::with_capacity(variables.len());
        for variable in variables {
            let Some(secret) = common.secrets.get(variable)? else { continue };
            let header = endpoint::key_value(config.kind, &secret).with_context(|| {
                format!("switch.providers.{name}.api_key_env: the key in {variable} cannot be sent in a header")
            })?;
            keys.push(Key::new(variable.to_owned(), header));
        }
        Ok(if keys.is_empty() { Self::Missing } else { Self::Present(Keys::new(keys, config.key_dead_for, again)) })
    }
}

/// What people are shown of one model.
fn model_info(live: &ModelLive) -> ModelInfo {
    ModelInfo {
        model: (*live.name).to_owned(),
        breaker: vx11_chassis::breaker::info(&live.breaker),
        latency_ms: live.latency().as_millis() as u64,
        error_rate: (live.error_rate() * 1000.0).round() / 1000.0,
    }
}

/// The provider as a whole, by its keys and the breakers that tell of it.
fn health(usable: bool, keys: &[KeyInfo], breakers: &[Breaker]) -> ProviderHealth {
    let is_closed = |breaker: &Breaker| breaker.snapshot().state == BreakerState::Closed;
    let works = |key: &KeyInfo| key.state == KeyHealth::Alive;
    let no_key = !keys.is_empty() && !keys.iter().any(works);
    if !usable || no_key || (!breakers.is_empty() && !breakers.iter().any(is_closed)) {
        ProviderHealth::Down
    } else if keys.iter().all(works) && breakers.iter().all(is_closed) {
        ProviderHealth::Up
    } else {
        ProviderHealth::Degraded
    }
}

/// The breaker that is in the worst state, for the whole provider.
fn worst(breakers: &[Breaker]) -> BreakerInfo {
    let worst = breakers.iter().max_by_key(|breaker| {
        let snapshot = breaker.snapshot();
        (badness(snapshot.state), snapshot.failure_count)
    });
    let none = BreakerInfo { state: Shown::Closed, failure_count: 0, last_failure: None };
    worst.map_or(none, vx11_chassis::breaker::info)
}

/// How bad it is that a breaker is in this state, beside others.
pub(crate) fn badness(state: BreakerState) -> u8 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}

/// Every provider that is enabled, in the order of their names.
#[derive(Debug)]
pub(crate) struct Registry {
    providers: Vec<Arc<Provider>>,
    tls: Option<http::Tls>,
}

impl Registry {
    /// The providers of `config`, with their keys from `common`.
    ///
    /// # Errors
    /// When a key cannot be sent, or the system's certificates cannot be read and are needed.
    pub(crate) fn new(config: &SwitchConfig, common: &Common, before: Option<&Self>) -> anyhow::Result<Self> {
        let enabled = config.all_providers(&common.urls).into_iter().filter(|(_, provider)| provider.enabled);
        let providers = enabled
            .map(|(name, provider)| {
                let before = before.and_then(|before| before.find(&name));
                Provider::new(name, provider, config, common, before).map(Arc::new)
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        // Without a provider to call over TLS the system's certificates are never read.
        let tls = match providers.iter().any(|provider| provider.is_called_over_tls()) {
            true => Some(http::Tls::from_system()?),
            false => None,
        };
        Ok(Self { providers, tls })
    }

    /// One worker's clients, one a provider and in the same order; none for one that is not asked. Each has its own
    /// connections and limits. Those of `before` whose provider is reached in the same way are kept.
    ///
    /// # Errors
    /// When a provider's address cannot be called.
    pub(crate) fn clients(
        &self,
        before: Option<(&Self, &[Option<Client>])>,
    ) -> Result<Vec<Option<Client>>, InvalidAddress> {
        let kept = |provider: &Provider| {
            let (registry, clients) = before?;
            let position = registry.providers.iter().position(|known| known.is_reached_like(provider))?;
            clients.get(position)?.clone()
        };
        let client = |provider: &Arc<Provider>| {
            let (address, connect) = (provider.address(), provider.limits.connect);
            match (&self.tls, kept(provider)) {
                _ if !provider.is_usable() => Ok(None),
                (_, Some(client)) => Ok(Some(client)),
                (Some(tls), None) if provider.is_called_over_tls() => tls.client(address, connect).map(Some),
                _ => Connector::plain(address, connect).map(Client::new).map(Some),
            }
        };
        self.providers.iter().map(client).collect()
    }

    fn find(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().map(|provider| &**provider).find(|provider| provider.name == name)
    }

    /// The provider at `index`, as targets name it.
    pub(crate) fn get(&self, index: usize) -> &Provider {
        &self.providers[index]
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Arc<Provider>] {
        &self.providers
    }
}

#[cfg(test)]
mod tests;
