//! From a routed request to a provider's answer: one attempt after the other, each with its limits, its span and its
//! report to breaker and metrics.
//!
//! It knows providers, and the wires that they and callers speak; it does not know what the caller of the gateway is
//! answered.

mod answer_stream;
mod attempt;
mod cached;
mod count;
mod exchange;
mod lead;
mod listed;
mod progress;
mod rescue;
mod shadow;
mod stream;
mod uncounted;
mod worker;

use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Semaphore;
use vx11_chassis::RequestContext;
use vx11_contracts::chat::Usage;
use vx11_http_client::{Client, InvalidAddress, Request};

use crate::accounts::{Accounts, Bill};
use crate::cache::{Cache, Passage};
use crate::config::OnDivergence;
use crate::domain::answer::{self, Read};
use crate::domain::failover::{Answered, Failure, Retries, Turn, Unanswered, first_answer, time_of};
use crate::domain::hold::Rules;
use crate::domain::operation::Operation;
use crate::domain::outcome::{Health, Outcome};
use crate::domain::request::ChatRequest;
use crate::domain::retry::RetryPolicy;
use crate::domain::routing::{Routes, Target};
use crate::domain::strategy::Asker;
use crate::domain::wishes::Wishes;
use crate::hold::{Approval, Desk};
use crate::metrics::Metrics;
use crate::providers::{Form, Limits, ModelLive, Registry};
use crate::replicas::Replicas;
use crate::tokenizer::Vocabulary;
use crate::wire::Wire;

pub(crate) use answer_stream::AnswerStream;
use attempt::Attempt;
pub(crate) use listed::Listed;
use rescue::Rescue;
pub(crate) use shadow::MOST as MOST_SHADOWS;
use stream::ChatStream;
pub(crate) use stream::Step;
use uncounted::Wrote;
pub(crate) use worker::Worker;

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The providers.
    pub(crate) registry: Registry,
    /// Where model names lead.
    pub(crate) routes: Routes,
    /// The models that are named there.
    pub(crate) listed: Listed,
    /// When a target is asked again.
    pub(crate) retries: RetryPolicy,
    /// Places for copies that go to shadow targets.
    pub(crate) shadows: Arc<Semaphore>,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// How long a stream may say nothing to its caller.
    pub(crate) ping_interval: Duration,
    /// Who may ask how much.
    pub(crate) accounts: Arc<Accounts>,
    /// The other replicas, where there may be any.
    pub(crate) replicas: Option<Arc<Replicas>>,
    /// Answers that are kept, where any are.
    pub(crate) cache: Option<Arc<Cache>>,
    /// The rules by which requests wait for a person, where there are any.
    pub(crate) holds: Option<Rules>,
    /// Where they wait.
    pub(crate) desk: Arc<Desk>,
    /// What happens when a stream's second answer differs from its first, by the model's name.
    pub(crate) on_divergence: BTreeMap<String, OnDivergence>,
}

impl Shared {
    /// Lets the metrics show this: it comes into force.
    pub(crate) fn show(&self) {
        let providers = self.registry.all().iter().cloned().zip(self.routes.labels().iter().cloned());
        self.metrics.watch(providers.collect(), self.cache.as_ref());
    }

    /// What is learnt about the model of `target`.
    fn live(&self, target: &Target) -> Arc<ModelLive> {
        self.listed.live(&self.registry, target)
    }

    /// What happens when a stream of `model` is answered anew, and otherwise.
    fn on_divergence(&self, model: &str) -> OnDivergence {
        self.on_divergence.get(model).copied().unwrap_or_default()
    }
}

/// One request's way to the providers, under the configuration that it began with.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// What all workers share.
    pub(crate) shared: Arc<Shared>,
    /// In registry order; none for a provider that is not asked.
    http: Rc<[Option<Client>]>,
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
    /// What it asks of the gateway.
    pub(crate) wishes: &'a Wishes,
    /// When it came in.
    pub(crate) started: Instant,
    /// Who pays: every provider call reports to it.
    pub(crate) bill: &'a Bill,
    /// Its dealings with the cache.
    pub(crate) passage: &'a Passage,
    /// A person's, which is taken before anybody is asked; none where no rule holds the request.
    pub(crate) approval: Option<&'a Approval>,
}

impl Call<'_> {
    /// What is left until nobody waits for the beginning of the answer any more.
    fn left(&self) -> Duration {
        self.wishes.begins_by().map_or(Duration::MAX, |deadline| deadline.remaining())
    }

    /// The targets that may be asked.
    fn targets(&self) -> &[Target] {
        let allowed = if self.wishes.fallback { self.targets.len() } else { 1 };
        self.targets.get(..allowed).unwrap_or(self.targets)
    }
}

/// A provider's whole answer.
#[derive(Debug)]
pub(crate) struct Completed<T> {
    /// The answer: as it came where the provider speaks the caller's wire, else as a chat completion.
    pub(crate) body: Bytes,
    /// Whether the body is in the caller's own wire already, though that is not the pivot.
    pub(crate) is_native: bool,
    /// What was read of it.
    pub(crate) read: Read<T>,
    /// Its `x-request-id`.
    pub(crate) request_id: Option<String>,
    /// What it has cost, where its provider does not say and this request asked it.
    pub(crate) estimate: Option<Usage>,
}

