//! One held request and its intervention, from the question to the decision that is taken.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;
use vx11_chassis::RequestContext;
use vx11_chassis::client::CallError;
use vx11_contracts::identity::OrgId;
use vx11_contracts::intervention::{
    CreateAction, CreateIntervention, DESCRIPTION_CHARS, DecisionKind, HeldIntervention, Intervention, Role,
    TITLE_CHARS,
};

use super::desk::{Desk, OrgDesk, Refused};
use super::metrics::Ended;
use crate::domain::hold::{Asked, KIND, Rule, Shown, Standing, standing};

/// Longest single wait at the operator: it answers even if nothing happens.
const ONE_WAIT: u64 = 20;
/// How long an operator that does not answer is left alone while a caller waits.
const PAUSE: Duration = Duration::from_millis(500);

/// A request as it is put to a person.
#[derive(Debug)]
pub(crate) struct Question {
    /// What a decision is bound to.
    pub(crate) asked: Asked,
    /// Who asks, where the operator knows it: it does not decide.
    pub(crate) subject: Option<String>,
    /// What a pilot is shown.
    pub(crate) shown: Shown,
    /// The address that it came to.
    pub(crate) path: String,
    /// The model that it asks for.
    pub(crate) model: String,
    /// The organisation whose pilots decide; the platform's where it is none.
    pub(crate) org: Option<OrgId>,
}

/// A held request.
#[derive(Debug)]
pub(crate) struct Ticket {
    asked: Asked,
    /// Without what the pilot is shown of the request.
    found: Intervention,
    visit: Visit,
}

/// A caller's visit to the desk. Dropped before it is over, it says that the caller went away: what serves a request is
/// dropped with its connection.
#[derive(Debug)]
struct Visit {
    desk: Arc<Desk>,
    at: OrgDesk,
    context: RequestContext,
    rule: Arc<Rule>,
    id: String,
    /// Whether the intervention goes with its caller: nobody else would use it.
    withdraws: bool,
    is_over: bool,
}

/// What was decided.
#[derive(Debug, PartialEq)]
pub(crate) enum Decided {
    /// It may go on, with these arguments where they were edited.
    Approved(Option<Map<String, Value>>),
    /// It must not; why.
    Rejected(String),
    /// Nobody decided in time.
    Expired,
    /// The wait is over, and nobody has decided yet.
    Pending,
    /// The approval was used before.
    Used,
    /// The intervention is for another request.
    Other,
    /// There is none for this caller.
    Unknown,
}

impl Ticket {
    /// Asks a person. With a `name` the same question is asked once, however often it comes.
    ///
    /// # Errors
    /// When it is not asked.
    pub(crate) async fn open(
        desk: Arc<Desk>,
        rule: Arc<Rule>,
        question: Question,
        name: Option<String>,
        context: RequestContext,
    ) -> Result<Option<Self>, Refused> {
        let at = desk.of(question.org.as_ref());
        let withdraws = name.is_none();
        let id = format!("hold:{}", name.unwrap_or_else(|| Uuid::now_v7().simple().to_string()));
        let create = create(id.clone(), &rule, &question);
        // Before it is asked: its caller may leave while it is.
        let mut visit = Visit { desk, at, context, rule, id, withdraws, is_over: false };
        let found = match visit.at.open(&create, &visit.context).await {
            Ok(opened) => Ok(Some(opened)),
            // It was asked before, or the answer to the same call was lost.
            Err(Refused::Exists) => visit.at.find(&visit.id, &visit.context).await.map_err(Refused::Away),
            Err(refused) => Err(refused),
        };
        match found {
            Ok(Some(found)) => {
                tracing::info!(rule = &*visit.rule.name, intervention = visit.id, "a request is held for a person");
                Ok(Some(Self::new(question.asked, found, visit)))
            }
            // It may have been asked all the same, where no answer came.
            found => {
                visit.is_over = true;
                visit.withdraws &= matches!(found, Err(Refused::Away(_)));
                found.map(|_| None)
            }
        }
    }

    /// Comes back to the intervention `id`; `None` where there is none.
    ///
    /// # Errors
    /// When the operator does not answer.
    pub(crate) async fn come_back(
        desk: Arc<Desk>,
        rule: Arc<Rule>,
        question: Question,
        id: &str,
        context: RequestContext,
    ) -> Result<Option<Self>, CallError> {
        let at = desk.of(question.org.as_ref());
        let mut visit = Visit { desk, at, context, rule, id: id.to_owned(), withdraws: false, is_over: false };
        let found = visit.at.find(id, &visit.context).await;
        match found {
            Ok(Some(found)) => Ok(Some(Self::new(question.asked, found, visit))),
            found => {
                visit.is_over = true;
                found.map(|_| None)
            }
        }
    }

    fn new(asked: Asked, found: Intervention, visit: Visit) -> Self {
        Self { asked, found: without_args(found), visit }
    }

    /// Lets the intervention stay when its caller leaves, who means to come back.
    pub(crate) fn stay(&mut self) {
        self.visit.withdraws = false;
    }

    /// What the caller is told of it.
    pub(crate) fn intervention(&self) -> HeldIntervention {
        HeldIntervention::from(&self.found)
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.found.request_id
    }

    /// The role that its decision needed.
    pub(crate) fn role(&self) -> Role {
        self.found.required_role
    }

