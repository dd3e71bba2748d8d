//! What the handlers of `/v1` have in common: a request finds its targets, has its bill opened, and is answered in its
//! caller's wire. A handler says how the body is read, and what becomes of the answer.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::LocalBoxFuture;
use vx11_chassis::extract::Body;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::chat::Usage;

use super::billing::{open_bill, payer};
use super::held::{self, Holding, Pass, Shape, Touched};
use super::way::Way;
use super::{events, passage, refusal, targets, wishes};
use crate::accounts::{Bill, Caller};
use crate::cache::Passage;
use crate::domain::answer::Read;
use crate::domain::cost::with_own_cost;
use crate::domain::failover::{Answered, Reason, Unanswered};
use crate::domain::hold::{self, Content, Rules};
use crate::domain::request::{BadRequest, ChatRequest};
use crate::domain::routing::Target;
use crate::domain::wishes::Wishes;
use crate::gateway::{AnswerStream, Call, Completed, Gateway};
use crate::wire::Wire;

/// A request that has come in, and was not read yet.
#[derive(Debug)]
pub(super) struct Arrival {
    gateway: Gateway,
    context: RequestContext,
    pub(super) http: HttpRequest,
    caller: Caller,
    pub(super) body: Bytes,
    started: Instant,
    /// What lets it pass the rules that hold requests for a person.
    pass: Option<Box<Pass>>,
}

/// Why an arrival does not become an order, or not yet.
pub(super) enum Stop {
    /// It is refused.
    Refused(ApiError),
    /// A person looks at it first.
    Held(Box<Waiting>),
}