impl Gateway {
    /// One worker's gateway, with clients of its own. Those of `before` whose provider is still there are kept, and
    /// their connections with them.
    ///
    /// # Errors
    /// When a provider's address cannot be called.
    fn new(shared: Arc<Shared>, before: Option<&Self>) -> Result<Self, InvalidAddress> {
        let kept = before.map(|before| (&before.shared.registry, &*before.http));
        let http = shared.registry.clients(kept)?.into();
        Ok(Self { shared, http })
    }

    /// Another handle to the same one.
    fn handle(&self) -> Self {
        Self { shared: self.shared.clone(), http: self.http.clone() }
    }

    /// `targets`, which were found for `model`, as far as they `can`, in the order in which this request for an answer
    /// of this form asks them.
    pub(crate) fn arrange(
        &self,
        model: &str,
        form: Form,
        targets: Arc<[Target]>,
        asker: &Asker<'_>,
        can: &dyn Fn(&Target) -> bool,
    ) -> Arc<[Target]> {
        let cost = |target: &Target| {
            let live = self.shared.live(target);
            // One that is not asked at all is the slowest.
            if live.breaker.snapshot().retry_after.is_some() { Duration::MAX } else { live.cost(form) }
        };
        self.shared.routes.arrange(model, targets, asker, can, rand::random::<f64>, cost)
    }

    /// The first whole answer of a provider that `read` makes sense of, which sees it in the pivot.
    async fn ask<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&[u8]) -> Option<Read<T>>,
    ) -> Result<Answered<Completed<T>>, Unanswered> {
        let result = first_answer(call.targets(), call.wishes.begins_by(), self.retries(), async |target, turn| {
            let mut attempt = self.begin(call, target, turn).await?;
            let wire = self.shared.registry.get(target.provider).wire_for(call.request);
            let mut request = self.request(call, target, &attempt);
            if let Some(approval) = call.approval.filter(|_| request.is_ok()) {
                request = taken(approval, call.left()).await.and(request);
            }
            let came = {
                let answer = pin!(async {
                    let response = exchange::send(request?, wire, |is_sent| attempt.sent(is_sent)).await?;
                    let request_id = exchange::request_id(&response);
                    let body = exchange::body(response, call.request.operation.answer_limit()).await?;
                    let completion = match call.request.operation {
                        Operation::Embeddings => exchange::embeddings(&body, wire, call.request, &target.model),
                        Operation::Chat | Operation::TextCompletion => exchange::completion(&body, wire),
                    };
                    let wrong = |failure| exchange::wrong(&body, wire, request_id.as_deref(), failure);
                    Ok((completion.map_err(wrong)?, body, request_id))
                });
                attempt.bounded(self.limits(call, target).answer, call.left(), answer).await
            };
            let completed = came.and_then(|(completion, body, request_id)| {
                let read = usable(&mut attempt, &completion, read(&completion))
                    .map_err(|failure| exchange::wrong(&body, wire, request_id.as_deref(), failure))?;
                let completion = match call.request.operation {
                    // A translated answer is to say what was spent, if only about.
                    Operation::Embeddings if wire != Wire::OpenAi && read.usage.is_none() => {
                        answer::with_usage(&completion, call.bill.prompt_tokens(None)).unwrap_or(completion)
                    }
                    _ => completion,
                };
                let is_native = wire != Wire::OpenAi && wire == call.request.wire;
                let body = if is_native { body } else { completion };
                Ok(Completed { body, is_native, read, request_id, estimate: None })
            });
            match completed {
                Ok(mut completed) => {
                    completed.estimate = attempt.estimate().map(Usage::from);
                    attempt.answered();
                    Ok(completed)
                }
                Err(mut failure) => {
                    attempt.failed(&mut failure);
                    Err(failure)
                }
            }
        });
        let result = result.await;
        self.note(call, &result);
        result
    }

    /// The first stream of a provider whose answer has begun. The targets after the one that began it finish it if it
    /// breaks.
    async fn ask_stream(&self, call: &Call<'_>) -> Result<Answered<ChatStream>, Unanswered> {
        let result = first_answer(call.targets(), call.wishes.begins_by(), self.retries(), async |target, turn| {
            self.open(call, target, turn, call.request.wire).await
        });
        let result = result.await;
        self.note(call, &result);
        let Answered { answer: (mut opened, attempt), tried } = result?;
        let rescue = Rescue::plan(self, call, &tried, &mut opened);
        let answer = ChatStream::begin(opened, attempt, rescue, self.shared.metrics.stream());
        Ok(Answered { answer, tried })
    }

    /// Asks one target for a stream that is read in the wire `to` or in the pivot, and waits for its answer to begin.
    async fn open(
        &self,
        call: &Call<'_>,
        target: &Target,
        turn: Turn,
        to: Wire,
    ) -> Result<(stream::Opened, Attempt), Failure> {
        let mut attempt = self.begin(call, target, turn).await?;
        let wire = self.shared.registry.get(target.provider).wire_for(call.request);
        let limits = self.limits(call, target);
        let mut request = self.request(call, target, &attempt);
        if let Some(approval) = call.approval.filter(|_| request.is_ok()) {
            request = taken(approval, call.left()).await.and(request);
        }
        let first = call.wishes.first.unwrap_or(Duration::MAX).min(call.left());
        let opened = {
            let opened = pin!(async {
                let response = exchange::send(request?, wire, |is_sent| attempt.sent(is_sent)).await?;
                let translation = stream::Translation::new(wire, to);
                let keeps_written = Vocabulary::of(&target.model).is_some();
                stream::Opened::read(response, call.request.choices, limits, translation, keeps_written).await
            });
            attempt.bounded(limits.first, first, opened).await
        };
        match opened {
            Ok(mut opened) => {
                if let Some(whole) = call.wishes.whole {
                    opened.ends_by(whole);
                }
                attempt.described(opened.first_chunk());
                Ok((opened, attempt))
            }
            Err(mut failure) => {
                attempt.failed(&mut failure);
                Err(failure)
            }
        }
    }

    fn retries(&self) -> Retries<'_, impl Fn(&Target, &Failure) -> bool, impl Fn() -> f64> {
        let budget = |target: &Target, failure: &Failure| {
            let provider = self.shared.registry.get(target.provider);
            let granted = provider.live.retries.try_retry();
            let reason = if granted { failure.outcome.name() } else { "no_budget".into() };
            self.shared.metrics.retry(&provider.name, &reason);
            granted
        };
        Retries { policy: &self.shared.retries, budget, jitter: rand::random::<f64> }
    }

    fn limits(&self, call: &Call<'_>, target: &Target) -> Limits {
        self.shared.registry.get(target.provider).limits.within(call.wishes)
    }

    async fn begin(&self, call: &Call<'_>, target: &Target, turn: Turn) -> Result<Attempt, Failure> {
        Attempt::begin(self.shared.clone(), target.clone(), call, turn).await
    }

    fn request(&self, call: &Call<'_>, target: &Target, attempt: &Attempt) -> Result<Request, Failure> {
        let provider = self.shared.registry.get(target.provider);
        let http = self.client(target.provider)?;
        let request = provider.chat(http, call.request, &target.model, attempt.key());
        let request = request.map_err(Failure::untranslatable)?;
        let request = request.connect_within(call.wishes.connect);
        Ok(vx11_chassis::client::propagate(request, call.context, attempt.trace()))
    }

    /// The client of the provider at `index`.
    fn client(&self, index: usize) -> Result<&Client, Failure> {
        let client = self.http.get(index).and_then(Option::as_ref);
        client.ok_or_else(|| Failure::new(Outcome::MissingApiKey, "it is not asked"))
    }

    /// Counts what the way to the answer's head took of the gateway itself, and whether a fallback answered.
    fn note<A>(&self, call: &Call<'_>, result: &Result<Answered<A>, Unanswered>) {
        let tried = match result {
            Ok(answered) => &answered.tried,
            Err(unanswered) => &unanswered.tried,
        };
        self.shared.metrics.overhead(call.started.elapsed().saturating_sub(time_of(tried)));
        if let (Ok(_), [first, .., last]) = (result, tried.as_slice())
            && first.target != last.target
        {
            let target = &call.targets[last.target];
            let provider = &self.shared.registry.get(target.provider).name;
            let reason = first.outcome.name();
            self.shared.metrics.fallback(&reason);
            tracing::info!(provider, model = &*target.label, fallback_reason = &*reason, "a fallback answered");
        }
    }
}

