//! From a routed request to a provider's answer: one attempt after the other, each with its limits, its span and its
//! report to breaker and metrics.
//!
//! It knows providers and the OpenAI wire in between; it does not know what the caller of the gateway is answered.

mod attempt;
mod exchange;
mod rescue;
mod stream;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Client;
use vx11_chassis::RequestContext;

use crate::accounts::{Accounts, Bill};
use crate::config::OnDivergence;
use crate::domain::answer::{self, Read};
use crate::domain::failover::{Answered, Failure, Unanswered, first_answer};
use crate::domain::outcome::Outcome;
use crate::domain::request::ChatRequest;
use crate::domain::routing::{Routes, Target};
use crate::metrics::Metrics;
use crate::providers::Registry;

use attempt::Attempt;
use rescue::Rescue;
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
    /// How long a stream may say nothing to its caller.
    pub(crate) ping_interval: Duration,
    /// Who may ask how much.
    pub(crate) accounts: Arc<Accounts>,
    /// What happens when a stream's second answer differs from its first, by the model's name.
    pub(crate) on_divergence: BTreeMap<String, OnDivergence>,
}

impl Shared {
    /// What happens when a stream of `model` is answered anew, and otherwise.
    fn on_divergence(&self, model: &str) -> OnDivergence {
        self.on_divergence.get(model).copied().unwrap_or_default()
    }
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
    /// Who pays: every provider call reports to it.
    pub(crate) bill: &'a Bill,
}

/// A provider's whole answer.
#[derive(Debug)]
pub(crate) struct Completed<T> {
    /// The answer as it came.
    pub(crate) body: Bytes,
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

    /// The first whole answer that `read` makes sense of.
    pub(crate) async fn complete<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&[u8]) -> Option<Read<T>>,
    ) -> Result<Answered<Completed<T>>, Unanswered> {
        let result = first_answer(call.targets, call.context.deadline, async |target| {
            let mut attempt = self.begin(call, target)?;
            let request = self.request(call, target, &attempt);
            let answer = attempt.bounded(call.context.deadline, async {
                let response = exchange::send(request).await?;
                let request_id = exchange::request_id(&response);
                let body = exchange::body(response, call.request.operation.answer_limit()).await?;
                let read = read(&body).ok_or_else(|| Failure::new(Outcome::InvalidAnswer, "not what was asked for"))?;
                Ok(Completed { body, read, request_id })
            });
            let answer = answer.await;
            match &answer {
                Ok(answer) => {
                    attempt
                        .answered(answer.read.usage.map(|reported| reported.tokens), || answer::written(&answer.body));
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

    /// The first stream whose first event has come in. The targets after the one that began it finish it if it breaks.
    pub(crate) async fn stream(&self, call: &Call<'_>) -> Result<Answered<ChatStream>, Unanswered> {
        let result = first_answer(call.targets, call.context.deadline, async |target| {
            let (opened, attempt) = self.open(call, target).await?;
            Ok(ChatStream::begin(opened, attempt, self.shared.metrics.stream()))
        });
        let mut result = result.await;
        if let Ok(Answered { answer: stream, tried }) = &mut result {
            stream.prepare(Rescue::plan(self, call, tried, stream.total()));
        }
        self.note(call, &result);
        result
    }

    /// Asks one target for a stream, and waits for its first event.
    async fn open(&self, call: &Call<'_>, target: &Target) -> Result<(stream::Opened, Attempt), Failure> {
        let attempt = self.begin(call, target)?;
        let request = self.request(call, target, &attempt);
        let limits = self.shared.registry.get(target.provider).limits;
        let opened = attempt.bounded(call.context.deadline, async {
            let response = exchange::send(request).await?;
            stream::Opened::read(response, call.request.choices, limits).await
        });
        match opened.await {
            Ok(opened) => Ok((opened, attempt)),
            Err(failure) => {
                attempt.failed(&failure);
                Err(failure)
            }
        }
    }

    fn begin(&self, call: &Call<'_>, target: &Target) -> Result<Attempt, Failure> {
        let operation = call.request.operation;
        Attempt::begin(self.shared.clone(), target.clone(), operation, &call.context.trace, call.bill.clone())
    }

    fn request(&self, call: &Call<'_>, target: &Target, attempt: &Attempt) -> reqwest::RequestBuilder {
        let provider = self.shared.registry.get(target.provider);
        let request = provider.chat(&self.http[target.provider], call.request, &target.model);
        vx11_chassis::client::propagate(request, call.context, attempt.trace())
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
