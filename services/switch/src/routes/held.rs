//! Requests that a rule holds for a person: asked, waited for, answered 202 meanwhile, and let go on once approved.

mod asking;
mod pass;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};
use tokio::time::Instant;
use vx11_chassis::auth::Refusal;
use vx11_chassis::{ApiError, RequestContext, header_names};
use vx11_contracts::ErrorCode;
use vx11_contracts::intervention::{Held, HeldStatus};

use super::billing::expected_cost;
use super::way::pinned_provider;
use crate::accounts::Caller;
use crate::config::LONGEST_WAIT;
use crate::domain::hold::{Asker, Content, Preference, Rule, Rules, edited_body, time_to_wait};
use crate::domain::request::{BadRequest, ChatRequest};
use crate::domain::routing::Target;
use crate::domain::wishes::Wishes;
use crate::gateway::Gateway;
use crate::hold::{Approval, Decided, Desk, Ended, Place, Ticket};
pub(super) use pass::Pass;
use pass::used;

/// When it makes sense to come again, in seconds.
const COME_AGAIN: u64 = 5;

/// A request, as rules look at it.
pub(super) struct Touched<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) http: &'a HttpRequest,
    pub(super) caller: &'a Caller,
    pub(super) context: &'a RequestContext,
    pub(super) wishes: &'a Wishes,
    pub(super) request: &'a ChatRequest,
    pub(super) targets: &'a [Target],
    pub(super) tag: &'a dyn Fn(&str) -> Option<String>,
    pub(super) content: &'a dyn Fn() -> Result<Content, BadRequest>,
}

/// In which words a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    OpenAi,
    Responses,
    Anthropic,
    /// `/switch/chat`.
    Switch,
}

/// A request that a rule holds, and what is asked, as the gateway understands it.
pub(super) struct Holding {
    stay: Stay,
    /// Read, it is many times as large as its text: it is dropped before the wait.
    body: Map<String, Value>,
}

impl Holding {
    /// What `rule` holds: a request that is answered in this `shape`, with this `body`, of which so many `bytes` wait.
    pub(super) fn new(
        touched: &Touched<'_>,
        rule: Arc<Rule>,
        shape: Shape,
        body: Map<String, Value>,
        bytes: usize,
    ) -> Self {
        let Touched { gateway, http, context, wishes, request, .. } = *touched;
        let stay = Stay {
            rule,
            shape,
            stream: request.stream,
            said_stream: body.get("stream").cloned(),
            bytes,
            beside: request.headers.iter().map(|(name, said)| format!("{name}: {said}")).collect(),
            pinned: pinned_provider(http).map(str::to_owned),
            model: request.model.clone(),
            wishes: *wishes,
            context: context.clone(),
            http: http.clone(),
            desk: gateway.shared.desk.clone(),
            ping_interval: gateway.shared.ping_interval,
        };
        Self { stay, body }
    }
}

/// A request that a rule holds.
pub(super) struct Stay {
    rule: Arc<Rule>,
    shape: Shape,
    stream: bool,
    /// The same as its body says it.
    said_stream: Option<Value>,
    /// Bytes that its body keeps while it waits.
    bytes: usize,
    /// What else is asked.
    beside: Vec<String>,
    pinned: Option<String>,
    model: String,
    wishes: Wishes,
    context: RequestContext,
    http: HttpRequest,
    desk: Arc<Desk>,
    ping_interval: Duration,
}

/// Answers a request that was approved.
pub(super) type GoOn = Box<dyn FnOnce(Pass) -> LocalBoxFuture<'static, Result<HttpResponse, ApiError>>>;