/// Takes the approval of a request that is about to be sent, and for whose answer there is so much time `left`. In a
/// box: who was not held carries nothing of it.
fn taken(approval: &Approval, left: Duration) -> LocalBoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        let untaken = || Failure::new(Outcome::Unapproved, "its approval could not be taken");
        approval.take(left).await.then_some(()).ok_or_else(untaken)
    })
}

/// What its caller has `read` of a provider's whole answer, once it is noted what that has cost.
fn usable<T>(attempt: &mut Attempt, completion: &Bytes, read: Option<Read<T>>) -> Result<Read<T>, Failure> {
    let written = || answer::written(completion);
    attempt.described(completion);
    match read {
        Some(read) => {
            attempt.spent(read.usage.map(|reported| reported.tokens), written);
            attempt.wrote(Wrote::Whole(completion.clone()));
            if read.is_given_up { Err(Failure::new(Outcome::AnswerCut, "the provider gave it up")) } else { Ok(read) }
        }
        None => match answer::check(completion) {
            // An answer that cannot be said in the caller's wire is paid for, and no proof that the provider is ill.
            Some(checked) => {
                attempt.spent(checked.usage.map(|reported| reported.tokens), written);
                attempt.wrote(Wrote::Whole(completion.clone()));
                let failure = Failure::new(Outcome::InvalidAnswer, "not in the words of the caller's wire");
                Err(Failure { health: Health::Unknown, ..failure })
            }
            None => Err(Failure::new(Outcome::InvalidAnswer, "not what was asked for")),
        },
    }
}
