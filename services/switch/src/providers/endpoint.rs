//! How one provider is asked: the address, the headers and the body that its kind wants.
//!
//! It knows nothing of how the provider is, nor of what it answers.

use anyhow::Context;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use secrecy::{ExposeSecret, SecretString};
use url::{Position, Url};
use vx11_contracts::headers;
use vx11_http_client::{Client, Request};

use super::{anthropic, azure, gemini, openai};
use crate::config::{ProviderConfig, ProviderKind};
use crate::domain::operation::Operation;
use crate::domain::request::ChatRequest;
use crate::wire::gemini::embeddings;
use crate::wire::{Defaults, Dialect, Untranslatable, Wire, translate_request};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Where and in which words one provider is asked.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) kind: ProviderKind,
    pub(super) base_url: Url,
    openai: openai::Targets,
    api_version: String,
    /// Whether it has text completions of its own.
    text_completions: bool,
    /// Whether it has Responses.
    responses: bool,
    defaults: Defaults,
}

impl Endpoint {
    /// What `config` says of it.
    ///
    /// # Errors
    /// When there is no address, or it is none that can be called.
    pub(super) fn new(config: &ProviderConfig) -> anyhow::Result<Self> {
        let base_url = config.base_url().context("base_url is needed")?;
        Ok(Self {
            kind: config.kind,
            openai: openai::Targets::new(&base_url)?,
            base_url,
            api_version: config.api_version.clone().unwrap_or_else(|| azure::API_VERSION.to_owned()),
            text_completions: config.has_text_completions(),
            responses: config.has_responses(),
            defaults: Defaults { max_tokens: config.default_max_tokens, stream_usage: config.asks_stream_usage() },
        })
    }

    /// The wire in which `request` is answered there.
    pub(super) fn wire_for(&self, request: &ChatRequest) -> Wire {
        match self.kind {
            _ if request.wire == Wire::Responses && self.speaks(request) => Wire::Responses,
            ProviderKind::Openai | ProviderKind::AzureOpenai => Wire::OpenAi,
            ProviderKind::Anthropic => Wire::Anthropic,
            ProviderKind::Gemini => Wire::Gemini,
        }
    }

    /// Whether what `request` asks for can be had there.
    pub(super) fn can(&self, request: &ChatRequest) -> bool {
        match request.operation {
            Operation::Chat | Operation::TextCompletion => {
                self.speaks(request) || matches!(request.as_chat, Some(Ok(_)))
            }
            Operation::Embeddings => self.kind != ProviderKind::Anthropic,
        }
    }

    /// Whether it is asked for `request` as that is, and not for a chat in its place.
    pub(super) fn speaks(&self, request: &ChatRequest) -> bool {
        match (request.wire, request.operation) {
            (Wire::Responses, _) => self.responses,
            (_, Operation::TextCompletion) => self.text_completions,
            _ => true,
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
    ) -> Result<Request, Untranslatable> {
        let request = match &request.as_chat {
            Some(Ok(chat)) if !self.speaks(request) => chat,
            _ => request,
        };
        let wire = self.wire_for(request);
        let body = match (request.wire, wire) {
            (Wire::OpenAi, Wire::OpenAi) if self.defaults.stream_usage => request.body_asking_usage(model),
            (from, to) if from == to => request.body_for(model),
            (_, Wire::Gemini) if request.operation == Operation::Embeddings => {
                embeddings::request(request.body(), model)?
            }
            between => translate_request(request.body(), between, model, self.defaults)?,
        };
        // A caller's own words are the caller's; what the gateway has written is to be understood.
        let body = match wire {
            Wire::OpenAi if request.is_translated() => self.dialect(model).write(body),
            _ => body,
        };
        let target = self.target(request, model).map_err(|_| Untranslatable {
            field: "model".to_owned(),
            problem: "it cannot be part of an address".to_owned(),
        })?;
        let outgoing = self.post(http, target, request, key).body(body);
        Ok(outgoing.header(ACCEPT, if request.stream { EVENTS } else { JSON }))
    }

    /// Asks how many tokens the prompt of `request` has for `model`.
    pub(super) fn count(
        &self,
        http: &Client,
        request: &ChatRequest,
        model: &str,
        key: Option<&HeaderValue>,
    ) -> anyhow::Result<Request> {
        let outgoing = self.post(http, target(&anthropic::count_url(&self.base_url))?, request, key);
        Ok(outgoing.header(ACCEPT, JSON).body(request.body_for(model)))
    }

    fn dialect(&self, model: &str) -> Dialect {
        Dialect::of(model, self.kind == ProviderKind::AzureOpenai)
    }

    fn target(&self, request: &ChatRequest, model: &str) -> anyhow::Result<PathAndQuery> {
        match self.kind {
            ProviderKind::Openai if request.wire == Wire::Responses => Ok(self.openai.responses.clone()),
            ProviderKind::Openai => Ok(self.openai.of(request.operation).clone()),
            ProviderKind::AzureOpenai if request.wire == Wire::Responses => {
                target(&azure::responses_url(&self.base_url))
            }
            ProviderKind::AzureOpenai => {
                target(&azure::url(&self.base_url, request.operation, model, &self.api_version))
            }
            ProviderKind::Anthropic => target(&anthropic::messages_url(&self.base_url)),
            ProviderKind::Gemini if request.operation == Operation::Embeddings => {
                target(&gemini::embeddings_url(&self.base_url, model))
            }
            ProviderKind::Gemini => target(&gemini::chat_url(&self.base_url, model, request.stream)),
        }
    }

    fn post(&self, http: &Client, target: PathAndQuery, request: &ChatRequest, key: Option<&HeaderValue>) -> Request {
        let mut outgoing = http.request(Method::POST, target).header(CONTENT_TYPE, JSON);
        if let Some(key) = key {
            outgoing = outgoing.header(key_header(self.kind), key.clone());
        }
        match self.kind {
            ProviderKind::Anthropic => anthropic::with_headers(outgoing, request),
            ProviderKind::Openai | ProviderKind::AzureOpenai | ProviderKind::Gemini => outgoing,
        }
    }
}

/// Path and query of `url`, as a request names them.
pub(super) fn target(url: &Url) -> anyhow::Result<PathAndQuery> {
    url[Position::BeforePath..Position::AfterQuery].parse().with_context(|| format!("`{}` is no path", url.path()))
}

/// Where each kind looks for its key.
const fn key_header(kind: ProviderKind) -> HeaderName {
    match kind {
        ProviderKind::Openai => AUTHORIZATION,
        ProviderKind::AzureOpenai => HeaderName::from_static("api-key"),
        ProviderKind::Anthropic => HeaderName::from_static(headers::API_KEY),
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
