//! How one provider is asked: the address, the headers and the body that its kind wants.
//!
//! It knows nothing of how the provider is, nor of what it answers.

use anyhow::Context;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{anthropic, azure, gemini, openai};
use crate::config::{ProviderConfig, ProviderKind};
use crate::domain::operation::Operation;
use crate::domain::request::ChatRequest;
use crate::wire::{Defaults, Untranslatable, Wire, translate_request};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Where and in which words one provider is asked.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) kind: ProviderKind,
    pub(super) base_url: Url,
    api_version: String,
    /// Whether it has text completions of its own.
    text_completions: bool,
    defaults: Defaults,
}

impl Endpoint {
    /// What `config` says of it.
    ///
    /// # Errors
    /// When there is no address.
    pub(super) fn new(config: &ProviderConfig) -> anyhow::Result<Self> {
        Ok(Self {
            kind: config.kind,
            base_url: config.base_url().context("base_url is needed")?,
            api_version: config.api_version.clone().unwrap_or_else(|| azure::API_VERSION.to_owned()),
            text_completions: config.has_text_completions(),
            defaults: Defaults { max_tokens: config.default_max_tokens, stream_usage: config.asks_stream_usage() },
        })
    }

    /// The wire that is spoken there.
    pub(super) fn wire(&self) -> Wire {
        match self.kind {
            ProviderKind::Openai | ProviderKind::AzureOpenai => Wire::OpenAi,
            ProviderKind::Anthropic => Wire::Anthropic,
            ProviderKind::Gemini => Wire::Gemini,
        }
    }

    /// Whether what `request` asks for can be had there.
    pub(super) fn can(&self, request: &ChatRequest) -> bool {
        match request.operation {
            Operation::Chat => true,
            Operation::TextCompletion => self.text_completions || matches!(request.as_chat, Some(Ok(_))),
            Operation::Embeddings => self.wire() == Wire::OpenAi,
        }
    }

    /// Whether the tokens of `request` are counted there, in its own wire.
    pub(super) fn counts(&self, request: &ChatRequest) -> bool {
        self.kind == ProviderKind::Anthropic && request.wire == Wire::Anthropic
    }

    /// Asks for an answer of `model`, with the caller's own bytes where both speak the same wire.
    ///
    /// # Errors
    /// When its wire has no words for what is asked.
    pub(super) fn ask(
        &self,
        http: &Client,
        request: &ChatRequest,
        model: &str,
        key: Option<&HeaderValue>,
    ) -> Result<RequestBuilder, Untranslatable> {
        let request = match &request.as_chat {
            Some(Ok(chat)) if !self.text_completions => chat,
            _ => request,
        };
        let body = match (request.wire, self.wire()) {
            (Wire::OpenAi, Wire::OpenAi) if self.defaults.stream_usage => request.body_asking_usage(model),
            (from, to) if from == to => request.body_for(model),
            between => translate_request(request.body(), between, model, self.defaults)?,
        };
        let url = self.address(request, model);
        let builder = self.post(http, url, request, key).body(body);
        Ok(builder.header(ACCEPT, if request.stream { EVENTS } else { JSON }))
    }

    /// Asks how many tokens the prompt of `request` has for `model`.
    pub(super) fn count(
        &self,
        http: &Client,
        request: &ChatRequest,
        model: &str,
        key: Option<&HeaderValue>,
    ) -> RequestBuilder {
        let builder = self.post(http, anthropic::count_url(&self.base_url), request, key);
        builder.header(ACCEPT, JSON).body(request.body_for(model))
    }

    fn address(&self, request: &ChatRequest, model: &str) -> Url {
        match self.kind {
            ProviderKind::Openai => openai::url(&self.base_url, request.operation),
            ProviderKind::AzureOpenai => azure::url(&self.base_url, request.operation, model, &self.api_version),
            ProviderKind::Anthropic => anthropic::messages_url(&self.base_url),
            ProviderKind::Gemini => gemini::chat_url(&self.base_url, model, request.stream),
        }
    }

    fn post(&self, http: &Client, url: Url, request: &ChatRequest, key: Option<&HeaderValue>) -> RequestBuilder {
        let mut builder = http.post(url).header(CONTENT_TYPE, JSON);
        if let Some(key) = key {
            builder = builder.header(key_header(self.kind), key.clone());
        }
        match self.kind {
            ProviderKind::Anthropic => anthropic::with_headers(builder, request),
            ProviderKind::Openai | ProviderKind::AzureOpenai | ProviderKind::Gemini => builder,
        }
    }
}

/// Where each kind looks for its key.
const fn key_header(kind: ProviderKind) -> HeaderName {
    match kind {
        ProviderKind::Openai => AUTHORIZATION,
        ProviderKind::AzureOpenai => HeaderName::from_static("api-key"),
        ProviderKind::Anthropic => HeaderName::from_static("x-api-key"),
        ProviderKind::Gemini => HeaderName::from_static("x-goog-api-key"),
    }
}

/// What that header says, marked sensitive, so that it is never printed.
pub(super) fn key_value(kind: ProviderKind, secret: &SecretString) -> anyhow::Result<HeaderValue> {
    let secret = secret.expose_secret();
    let mut value = match kind {
        ProviderKind::Openai => HeaderValue::try_from(format!("Bearer {secret}"))?,
        ProviderKind::AzureOpenai | ProviderKind::Anthropic | ProviderKind::Gemini => HeaderValue::try_from(secret)?,
    };
    value.set_sensitive(true);
    Ok(value)
}
