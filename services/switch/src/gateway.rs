//! From a routed request to a provider's answer: one attempt after the other, each with its limits, its span and its
//! report to breaker and metrics.
//!
//! It knows providers and the OpenAI wire in between; it does not know what the caller of the gateway is answered.

mod attempt;
mod count;
mod exchange;
mod stream;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Client;
use vx11_chassis::RequestContext;

use crate::domain::answer::Read;
use crate::domain::failover::{Answered, Failure, Unanswered, first_answer};
use crate::domain::outcome::Outcome;
use crate::domain::request::ChatRequest;
use crate::domain::routing::{Routes, Target};
use crate::metrics::Metrics;
use crate::providers::Registry;

use attempt::Attempt;
pub(crate) use stream::{ChatStream, Step};

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The providers.
    pub(crate) registry: Registry,
    /// Where model names lead.
    pub(crate) routes: Routes,
    /// What is counted.
    pub(crate) metrics: Metrics,
}

/// One worker's way to the providers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    /// What all workers share.
    pub(crate) shared: Arc<Shared>,
    /// In registry order.
    http: Rc<[Client]>,
}

/// One request, and where it may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// The request.
    pub(crate) request: &'a ChatRequest,
    /// Best first.
    pub(crate) targets: &'a [Target],
    /// Its identity and limits.
    pub(crate) context: &'a RequestContext,
    /// When it came in.
    pub(crate) started: Instant,
}

/// A provider's whole answer.
#[derive(Debug)]
pub(crate) struct Completed<T> {
    /// The answer: as it came where the provider speaks the caller's wire, else as a chat completion.
    pub(crate) body: Bytes,
    /// Whether the body is in the caller's wire already.
    pub(crate) is_native: bool,
    /// What was read of it.
    pub(crate) read: Read<T>,
    /// Its `x-request-id`.
    pub(crate) request_id: Option<String>,
}

impl Gateway {
    /// One worker's gateway, with clients of its own.
    ///
    /// # Errors
    /// When a client cannot be set up.
    pub(crate) fn new(shared: Arc<Shared>) -> reqwest::Result<Self> {
        let http = shared.registry.clients()?.into();
        Ok(Self { shared, http })
    }

    /// The first whole answer that `read` makes sense of, which sees it as a chat completion.
    pub(crate) async fn complete<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&[u8]) -> Option<Read<T>>,
    ) -> Result<Answered<Completed<T>>, Unanswered> {
        let result = first_answer(call.targets, call.context.deadline, async |target| {
            let mut attempt = self.begin(call, target)?;
            let wire = self.shared.registry.get(target.provider).wire();
            let is_native = wire == call.request.wire;
            let answer = attempt.bounded(call.context.deadline, async {
                let response = exchange::send(self.request(call, target, &attempt)?, wire).await?;
                let request_id = exchange::request_id(&response);
                let body = exchange::body(response).await?;
                let completion = exchange::completion(&body, wire)?;
                let read =
                    read(&completion).ok_or_else(|| Failure::new(Outcome::InvalidAnswer, "not a chat completion"))?;
                Ok(Completed { body: if is_native { body } else { completion }, is_native, read, request_id })
            });
            let answer = answer.await;
            match &answer {
                Ok(answer) => {
                    attempt.spent(answer.read.usage);
                    attempt.succeeded();
                }
                Err(failure) => attempt.failed(failure),
            }
            answer
        });
        let result = result.await;
        self.note(call, &result);
        result
    }

    /// The first stream whose first event has come in.
    pub(crate) async fn stream(&self, call: &Call<'_>) -> Result<Answered<ChatStream>, Unanswered> {
        let result = first_answer(call.targets, call.context.deadline, async |target| {
            let attempt = self.begin(call, target)?;
            let provider = self.shared.registry.get(target.provider);
            let opened = attempt.bounded(call.context.deadline, async {
                let response = exchange::send(self.request(call, target, &attempt)?, provider.wire()).await?;
                let translation = stream::Translation::new(call.request, provider.wire());
                stream::Opened::read(response, call.request.choices, provider.limits, translation).await
            });
            match opened.await {
                Ok(opened) => Ok(ChatStream::begin(opened, attempt, self.shared.metrics.stream())),
                Err(failure) => {
                    attempt.failed(&failure);
                    Err(failure)
                }
            }
        });
        let result = result.await;
        self.note(call, &result);
        result
    }

    fn begin(&self, call: &Call<'_>, target: &Target) -> Result<Attempt, Failure> {
        Attempt::begin(self.shared.clone(), target.clone(), &call.context.trace)
    }

    fn request(&self, call: &Call<'_>, target: &Target, attempt: &Attempt) -> Result<reqwest::RequestBuilder, Failure> {
        let provider = self.shared.registry.get(target.provider);
        let request = provider.chat(&self.http[target.provider], call.request, &target.model);
        let request = request.map_err(Failure::untranslatable)?;
        Ok(vx11_chassis::client::propagate(request, call.context, attempt.trace()))
    }

    /// Counts what the way to the answer's head took of the gateway itself, and whether a fallback answered.
    fn note<A>(&self, call: &Call<'_>, result: &Result<Answered<A>, Unanswered>) {
        let tried = match result {
            Ok(answered) => &answered.tried,
            Err(unanswered) => &unanswered.tried,
        };
        let at_providers: Duration = tried.iter().map(|tried| tried.elapsed).sum();
        self.shared.metrics.overhead(call.started.elapsed().saturating_sub(at_providers));
        if let (Ok(_), [first, .., last]) = (result, tried.as_slice()) {
            let target = &call.targets[last.target];
            let provider = &self.shared.registry.get(target.provider).name;
            let reason = first.outcome.name();
            self.shared.metrics.fallback(&reason);
            tracing::info!(provider, model = &*target.label, fallback_reason = &*reason, "a fallback answered");
        }
    }
}
