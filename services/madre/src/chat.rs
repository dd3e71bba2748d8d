//! The chat of last resort: understand, plan, rate, and answer at once or wait for a person.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use vx11_contracts::chat::ChatStatus;
use vx11_contracts::identity::OrgId;
use vx11_contracts::madre::{MadreChatResponse, Risk, intervention_of};

use crate::engine::{self, Facts, Understanding};
use crate::metrics::Metrics;
use crate::plans::Plans;
use crate::power::Power;
use crate::readiness::Readiness;
use crate::store::Store;
use crate::trail;

/// Longest wait for what an answer is made of: whoever asks waits 5 s for all of it.
const FACTS_LIMIT: Duration = Duration::from_millis(1500);

/// Chat. A clone is the same chat.
#[derive(Clone)]
pub(crate) struct Chat {
    pub(crate) store: Store,
    pub(crate) plans: Plans,
    pub(crate) power: Power,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) metrics: Metrics,
}

impl Chat {
    /// Answers a message of `org`. It never fails: what went wrong is in the answer's status and warnings.
    pub(crate) async fn answer(
        &self,
        org: &OrgId,
        message: &str,
        correlation_id: &str,
        session_id: &str,
    ) -> MadreChatResponse {
        let understood = engine::understand(message);
        let mut answer = match understood.risk {
            // Services are everybody's: no organisation's approval stops them for the others.
            _ if !org.is_platform() && !understood.work.commands.is_empty() => not_theirs(&understood),
            Risk::Low => self.at_once(org, &understood).await,
            Risk::Medium | Risk::High => self.wait(org, &understood, correlation_id, session_id).await,
        };
        let (risk, status) = (understood.risk, answer.status);
        self.metrics.plan(risk, status);
        tracing::info!(intent = understood.intent.name, risk = risk.as_str(), status = status.as_str(), "chat");

        let notes = serde_json::json!({ "risk": risk, "intent": understood.intent, "from": understood.evidence });
        let status = match status {
            ChatStatus::Error => "error",
            _ => "ok",
        };
        let row = trail::action(correlation_id, "chat", "chat", answer.plan_id.as_deref(), status);
        if self.store.log(row.of(org).in_session(session_id).with_notes(notes)).await.is_err() {
            answer
                .warnings
                .push("The store does not take writes right now: this chat's trail is not durable.".to_owned());
        }
        answer
    }

    async fn at_once(&self, org: &OrgId, understood: &Understanding) -> MadreChatResponse {
        let facts = if engine::answer::needs_facts(understood) { self.facts(org).await } else { Facts::default() };
        respond(understood, ChatStatus::Done, engine::answer(understood, &facts), Vec::new())
    }

    async fn wait(
        &self,
        org: &OrgId,
        understood: &Understanding,
        correlation_id: &str,
        session_id: &str,
    ) -> MadreChatResponse {
        match self.plans.park(org, understood, correlation_id, session_id).await {
            Ok(parked) => {
                let (response, mut warnings) = engine::answer::waiting(understood, &parked.plan_id);
                if self.power.is_dry_run() && !understood.work.commands.is_empty() {
                    warnings.push("This madre only pretends to start and stop services (a dry run).".to_owned());
                }
                let answer = respond(understood, ChatStatus::Waiting, response, warnings);
                MadreChatResponse {
                    intervention_id: Some(intervention_of(&parked.plan_id)),
                    plan_id: Some(parked.plan_id),
                    confirm_token: Some(parked.confirm_token),
                    ..answer
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a plan could not be stored");
                let response =
                    "Nothing was done, and nothing waits: I could not store the plan. Try again later.".to_owned();
                let warning = "The plan could not be stored, so it cannot be confirmed; nothing will run.".to_owned();
                respond(understood, ChatStatus::Error, response, vec![warning])
            }
        }
    }

    /// What can be found out in time.
    async fn facts(&self, org: &OrgId) -> Facts {
        let deadline = tokio::time::Instant::now() + FACTS_LIMIT;
        let power = tokio::time::timeout_at(deadline, self.power.state());
        let plans = tokio::time::timeout_at(deadline, self.store.count_plans(org));
        let (power, plans) = join(power, plans).await;
        Facts {
            power: power.ok().and_then(Result::ok),
            plans: plans.ok().and_then(Result::ok),
            store_trouble: self.readiness.trouble(&self.store),
        }
    }
}

/// For those who would start or stop what is not theirs.
fn not_theirs(understood: &Understanding) -> MadreChatResponse {
    let response =
        "Nothing was done, and nothing waits: services are started and stopped by those who keep the platform.";
    let warning = "Only the platform's own people act on services.".to_owned();
    respond(understood, ChatStatus::Error, response.to_owned(), vec![warning])
}

fn respond(
    understood: &Understanding,
    status: ChatStatus,
    response: String,
    warnings: Vec<String>,
) -> MadreChatResponse {
    MadreChatResponse {
        response,
        model: engine::MODEL.to_owned(),
        provider: crate::NAME.to_owned(),
        status,
        intent: Some(understood.intent.clone()),
        plan_id: None,
        confirm_token: None,
        intervention_id: None,
        warnings,
        actions: understood.steps.clone(),
    }
}