/// The rule that holds a request, which may have a `pass` already.
///
/// # Errors
/// When it cannot be read; or its approval does not suffice: an edit has made something of it, or the rules in force by
/// now, that is not for those who approved it to decide.
pub(super) fn rule(rules: &Rules, touched: &Touched<'_>, pass: Option<&Pass>) -> Result<Option<Arc<Rule>>, ApiError> {
    let Touched { gateway, http, caller, request, targets, tag, content, .. } = touched;
    if !caller.may_use(&request.model) {
        return Ok(None);
    }
    let asker = Asker {
        org: caller.org(|| header(http, &header_names::ORG)),
        key: caller.key(),
        any_model: &|fits| fits(&request.model) || targets.iter().any(|target| fits(&target.model)),
        tag: *tag,
        cost: &|| expected_cost(gateway, request, targets),
        content: *content,
    };
    let Some(rule) = rules.find(&asker)? else { return Ok(None) };
    let Some(pass) = pass else { return Ok(Some(rule.clone())) };
    let to_whom = if rule.terms.required_role > pass.approval.role() {
        format!("the role {}", rule.terms.required_role)
    } else if asking::deciding_org(rule, http) != asking::deciding_org(&pass.rule, http) {
        "other pilots".to_owned()
    } else {
        return Ok(None);
    };
    let became = if pass.edited.is_some() { "was edited into" } else { "was approved as" };
    let (id, rule) = (pass.approval.id(), &rule.name);
    let detail = format!("{id} {became} a request that the rule `{rule}` leaves to {to_whom}");
    Err(ApiError::new(ErrorCode::HeldRejected, detail))
}

/// The gateway in force, for a request whose key is still good, and whose that is.
pub(super) async fn current(http: &HttpRequest) -> Result<(Gateway, Caller), ApiError> {
    let gateway = Gateway::extract(http).await?;
    let caller = gateway.shared.accounts.current(http).await.map_err(|refusal| match refusal {
        Refusal::Unavailable => refusal.into(),
        Refusal::Invalid | Refusal::Expired => {
            ApiError::new(ErrorCode::InvalidToken, "the key was withdrawn while the request was held")
        }
    })?;
    caller.clone().put(http);
    Ok((gateway, caller))
}

/// Puts a request to a person, and lets it `go_on` once it is approved.
///
/// # Errors
/// When nobody can be asked, or it is not approved.
pub(super) async fn serve(Holding { stay, body }: Holding, go_on: GoOn) -> Result<HttpResponse, ApiError> {
    let preference =
        Preference::read(stay.http.headers().get_all(header_names::PREFER).filter_map(|v| v.to_str().ok()));
    let until = stay.waits_until(preference);
    let question = stay.question(body)?;
    let caller = question.asked.caller.clone();
    let earlier = stay.comes_back_to()?;
    let mut place = None;
    if earlier.is_none() && !stay.is_named() {
        // Nobody is asked for a stream that cannot wait and would not come back.
        place = stay.place(&caller, preference, until).map_err(|full| stay.refuse(Ended::Unavailable, full))?;
    }
    let mut ticket = match earlier {
        Some(id) => stay.come_back(question, &id).await?,
        None => stay.open(question).await?,
    };
    // Who comes back may be answered at once, and needs no place for that.
    let mut decided = ticket.decided(Instant::now()).await;
    if decided == Decided::Pending && place.is_none() {
        place = stay.place(&caller, preference, until).inspect_err(|_| ticket.ended(Ended::Unavailable))?;
    }
    if place.is_none() || preference.is_async {
        ticket.stay();
    }
    if decided == Decided::Pending && place.is_some() {
        if stay.stream {
            return Ok(stream::respond(stay, ticket, until, place, go_on));
        }
        decided = ticket.decided(until).await;
    }
    drop(place);
    if decided == Decided::Pending {
        let held = stay.pending(&mut ticket);
        if stay.shape == Shape::Switch && stay.stream {
            return Ok(stream::held_frame(&held));
        }
        return Ok(accepted(&held, preference.applied().as_deref()));
    }
    stay.conclude(ticket, decided, go_on).await
}

impl Stay {
    /// Until when its caller waits. Of `/switch/chat` that is a service with limits of its own, which is answered at
    /// once unless it says otherwise.
    fn waits_until(&self, preference: Preference) -> Instant {
        let otherwise = if self.shape == Shape::Switch { 0 } else { self.rule.terms.wait_seconds };
        let wait = Duration::from_secs(preference.seconds(otherwise).min(LONGEST_WAIT));
        let left = self.wishes.begins_by().map(|deadline| deadline.remaining());
        Instant::now() + left.map_or(wait, |left| wait.min(time_to_wait(left)))
    }