/// An arrival that waits for a person.
pub(super) struct Waiting {
    holding: Holding,
    arrival: Arrival,
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<BadRequest> for Stop {
    fn from(bad: BadRequest) -> Self {
        Self::Refused(bad.into())
    }
}

/// A request that may be made.
#[derive(Debug)]
pub(super) struct Order {
    gateway: Gateway,
    context: RequestContext,
    request: ChatRequest,
    targets: Arc<[Target]>,
    wishes: Wishes,
    started: Instant,
    bill: Bill,
    passage: Passage,
    pass: Option<Box<Pass>>,
    /// Whether a rule would hold it, so that nothing of it may leave.
    is_held: bool,
}

impl FromRequest for Arrival {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(http: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let parts = <(Gateway, RequestContext, HttpRequest, Body)>::from_request(http, payload);
        Box::pin(async move {
            let (gateway, context, http, Body(body)) = parts.await?;
            let caller = Caller::of(&http);
            Ok(Self { gateway, context, http, caller, body, started: Instant::now(), pass: None })
        })
    }
}

impl Arrival {
    /// What `answer` answers, at once or once a person has approved it.
    ///
    /// # Errors
    /// As `answer`, and where a person does not approve.
    pub(super) async fn serve<A>(self, answer: impl Fn(Self) -> A + 'static) -> Result<HttpResponse, ApiError>
    where
        A: Future<Output = Result<HttpResponse, Stop>> + 'static,
    {
        match answer(self).await {
            Ok(response) => Ok(response),
            Err(Stop::Refused(error)) => Err(error),
            Err(Stop::Held(waiting)) => {
                let Waiting { holding, arrival } = *waiting;
                let go_on = move |pass| Box::pin(arrival.go_on(pass, answer)) as LocalBoxFuture<'static, _>;
                // In a box: who is not held carries nothing of it.
                Box::pin(held::serve(holding, Box::new(go_on))).await
            }
        }
    }

    /// Answers what was approved, under the configuration and the keys that are in force by now.
    async fn go_on<A>(self, pass: Pass, answer: impl Fn(Self) -> A) -> Result<HttpResponse, ApiError>
    where
        A: Future<Output = Result<HttpResponse, Stop>>,
    {
        let (gateway, caller) = held::current(&self.http).await?;
        let body = pass.edited.as_ref().map_or(self.body, |edited| edited.clone());
        let arrival = Self { gateway, caller, body, started: Instant::now(), pass: Some(Box::new(pass)), ..self };
        match answer(arrival).await {
            Ok(response) => Ok(response),
            Err(Stop::Refused(error)) => Err(error),
            Err(Stop::Held(_)) => Err(ApiError::internal("a request was held twice")),
        }
    }

    /// Finds out where `request`, which was read from the body, may go, and opens its bill.
    ///
    /// # Errors
    /// When a header is wrong, the model leads nowhere, or the caller may not ask for it; or where a rule holds it.
    pub(super) async fn order(self, mut request: ChatRequest) -> Result<Order, Stop> {
        let wishes = self.wishes(&mut request)?;
        let payer = payer(&self.gateway, &self.http, &self.caller).await?;
        let targets = targets::find(&self.gateway, &self.http, &self.caller, &payer, &request)?;
        if let Some(rules) = &self.gateway.shared.holds
            && let Some(holding) = self.held(rules, &request, &targets, &wishes)?
        {
            return Err(Stop::Held(Box::new(Waiting { holding, arrival: self })));
        }
        Ok(self.place(request, targets, wishes, payer).await?)
    }

    /// The same for what asks no model anything: nobody looks at it, and where a rule would hold it nobody hears of it.
    pub(super) async fn order_of_nothing(self, mut request: ChatRequest) -> Result<Order, ApiError> {
        let wishes = self.wishes(&mut request)?;
        let payer = payer(&self.gateway, &self.http, &self.caller).await?;
        let targets = targets::find(&self.gateway, &self.http, &self.caller, &payer, &request)?;
        let is_held = match &self.gateway.shared.holds {
            Some(rules) => self.held(rules, &request, &targets, &wishes)?.is_some(),
            None => false,
        };
        // Nothing is written.
        request.max_output = Some(0);
        Ok(Order { is_held, ..self.place(request, targets, wishes, payer).await? })
    }

    /// What the request asks of the gateway, and its model where a header names one.
    fn wishes(&self, request: &mut ChatRequest) -> Result<Wishes, ApiError> {
        match &self.pass {
            // The time that it waited is its caller's.
            Some(pass) => {
                if pass.edited.is_none() {
                    wishes::reroute(&self.http, request)?;
                }
                Ok(pass.wishes)
            }
            None => {
                let wishes = wishes::read(&self.http, &self.context, &self.caller)?;
                wishes::reroute(&self.http, request)?;
                Ok(wishes)
            }
        }
    }

    async fn place(
        self,
        request: ChatRequest,
        targets: Arc<[Target]>,
        wishes: Wishes,
        payer: Caller,
    ) -> Result<Order, ApiError> {
        let Self { gateway, context, http, caller, started, pass, .. } = self;
        let request = in_its_words(&gateway, request, &targets);
        let passage = match &pass {
            None => passage::read(&gateway, &http, &caller, &request, &targets, &wishes)?,
            // An approval is for one call of this request's own.
            Some(_) => Passage::bypass(),
        };
        let held_by = pass.as_ref().map(|pass| pass.approval.id());
        let bill = open_bill(&gateway, payer, &context, &request, &targets, &passage, started, held_by).await?;
        Ok(Order { gateway, context, request, targets, wishes, started, bill, passage, pass, is_held: false })
    }

    /// How it waits, where one of the `rules` holds it.
    fn held(
        &self,
        rules: &Rules,
        request: &ChatRequest,
        targets: &[Target],
        wishes: &Wishes,
    ) -> Result<Option<Holding>, ApiError> {
        // Where a rule looks into it, it is read for that, and not once more for the person.
        let (tags, read) = (request.tags(), Cell::new(None));
        let content = || {
            let body = hold::parse(&self.body)?;
            let content = Content::of(&body);
            read.set(Some(body));
            Ok(content)
        };
        let touched = Touched {
            gateway: &self.gateway,
            http: &self.http,
            caller: &self.caller,
            context: &self.context,
            wishes,
            request,
            targets,
            tag: &|name| tags.get(name),
            content: &content,
        };
        let Some(rule) = held::rule(rules, &touched, self.pass.as_deref())? else { return Ok(None) };
        let mut body = match read.take() {
            Some(body) => body,
            None => hold::parse(&self.body)?,
        };
        body.insert("model".to_owned(), request.model.as_str().into());
        let shape = match request.wire {
            Wire::Anthropic => Shape::Anthropic,
            Wire::Responses => Shape::Responses,
            Wire::OpenAi | Wire::Gemini => Shape::OpenAi,
        };
        Ok(Some(Holding::new(&touched, rule, shape, body, self.body.len())))
    }
}

/// `request` as `targets` are asked for it: a response that all of them write as a chat is one from here on, and shares
/// with chats what is kept.
fn in_its_words(gateway: &Gateway, request: ChatRequest, targets: &[Target]) -> ChatRequest {
    let speaks = |target: &Target| gateway.shared.registry.get(target.provider).speaks(&request);
    if request.wire != Wire::Responses || targets.iter().any(speaks) { request } else { request.into_chat() }
}

impl Order {
    pub(super) fn request(&self) -> &ChatRequest {
        &self.request
    }

