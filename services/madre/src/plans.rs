//! Plans that wait for a person: made here, confirmed here, run here, exactly once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;
use vx11_contracts::chat::ChatStatus;
use vx11_contracts::identity::OrgId;
use vx11_contracts::madre::Plan;
use vx11_contracts::operator::Page;
use vx11_contracts::time;
use vx11_store::StoreError;

use crate::engine::{Understanding, Work};
use crate::metrics::Metrics;
use crate::power::{Power, PowerError};
use crate::secret;
use crate::store::{Claim, NewPlan, PlanEnd, Step, Store, StoredPlan};
use crate::trail;

/// Plans on one page at most.
pub(crate) const MOST_PLANS: u32 = 100;

/// The plans. A clone is the same plans.
#[derive(Clone)]
pub(crate) struct Plans {
    store: Store,
    power: Power,
    metrics: Metrics,
    confirm_ttl: Duration,
    /// When this process began, RFC 3339 UTC.
    started_at: String,
    /// Tells that there is something to be said to the operator.
    news: Arc<Notify>,
}

/// A plan that waits, and the only copy of the token that confirms it.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) plan_id: String,
    pub(crate) confirm_token: String,
}

/// How a plan ends whose work was not begun.
#[derive(Debug)]
pub(crate) struct Undone {
    pub(crate) status: ChatStatus,
    /// How it was decided, for the session.
    pub(crate) decision: String,
    pub(crate) result: String,
}

/// Asks why a plan that runs must not go on, where that is so.
pub(crate) type Stopped = dyn Fn() -> BoxFuture<'static, Option<String>> + Send + Sync;

/// How often it is said of a plan that it runs, and after how long without that it is taken for interrupted.
const SAY_EVERY: Duration = Duration::from_secs(5);
const SILENCE: SignedDuration = SignedDuration::from_secs(30);

/// What the trail calls the two ways to let a plan run.
const BY_TOKEN: &str = "plan_confirm";
const BY_APPROVAL: &str = "plan_approve";

