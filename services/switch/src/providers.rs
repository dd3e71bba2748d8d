//! The providers in service: where each one is, what it may cost in time, and how its wire is spoken.
//!
//! A kind of provider is a wire; each has a file under `providers/` that alone knows its paths and headers.

mod http;
mod openai;

use std::time::Duration;

use anyhow::Context;
use reqwest::header::HeaderValue;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use vx11_chassis::config::Common;
use vx11_contracts::switch::ProviderInfo;
use vx11_resilience::Breaker;

use crate::config::{ProviderConfig, ProviderKind, SwitchConfig};
use crate::domain::operation::Operation;
use crate::domain::request::ChatRequest;
use crate::domain::routing::Served;

/// One provider in service.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Its name.
    pub(crate) name: String,
    /// How long it may take.
    pub(crate) limits: Limits,
    /// Whether it is asked.
    pub(crate) breaker: Breaker,
    /// Whether its models go on from an assistant's message that stands last.
    pub(crate) prefill: bool,
    /// Where chat completions are asked for.
    pub(crate) chat_url: Url,
    completions_url: Url,
    embeddings_url: Url,
    /// Whether it has text completions of its own.
    text_completions: bool,
    /// Whether its streams are asked for their usage.
    stream_usage: bool,
    kind: ProviderKind,
    base_url: Url,
    models: Vec<String>,
    default_model: String,
    key: Key,
}

/// How long a provider may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    connect: Duration,
    /// For a whole answer, or the first event of a stream.
    pub(crate) answer: Duration,
    /// Between two chunks of a stream.
    pub(crate) idle: Duration,
    /// For a whole stream.
    pub(crate) stream: Duration,
}

/// What a provider asks of its callers.
#[derive(Clone, Debug)]
enum Key {
    NotRequired,
    Missing,
    /// The `Authorization` header, marked sensitive, so that it is never printed.
    Present(HeaderValue),
}

impl Provider {
    fn new(name: String, config: ProviderConfig, common: &Common) -> anyhow::Result<Self> {
        let field = |field: &str| format!("switch.providers.{name}.{field}");
        let key = match &config.api_key_env {
            None => Key::NotRequired,
            Some(variable) => match common.secrets.get(variable)? {
                None => Key::Missing,
                Some(secret) => Key::present(&secret).with_context(|| {
                    format!("{}: the key in {variable} cannot be sent in a header", field("api_key_env"))
                })?,
            },
        };
        let default_model = config.default_model().with_context(|| field("default_model"))?.to_owned();
        let models = config.models().to_vec();
        let text_completions = config.has_text_completions();
        let stream_usage = config.asks_stream_usage();
        let base_url = config.base_url.with_context(|| field("base_url"))?;
        let url = |operation| match config.kind {
            ProviderKind::Openai => openai::url(&base_url, operation),
        };
        let chat_url = url(Operation::Chat);
        let completions_url = url(Operation::TextCompletion);
        let embeddings_url = url(Operation::Embeddings);
        let limits = Limits {
            connect: config.connect_timeout,
            answer: config.timeout,
            idle: config.stream_idle_timeout,
            stream: config.stream_total_timeout,
        };
        let breaker = Breaker::new(config.breaker.into());
        Ok(Self {
            name,
            limits,
            breaker,
            prefill: config.prefill,
            chat_url,
            completions_url,
            embeddings_url,
            text_completions,
            stream_usage,
            kind: config.kind,
            base_url,
            models,
            default_model,
            key,
        })
    }

    /// Whether it can be asked at all: its key is there, or it needs none.
    pub(crate) fn is_usable(&self) -> bool {
        !matches!(self.key, Key::Missing)
    }

    /// Whether it can do what `request` asks for.
    pub(crate) fn can(&self, request: &ChatRequest) -> bool {
        match request.operation {
            Operation::Chat => true,
            Operation::TextCompletion => self.text_completions || matches!(request.as_chat, Some(Ok(_))),
            Operation::Embeddings => match self.kind {
                ProviderKind::Openai => true,
            },
        }
    }

    /// The request that asks it for `model`.
    pub(crate) fn chat(&self, http: &Client, request: &ChatRequest, model: &str) -> RequestBuilder {
        let request = match &request.as_chat {
            Some(Ok(chat)) if !self.text_completions => chat,
            _ => request,
        };
        let url = match request.operation {
            Operation::Chat => &self.chat_url,
            Operation::TextCompletion => &self.completions_url,
            Operation::Embeddings => &self.embeddings_url,
        };
        let key = match &self.key {
            Key::Present(key) => Some(key),
            Key::NotRequired | Key::Missing => None,
        };
        match self.kind {
            ProviderKind::Openai => openai::ask(http, url, key, request, model, self.stream_usage),
        }
    }

    /// What people are shown of it.
    pub(crate) fn info(&self) -> ProviderInfo {
        let mut base_url = self.base_url.clone();
        base_url.set_query(None);
        let key = match self.key {
            Key::NotRequired => "not_required",
            Key::Missing => "missing",
            Key::Present(_) => "present",
        };
        ProviderInfo {
            name: self.name.clone(),
            kind: self.kind.as_str().to_owned(),
            base_url: base_url.into(),
            models: self.models.clone(),
            key: key.to_owned(),
            breaker: vx11_chassis::breaker::info(&self.breaker),
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

    fn is_called_over_tls(&self) -> bool {
        self.base_url.scheme() == "https" && self.is_usable()
    }
}

impl Key {
    fn present(secret: &SecretString) -> anyhow::Result<Self> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", secret.expose_secret()))?;
        value.set_sensitive(true);
        Ok(Self::Present(value))
    }
}

/// Every provider that is enabled, in the order of their names.
#[derive(Debug)]
pub(crate) struct Registry {
    providers: Vec<Provider>,
    tls: Option<http::Tls>,
}

impl Registry {
    /// The providers of `config`, with their keys from `common`.
    ///
    /// # Errors
    /// When a key cannot be sent, or the system's certificates cannot be read and are needed.
    pub(crate) fn new(config: &SwitchConfig, common: &Common) -> anyhow::Result<Self> {
        let enabled = config.all_providers(&common.urls).into_iter().filter(|(_, provider)| provider.enabled);
        let providers = enabled
            .map(|(name, provider)| Provider::new(name, provider, common))
            .collect::<anyhow::Result<Vec<_>>>()?;
        // Without a provider to call over TLS the system's certificates are never read.
        let tls = match providers.iter().any(Provider::is_called_over_tls) {
            true => Some(http::Tls::from_system()?),
            false => None,
        };
        Ok(Self { providers, tls })
    }

    /// One worker's clients, one a provider and in the same order: each has its own connections and limits.
    ///
    /// # Errors
    /// When a client cannot be set up.
    pub(crate) fn clients(&self) -> reqwest::Result<Vec<Client>> {
        let client = |provider: &Provider| match &self.tls {
            Some(tls) if provider.is_called_over_tls() => tls.client(&provider.base_url, provider.limits.connect),
            _ => vx11_chassis::client::http_client(provider.limits.connect),
        };
        self.providers.iter().map(client).collect()
    }

    /// The provider at `index`, as targets name it.
    pub(crate) fn get(&self, index: usize) -> &Provider {
        &self.providers[index]
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Provider] {
        &self.providers
    }
}
