//! How a person is asked: who asks, what is shown, and by which intervention.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use serde_json::{Map, Value};
use vx11_chassis::client::CallError;
use vx11_chassis::{ApiError, header_names};
use vx11_contracts::ErrorCode;
use vx11_contracts::identity::OrgId;
use vx11_resilience::RetryAfter;

use super::pass::away;
use super::{Shape, Stay, header};
use crate::accounts::Caller;
use crate::domain::hold::{Asked, DecidedBy, Rule, Unshowable, fingerprint, show};
use crate::hold::{Ended, Question, Refused, Ticket};

/// Names a request that is one, however often it is sent.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest id of an intervention.
const MAX_ID: usize = 128;

impl Stay {
    /// Who asks, as interventions keep it: with the shared token whom it is said to ask for.
    fn caller(&self) -> String {
        let account = match Caller::of(&self.http) {
            Caller::Internal => "internal".to_owned(),
            Caller::Key(account) => return format!("key:{}", account.key),
        };
        let said = [(":", header_names::ORG), ("/", header_names::SUBJECT)];
        let said = said.iter().filter_map(|(mark, name)| Some(format!("{mark}{}", header(&self.http, name)?)));
        std::iter::once(account).chain(said).collect()
    }

    /// The subject that asks, where the operator knows it: it decides nothing of its own.
    fn subject(&self) -> Option<String> {
        match Caller::of(&self.http) {
            Caller::Internal => header(&self.http, &header_names::SUBJECT).map(str::to_owned),
            // No key of the configuration has a colon in its name.
            Caller::Key(account) => account.key.contains(':').then(|| account.key.to_string()),
        }
    }

    /// The intervention that the caller comes back to, where it names one.
    ///
    /// # Errors
    /// When it can be none.
    pub(super) fn comes_back_to(&self) -> Result<Option<String>, ApiError> {
        let Some(id) = self.http.headers().get(header_names::INTERVENTION) else { return Ok(None) };
        let id = id.to_str().ok().filter(|id| is_id(id)).ok_or_else(|| self.unknown())?;
        Ok(Some(id.to_owned()))
    }

    /// Whether it is the same request however often it is sent.
    pub(super) fn is_named(&self) -> bool {
        self.http.headers().contains_key(IDEMPOTENCY_KEY)
    }

    /// Comes back to what was asked before.
    pub(super) async fn come_back(&self, question: Question, id: &str) -> Result<Ticket, ApiError> {
        let (desk, rule, context) = (self.desk.clone(), self.rule.clone(), self.context.clone());
        let found = Ticket::come_back(desk, rule, question, id, context).await;
        found.map_err(|error| self.away(error))?.ok_or_else(|| self.unknown())
    }

    /// Asks a person.
    pub(super) async fn open(&self, question: Question) -> Result<Ticket, ApiError> {
        let (desk, rule, context) = (self.desk.clone(), self.rule.clone(), self.context.clone());
        self.desk.count_opened(&question.asked.caller).map_err(|RetryAfter(wait)| {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            self.refuse(Ended::Refused, ApiError::rate_limited(seconds, "too many requests of this caller are held"))
        })?;
        let name = self.http.headers().get(IDEMPOTENCY_KEY);
        let name = name.map(|name| {
            let (caller, name) = (&question.asked.caller, String::from_utf8_lossy(name.as_bytes()));
            fingerprint(&[caller, &name], &Map::new())
        });
        match Ticket::open(desk, rule, question, name, context).await {
            Ok(Some(ticket)) => Ok(ticket),
            Ok(None) => Err(self.away(CallError::Schema("an intervention is there and is not".to_owned()))),
            Err(Refused::Away(error)) => Err(self.away(error)),
            Err(Refused::Exists) => Err(self.unknown()),
            Err(Refused::Invalid(why)) => {
                let detail =
                    format!("the rule `{}` holds it, and it cannot be shown to a person: {why}", self.rule.name);
                Err(self.refuse(Ended::Refused, ApiError::new(ErrorCode::InvalidField, detail)))
            }
        }
    }

    /// What a person is asked of the request with this `body`.
    ///
    /// # Errors
    /// When nobody could read it.
    pub(super) fn question(&self, body: Map<String, Value>) -> Result<Question, ApiError> {
        let caller = self.caller();
        let path = self.http.path().to_owned();
        let mut beside = vec![caller.as_str(), path.as_str(), self.pinned.as_deref().unwrap_or_default()];
        beside.extend(self.beside.iter().map(String::as_str));
        let asked = Asked {
            fingerprint: fingerprint(&beside, &body),
            role: self.rule.terms.required_role,
            caller: caller.clone(),
        };
        let shown = show(&body).map_err(|Unshowable| {
            let detail =
                format!("the rule `{}` holds it, and what is new in it is too large to show a person", self.rule.name);
            self.refuse(Ended::Refused, ApiError::new(ErrorCode::PayloadTooLarge, detail))
        })?;
        let org = deciding_org(&self.rule, &self.http);
        Ok(Question { asked, subject: self.subject(), shown, path, model: self.model.clone(), org })
    }

    fn unknown(&self) -> ApiError {
        let detail = format!("{} names no intervention of this caller", header_names::INTERVENTION);
        self.refuse(Ended::Mismatched, ApiError::new(ErrorCode::NotFound, detail))
    }

    fn away(&self, error: CallError) -> ApiError {
        self.refuse(Ended::Unavailable, away(&self.rule, error))
    }

    /// Counts a request that is not put to a person.
    pub(super) fn refuse(&self, ended: Ended, error: ApiError) -> ApiError {
        self.desk.metrics.ended(&self.rule, ended);
        // Whoever asks `/switch/chat` asks somebody else where it could not be answered: here nobody else may answer.
        match (self.shape, ended) {
            (Shape::Switch, Ended::Refused) => ApiError::new(ErrorCode::HoldUnavailable, error.detail()),
            _ => error,
        }
    }
}

/// The organisation whose pilots decide by `rule` on a request of this caller; the platform's where it is none.
pub(super) fn deciding_org(rule: &Rule, http: &HttpRequest) -> Option<OrgId> {
    match rule.terms.decided_by {
        DecidedBy::Platform => None,
        DecidedBy::Caller => Caller::of(http).org(|| header(http, &header_names::ORG)).and_then(|org| org.parse().ok()),
    }
}

/// Whether it can be one: it becomes part of an address.
fn is_id(id: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b':' | b'-');
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(fits)
}