/// Why a plan is not confirmed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("no such plan")]
    NotFound,
    #[error("nothing is pending: the plan is {0}")]
    NotPending(&'static str),
    #[error("nothing is pending: the plan was confirmed by another request, or its time is up")]
    Lost,
    #[error("the confirmation token is not this plan's")]
    WrongToken,
    #[error("the store does not answer, and without it no plan runs")]
    Store(#[from] StoreError),
}

impl Plans {
    pub(crate) fn new(store: Store, power: Power, metrics: Metrics, confirm_ttl: Duration) -> Self {
        Self { store, power, metrics, confirm_ttl, started_at: time::now(), news: Arc::default() }
    }

    /// Told when there is something to be said to the operator.
    pub(crate) fn news(&self) -> &Notify {
        &self.news
    }

    /// Lets a plan wait for a person: the one place where that begins. It is durable when this is answered.
    pub(crate) async fn park(
        &self,
        org: &OrgId,
        understood: &Understanding,
        correlation_id: &str,
        session_id: &str,
    ) -> Result<Parked, StoreError> {
        let confirm_token = secret::mint();
        let now = Timestamp::now();
        let ttl = SignedDuration::try_from(self.confirm_ttl).unwrap_or(SignedDuration::MAX);
        let plan = Plan {
            plan_id: Uuid::new_v4().to_string(),
            org_id: org.clone(),
            correlation_id: correlation_id.to_owned(),
            session_id: session_id.to_owned(),
            intent: understood.intent.clone(),
            risk: understood.risk,
            status: ChatStatus::Waiting,
            actions: understood.steps.clone(),
            result: None,
            created_at: time::render(now),
            updated_at: time::render(now),
        };
        let plan_id = plan.plan_id.clone();
        let token_digest = secret::digest(&confirm_token);
        let expires_at = time::render(now.saturating_add(ttl).unwrap_or(Timestamp::MAX));
        self.store.insert_plan(NewPlan { plan, work: understood.work.clone(), token_digest, expires_at }).await?;
        self.news.notify_one();
        Ok(Parked { plan_id, confirm_token })
    }

    /// Runs the organisation's plan that `confirm_token` is for. Of any number of callers one runs it.
    pub(crate) async fn confirm(
        &self,
        org: &OrgId,
        plan_id: &str,
        confirm_token: &str,
        correlation_id: &str,
    ) -> Result<Plan, PlanError> {
        let StoredPlan { plan, work, token_digest, .. } =
            self.store.find_plan(org, plan_id).await?.ok_or(PlanError::NotFound)?;
        if plan.status != ChatStatus::Waiting {
            return Err(PlanError::NotPending(plan.status.as_str()));
        }
        if !secret::matches(confirm_token, &token_digest) {
            self.log(&plan, BY_TOKEN, correlation_id, "refused", "wrong confirmation token").await;
            return Err(PlanError::WrongToken);
        }
        if self.store.claim_plan(plan_id).await? == Claim::Lost {
            return Err(PlanError::Lost);
        }
        self.news.notify_one();
        Ok(self.carry_out(plan, &work, BY_TOKEN, correlation_id, &|| ready(None).boxed()).await)
    }

    /// Runs a plan that is claimed for its approval, once that is redeemed. Of any number of callers one runs it.
    /// Before each command after the first it is asked whether it is `stopped`, and why.
    pub(crate) async fn run_approved(&self, stored: StoredPlan, stopped: &Stopped) -> Result<(), StoreError> {
        let StoredPlan { plan, work, .. } = stored;
        if self.store.begin_approved_plan(&plan.plan_id).await? == Claim::Won {
            let correlation_id = plan.correlation_id.clone();
            self.carry_out(plan, &work, BY_APPROVAL, &correlation_id, stopped).await;
            self.news.notify_one();
        }
        Ok(())
    }

    /// Ends a plan whose approval stands at `at` and whose work has not begun, and has its session told why.
    pub(crate) async fn end_undone(&self, plan: &Plan, at: Step, outcome: Undone) -> Result<(), StoreError> {
        let Undone { status, decision, result } = outcome;
        let ended = self.store.end_undone_plan(&plan.plan_id, at, status, decision, result.clone()).await?;
        if ended == Claim::Won {
            self.metrics.plan(plan.risk, status);
            tracing::info!(plan_id = plan.plan_id, status = status.as_str(), result, "plan ended");
            let word = if status == ChatStatus::Done { "ok" } else { "refused" };
            self.log(plan, BY_APPROVAL, &plan.correlation_id, word, &result).await;
            self.news.notify_one();
        }
        Ok(())
    }

    /// Runs what the caller has claimed, and records how it ended.
    async fn carry_out(&self, mut plan: Plan, work: &Work, how: &str, correlation_id: &str, stopped: &Stopped) -> Plan {
        let running = self.run(work, correlation_id, stopped);
        let (status, result) = tokio::select! {
            ended = running => ended,
            never = self.say_running(&plan.plan_id) => match never {},
        };
        (plan.status, plan.updated_at, plan.result) = (status, time::now(), Some(result.clone()));
        self.metrics.plan(plan.risk, status);
        tracing::info!(
            plan_id = plan.plan_id,
            intent = plan.intent.name,
            risk = plan.risk.as_str(),
            status = status.as_str(),
            how,
            "plan ran"
        );

        let end =
            PlanEnd { plan_id: plan.plan_id.clone(), status, result: result.clone(), at: plan.updated_at.clone() };
        if let Err(error) = self.store.finish_plan(end).await {
            tracing::warn!(plan_id = plan.plan_id, %error, "the end of a plan is not durable");
        }
        let word = if status == ChatStatus::Done { "ok" } else { "error" };
        self.log(&plan, how, correlation_id, word, &result).await;
        plan
    }

    /// Says of a plan that it runs, again and again.
    async fn say_running(&self, plan_id: &str) -> Infallible {
        loop {
            tokio::time::sleep(SAY_EVERY).await;
            if let Err(error) = self.store.note_running(plan_id.to_owned()).await {
                tracing::debug!(plan_id, %error, "nobody hears that a plan runs");
            }
        }
    }

    /// A page of the organisation's plans, newest first.
    pub(crate) async fn list(
        &self,
        org: &OrgId,
        status: Option<ChatStatus>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Page<Plan>, PlanError> {
        // One more than fits tells whether there is a next page.
        let mut rows = self.store.list_plans(org, status, before, i64::from(limit) + 1).await?;
        let has_more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| has_more).map(|stored| stored.id.to_string());
        Ok(Page { items: rows.into_iter().map(|stored| stored.plan).collect(), next })
    }

    /// One plan of the organisation.
    pub(crate) async fn find(&self, org: &OrgId, plan_id: &str) -> Result<Plan, PlanError> {
        self.store.find_plan(org, plan_id).await?.map(|stored| stored.plan).ok_or(PlanError::NotFound)
    }

    /// Ends plans whose time is up.
    pub(crate) async fn expire(&self) -> Result<(), StoreError> {
        for plan in self.store.expire_plans().await? {
            self.metrics.plan(plan.risk, ChatStatus::Error);
            self.log(&plan, BY_TOKEN, &plan.correlation_id, "error", "expired").await;
            self.news.notify_one();
        }
        Ok(())
    }

    /// Ends plans that a process left half done which has stopped: on SQLite any that began before this one did; on
    /// PostgreSQL those that nobody has said of for a while that they run, because other replicas run some.
    pub(crate) async fn fail_interrupted(&self) -> Result<(), StoreError> {
        let before = match self.store.is_shared() {
            true => time::render(Timestamp::now() - SILENCE),
            false => self.started_at.clone(),
        };
        let interrupted = self.store.fail_interrupted_plans(before).await?;
        if interrupted > 0 {
            tracing::warn!(interrupted, "plans were running when madre stopped");
        }
        Ok(())
    }

    /// Does what is automatic, in order, up to the first failure or until it is `stopped`; says what was not.
    async fn run(&self, work: &Work, correlation_id: &str, stopped: &Stopped) -> (ChatStatus, String) {
        let mut results = Vec::new();
        for (place, command) in work.commands.iter().enumerate() {
            let (action, service) = (command.action, command.service.as_str());
            if place > 0
                && let Some(why) = stopped().await
            {
                let action = action.as_str();
                results.push(format!("{action} {service}, and what follows it in the plan: not done, because {why}."));
                return (ChatStatus::Error, results.join(" "));
            }
            match self.power.perform(action, service, "a confirmed plan", correlation_id).await {
                Ok(()) if self.power.is_dry_run() => {
                    results.push(format!("{} {service}: dry run, nothing was really done.", action.as_str()));
                }
                Ok(()) => results.push(format!("{} {service}: done.", action.as_str())),
                Err(error) => {
                    results.push(failure(action.as_str(), service, &error));
                    return (ChatStatus::Error, results.join(" "));
                }
            }
        }
        for verb in &work.manual {
            results.push(format!("{verb}: confirmed, but nothing automatic exists for it; nothing was changed."));
        }
        (ChatStatus::Done, results.join(" "))
    }

    async fn log(&self, plan: &Plan, how: &str, correlation_id: &str, status: &str, result: &str) {
        let notes = serde_json::json!({ "risk": plan.risk, "intent": plan.intent.name, "result": result });
        let row = trail::action(correlation_id, how, "plan", Some(&plan.plan_id), status);
        if let Err(error) = self.store.log(row.of(&plan.org_id).in_session(&plan.session_id).with_notes(notes)).await {
            tracing::warn!(%error, "a row of the trail is not durable");
        }
    }
}

fn failure(action: &str, service: &str, error: &PowerError) -> String {
    let advice = match error {
        PowerError::OffByPolicy(refusal) => format!(" Recommended: {}.", refusal.recommended_action),
        _ => String::new(),
    };
    format!("{action} {service}: not done, because {error}.{advice} What follows it in the plan was not tried.")
}

impl From<PlanError> for ApiError {
    fn from(error: PlanError) -> Self {
        let code = match error {
            PlanError::NotFound => ErrorCode::NotFound,
            PlanError::NotPending(_) | PlanError::Lost => ErrorCode::Conflict,
            PlanError::WrongToken => ErrorCode::InvalidConfirmation,
            PlanError::Store(_) => ErrorCode::StoreUnavailable,
        };
        let text = error.to_string();
        match error {
            PlanError::Store(cause) => Self::new(code, text).with_cause(cause),
            _ => Self::new(code, text),
        }
    }
}