    /// Sends a copy to the model's shadow target, where it has one; not of a request that nobody else is asked, nor of
    /// one that was approved for one call.
    pub(super) fn cast_shadow(&self) {
        if !self.passage.is_kept() && self.pass.is_none() {
            self.gateway.cast_shadow(&self.call(), &self.request.model);
        }
    }

    /// What the answer has cost, in tokens, where nobody says: so many are `written` in it, about.
    pub(super) fn estimate(&self, written: u64) -> Usage {
        self.bill.estimate(None, written).into()
    }

    /// The answer that `read` makes sense of, as the body that `write` makes of it.
    pub(super) async fn whole<T: 'static>(
        &self,
        read: impl Fn(&[u8]) -> Option<Read<T>> + Copy + 'static,
        write: impl FnOnce(Completed<T>) -> Result<Bytes, ApiError>,
    ) -> Result<HttpResponse, ApiError> {
        match self.gateway.complete(&self.call(), read).await {
            Ok(Answered { mut answer, tried }) => {
                let request_id = answer.request_id.take();
                let has_cost = answer.read.usage.is_some_and(|reported| reported.has_cost);
                let body = write(answer)?;
                // As in a stream: what the provider was paid is not what the caller pays.
                let body = if has_cost { with_own_cost(&body, self.bill.cost()) } else { body };
                Ok(Way::of(&self.gateway, &self.call(), &tried).whole(request_id.as_deref(), body))
            }
            Err(unanswered) => self.unanswered(&unanswered),
        }
    }

    /// The answer as a stream of `events`, once its answer has begun; the bill tells at its end what it has cost.
    pub(super) async fn stream<E>(&self, events: impl FnOnce(AnswerStream, Bill) -> E) -> Result<HttpResponse, ApiError>
    where
        E: Stream<Item = Result<Bytes, Infallible>> + 'static,
    {
        match self.gateway.stream(&self.call()).await {
            Ok(Answered { answer, tried }) => {
                let request_id = answer.request_id().map(str::to_owned);
                let way = Way::of(&self.gateway, &self.call(), &tried);
                Ok(events::respond(way, request_id.as_deref(), events(answer, self.bill.clone())))
            }
            Err(unanswered) => self.unanswered(&unanswered),
        }
    }

    /// The tokens of the prompt.
    pub(super) async fn count_tokens(&self) -> Result<u64, Unanswered> {
        if self.is_held {
            return Ok(Gateway::count_tokens_alone(&self.call()).await);
        }
        let counted = self.gateway.count_tokens(&self.call()).await;
        counted.map_err(|refusal| Unanswered { tried: Vec::new(), reason: Reason::Refused(refusal) })
    }

    /// Nobody answered; or nobody was asked, as the approval could not be taken.
    fn unanswered(&self, unanswered: &Unanswered) -> Result<HttpResponse, ApiError> {
        match self.pass.as_ref().and_then(|pass| pass.untaken()) {
            Some(error) => Err(error),
            None => Ok(self.refuse(unanswered)),
        }
    }

    /// Nobody answered.
    pub(super) fn refuse(&self, unanswered: &Unanswered) -> HttpResponse {
        let way = Way::of(&self.gateway, &self.call(), &unanswered.tried);
        refusal::in_wire(self.request.wire, &unanswered.reason, way)
    }

    fn call(&self) -> Call<'_> {
        let Self { request, targets, context, wishes, started, bill, passage, pass, .. } = self;
        let approval = pass.as_ref().map(|pass| &pass.approval);
        Call { request, targets, context, wishes, started: *started, bill, passage, approval }
    }
}