    /// Its place among those that wait `until` then; `None` where it is answered 202 at once.
    ///
    /// # Errors
    /// When there is none for a stream, which is not answered 202 unless that is preferred.
    fn place(&self, caller: &str, preference: Preference, until: Instant) -> Result<Option<Place>, ApiError> {
        if until <= Instant::now() {
            return Ok(None);
        }
        let place = self.desk.place(caller, self.bytes);
        if place.is_none() && self.stream && !preference.is_async {
            let detail = "as many requests wait for a person as may; `Prefer: respond-async` waits elsewhere";
            return Err(ApiError::new(ErrorCode::HoldUnavailable, detail).with_retry_after(COME_AGAIN));
        }
        Ok(place)
    }

    /// What the caller is told while nobody has decided.
    pub(super) fn pending(&self, ticket: &mut Ticket) -> Held {
        ticket.ended(Ended::Pending);
        let intervention = ticket.intervention();
        let detail = format!(
            "the rule `{}` holds the request for a person; the same request with the header {}: {} goes on once it is approved",
            self.rule.name,
            header_names::INTERVENTION,
            intervention.id,
        );
        let correlation_id = self.context.correlation_id.to_string();
        Held {
            status: HeldStatus::Held,
            detail,
            intervention,
            retry_after: COME_AGAIN,
            correlation_id,
            session_id: None,
        }
    }

    /// Goes on with what was decided.
    ///
    /// # Errors
    /// When it was not approved.
    pub(super) async fn conclude(
        self,
        mut ticket: Ticket,
        decided: Decided,
        go_on: GoOn,
    ) -> Result<HttpResponse, ApiError> {
        let id = ticket.id().to_owned();
        let (ended, error) = match decided {
            Decided::Approved(args) => {
                let edited = args.map(|args| Bytes::from(edited_body(args, self.said_stream.as_ref())));
                let approval = Approval::new(ticket, edited.is_some());
                let pass = Pass { approval, rule: self.rule, edited, wishes: self.wishes };
                let mut response = go_on(pass).await?;
                if let Ok(id) = HeaderValue::from_str(&id) {
                    response.headers_mut().insert(header_names::INTERVENTION, id);
                }
                return Ok(response);
            }
            Decided::Rejected(why) => {
                let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                let detail = format!("a person did not approve the request ({id}){why}");
                (Ended::Rejected, ApiError::new(ErrorCode::HeldRejected, detail))
            }
            Decided::Expired => {
                let detail = format!("nobody decided on the request in time ({id})");
                (Ended::Expired, ApiError::new(ErrorCode::HeldExpired, detail))
            }
            Decided::Pending => {
                let detail = format!("the request still waits for a person ({id})");
                (Ended::Pending, ApiError::new(ErrorCode::HeldPending, detail).with_retry_after(COME_AGAIN))
            }
            Decided::Used => (Ended::Mismatched, used(&id)),
            Decided::Other => {
                let detail = format!("{id} holds another request than this one, or was asked of a lower role");
                (Ended::Mismatched, ApiError::new(ErrorCode::Conflict, detail))
            }
            Decided::Unknown => {
                let detail = format!("{} names no intervention of this caller", header_names::INTERVENTION);
                (Ended::Mismatched, ApiError::new(ErrorCode::NotFound, detail))
            }
        };
        ticket.ended(ended);
        Err(error)
    }
}

/// 202: where the request waits.
fn accepted(held: &Held, applied: Option<&str>) -> HttpResponse {
    let mut response = HttpResponse::Accepted();
    response
        .insert_header((LOCATION, held.intervention.href.as_str()))
        .insert_header((RETRY_AFTER, held.retry_after))
        .insert_header((header_names::INTERVENTION, held.intervention.id.as_str()));
    if let Some(applied) = applied {
        response.insert_header((header_names::PREFERENCE_APPLIED, applied));
    }
    response.json(held)
}

fn header<'r>(http: &'r HttpRequest, name: &HeaderName) -> Option<&'r str> {
    http.headers().get(name).and_then(|value| value.to_str().ok())
}