    /// What was decided, by `until` at the latest. An operator that goes away meanwhile is waited for.
    pub(crate) async fn decided(&mut self, until: Instant) -> Decided {
        loop {
            let decided = match standing(&self.found, &self.asked) {
                Standing::Open => None,
                Standing::Approved { args, .. } => Some(Decided::Approved(args)),
                Standing::Rejected(why) => Some(Decided::Rejected(why)),
                Standing::Expired => Some(Decided::Expired),
                Standing::Used => Some(Decided::Used),
                Standing::Other => Some(Decided::Other),
                Standing::Foreign => Some(Decided::Unknown),
            };
            if let Some(decided) = decided {
                self.stay();
                return decided;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.visit.desk.shutdown.has_begun() {
                return Decided::Pending;
            }
            if !self.look(left).await {
                return Decided::Unknown;
            }
        }
    }

    /// Waits for news; whether the intervention is still there.
    async fn look(&mut self, left: Duration) -> bool {
        let seconds = left.as_secs_f64().ceil().clamp(1.0, ONE_WAIT as f64) as u64;
        let (at, id, context) = (self.visit.at.clone(), self.visit.id.clone(), self.visit.context.clone());
        let news = async {
            let asked_at = Instant::now();
            match at.wait(&id, seconds, &context).await {
                Ok(found) => {
                    // One that stops answers at once, whatever it is asked.
                    let is_early = asked_at.elapsed() + PAUSE < Duration::from_secs(seconds);
                    if is_early && found.as_ref().is_some_and(|found| found.status.is_open()) {
                        tokio::time::sleep(PAUSE).await;
                    }
                    Some(found)
                }
                Err(error) => {
                    tracing::debug!(%error, "a held request waits for the operator");
                    tokio::time::sleep(PAUSE).await;
                    // It may be there, and have as many that wait as it takes.
                    at.find(&id, &context).await.ok()
                }
            }
        };
        let shutdown = self.visit.desk.shutdown.clone();
        let found = tokio::select! {
            found = tokio::time::timeout(left, news) => found.ok().flatten(),
            () = shutdown.begun() => None,
        };
        match found {
            None => true,
            Some(None) => false,
            Some(Some(found)) => {
                self.found = without_args(found);
                true
            }
        }
    }

    /// Takes the approval: once, and for this request. `false`: another one has it.
    ///
    /// # Errors
    /// When the operator does not answer; whether it is taken is then not known, and nothing goes on.
    pub(crate) async fn redeem(&self) -> Result<bool, CallError> {
        let Standing::Approved { digest, .. } = standing(&self.found, &self.asked) else { return Ok(false) };
        self.visit.at.redeem(self.id(), &digest, &self.visit.context).await
    }

    /// Counts how it ended, and says so.
    pub(crate) fn ended(&mut self, ended: Ended) {
        self.visit.is_over = true;
        self.stay();
        let Visit { desk, rule, id, .. } = &self.visit;
        desk.metrics.ended(rule, ended);
        let by = self.found.decision.as_ref().map(|decision| decision.by.as_str());
        tracing::info!(rule = &*rule.name, intervention = id, by, outcome = ?ended, "a held request");
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.is_over {
            self.desk.metrics.ended(&self.rule, Ended::Left);
        }
        if !self.withdraws {
            return;
        }
        let (at, id, context) = (self.at.clone(), std::mem::take(&mut self.id), self.context.clone());
        let cancel = async move { at.cancel(&id, "its caller went away", &context).await };
        // Outside of a runtime the process is stopping, and it expires.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(cancel.in_current_span());
        }
    }
}

/// `found` without what the pilot is shown: it is many times as large as its text, and a request that waits keeps its
/// body and nothing else. By its digest an approval is taken.
fn without_args(mut found: Intervention) -> Intervention {
    if let Some(action) = &mut found.action {
        action.args = Map::new();
    }
    found
}

/// What a person is asked.
fn create(id: String, rule: &Rule, question: &Question) -> CreateIntervention {
    let Question { asked, subject, shown, path, model, .. } = question;
    let terms = &rule.terms;
    let title = terms.title.clone().unwrap_or_else(|| format!("{} asks {model}", asked.caller));
    let mut allow = terms.allow.clone();
    if !shown.is_whole {
        allow.retain(|kind| *kind != DecisionKind::Edit);
        if allow.is_empty() {
            allow = vec![DecisionKind::Approve, DecisionKind::Reject];
        }
    }
    let mut hold = json!({ "rule": *rule.name, "model": model, "path": path, "is_whole": shown.is_whole });
    if let Value::Object(facts) = &mut hold {
        facts.extend(asked.facts().map(|(name, value)| (name.to_owned(), value)));
        facts.extend(subject.iter().map(|subject| ("subject".to_owned(), subject.as_str().into())));
    }
    let description = format!("The rule `{}` holds this request to {path}. Approved, it goes on.", rule.name);
    CreateIntervention {
        request_id: Some(id),
        intervention_type: KIND.parse().unwrap_or_default(),
        priority: terms.priority,
        description: shown_text(&description, DESCRIPTION_CHARS),
        context: Map::from_iter([("hold".to_owned(), hold)]),
        expires_in_seconds: Some(terms.expires_in_seconds),
        action: Some(CreateAction { name: path.clone(), args: shown.args.clone() }),
        allow,
        required_role: terms.required_role,
        on_timeout: terms.on_timeout,
        ..CreateIntervention::new(shown_text(&title, TITLE_CHARS))
    }
}

/// The first characters of `text`, without the one that PostgreSQL has no place for.
fn shown_text(text: &str, most: usize) -> String {
    text.chars().filter(|character| *character != '\0').take(most).collect()
}
