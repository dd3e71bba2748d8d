//! The providers in service: where each one is, what it may cost in time, and how its wire is spoken.
//!
//! A kind of provider is a wire; each has a file under `providers/` that alone knows its paths and headers.

pub(crate) mod anthropic;
mod azure;
mod gemini;
mod http;
mod openai;

use std::time::Duration;

use anyhow::Context;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use vx11_chassis::config::Common;
use vx11_contracts::switch::ProviderInfo;
use vx11_resilience::Breaker;

use crate::config::{ProviderConfig, ProviderKind, SwitchConfig};
use crate::domain::request::ChatRequest;
use crate::domain::routing::Served;
use crate::wire::{Defaults, Untranslatable, Wire, translate_request};

/// One provider in service.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Its name.
    pub(crate) name: String,
    /// How long it may take.
    pub(crate) limits: Limits,
    /// Whether it is asked.
    pub(crate) breaker: Breaker,
    /// Where chat completions are asked for.
    pub(crate) chat_url: Url,
    kind: ProviderKind,
    base_url: Url,
    api_version: String,
    defaults: Defaults,
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
    /// What its header says, marked sensitive, so that it is never printed.
    Present(HeaderValue),
}

impl Provider {
    fn new(name: String, config: ProviderConfig, common: &Common) -> anyhow::Result<Self> {
        let field = |field: &str| format!("switch.providers.{name}.{field}");
        let key = match &config.api_key_env {
            None => Key::NotRequired,
            Some(variable) => match common.secrets.get(variable)? {
                None => Key::Missing,
                Some(secret) => Key::present(config.kind, &secret).with_context(|| {
                    format!("{}: the key in {variable} cannot be sent in a header", field("api_key_env"))
                })?,
            },
        };
        let default_model = config.default_model().with_context(|| field("default_model"))?.to_owned();
        let models = config.models().to_vec();
        let base_url = config.base_url().with_context(|| field("base_url"))?;
        let chat_url = match config.kind {
            ProviderKind::Openai => openai::chat_url(&base_url),
            ProviderKind::Anthropic => anthropic::messages_url(&base_url),
            // The model is part of the address.
            ProviderKind::AzureOpenai | ProviderKind::Gemini => base_url.clone(),
        };
        let limits = Limits {
            connect: config.connect_timeout,
            answer: config.timeout,
            idle: config.stream_idle_timeout,
            stream: config.stream_total_timeout,
        };
        let breaker = Breaker::new(config.breaker.into());
        let defaults = Defaults { max_tokens: config.default_max_tokens };
        let api_version = config.api_version.unwrap_or_else(|| azure::API_VERSION.to_owned());
        let kind = config.kind;
        Ok(Self { name, limits, breaker, chat_url, kind, base_url, api_version, defaults, models, default_model, key })
    }

    /// Whether it can be asked at all: its key is there, or it needs none.
    pub(crate) fn is_usable(&self) -> bool {
        !matches!(self.key, Key::Missing)
    }

    /// The wire that it speaks.
    pub(crate) fn wire(&self) -> Wire {
        match self.kind {
            ProviderKind::Openai | ProviderKind::AzureOpenai => Wire::OpenAi,
            ProviderKind::Anthropic => Wire::Anthropic,
            ProviderKind::Gemini => Wire::Gemini,
        }
    }

    /// The request that asks it for `model`: the caller's own bytes where both speak the same wire.
    ///
    /// # Errors
    /// When its wire has no words for what is asked.
    pub(crate) fn chat(
        &self,
        http: &Client,
        request: &ChatRequest,
        model: &str,
    ) -> Result<RequestBuilder, Untranslatable> {
        let body = if request.wire == self.wire() {
            request.body_for(model)
        } else {
            translate_request(request.body(), (request.wire, self.wire()), model, self.defaults)?
        };
        let url = match self.kind {
            ProviderKind::Openai | ProviderKind::Anthropic => self.chat_url.clone(),
            ProviderKind::AzureOpenai => azure::chat_url(&self.base_url, model, &self.api_version),
            ProviderKind::Gemini => gemini::chat_url(&self.base_url, model, request.stream),
        };
        const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
        let builder = self.post(http, url, request).body(body);
        Ok(builder.header(ACCEPT, if request.stream { EVENTS } else { JSON }))
    }

    /// The request that has it count the tokens of a prompt in its own wire. `None`: it does not do that.
    pub(crate) fn count_tokens(&self, http: &Client, request: &ChatRequest, model: &str) -> Option<RequestBuilder> {
        let is_asked = self.kind == ProviderKind::Anthropic && request.wire == Wire::Anthropic && self.is_usable();
        let builder = is_asked.then(|| self.post(http, anthropic::count_url(&self.base_url), request))?;
        Some(builder.header(ACCEPT, JSON).body(request.body_for(model)))
    }

    fn post(&self, http: &Client, url: Url, request: &ChatRequest) -> RequestBuilder {
        let mut builder = http.post(url).header(CONTENT_TYPE, JSON);
        if let Key::Present(key) = &self.key {
            builder = builder.header(key_header(self.kind), key.clone());
        }
        match self.kind {
            ProviderKind::Anthropic => anthropic::with_headers(builder, request),
            ProviderKind::Openai | ProviderKind::AzureOpenai | ProviderKind::Gemini => builder,
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

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where each kind looks for its key.
const fn key_header(kind: ProviderKind) -> HeaderName {
    match kind {
        ProviderKind::Openai => reqwest::header::AUTHORIZATION,
        ProviderKind::AzureOpenai => HeaderName::from_static("api-key"),
        ProviderKind::Anthropic => HeaderName::from_static("x-api-key"),
        ProviderKind::Gemini => HeaderName::from_static("x-goog-api-key"),
    }
}

impl Key {
    fn present(kind: ProviderKind, secret: &SecretString) -> anyhow::Result<Self> {
        let secret = secret.expose_secret();
        let mut value = match kind {
            ProviderKind::Openai => HeaderValue::try_from(format!("Bearer {secret}"))?,
            ProviderKind::AzureOpenai | ProviderKind::Anthropic | ProviderKind::Gemini => {
                HeaderValue::try_from(secret)?
            }
        };
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
