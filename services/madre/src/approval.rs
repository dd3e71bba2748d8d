//! People approve plans: a plan that waits opens an intervention at the operator, its approval runs the plan once, and
//! the conversation that it came from is told.
//!
//! What is still to be said is in the store, one row a plan, written with what happened to the plan. So nothing waits
//! for the operator, one that is down loses nothing, and a madre that died goes on where it was. Which of an approval
//! and a confirmation runs the plan is the store's to decide, in one conditional update.

mod desk;
mod request;
mod verdict;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use vx11_chassis::Shutdown;
use vx11_chassis::client::{CallError, ServiceClient};
use vx11_contracts::chat::ChatStatus;
use vx11_contracts::madre::{Plan, intervention_of};
use vx11_contracts::operator::AddTurn;
use vx11_contracts::time;
use vx11_contracts::unit::{Transition, UnitStatus};
use vx11_store::StoreError;

use crate::plans::{Plans, Undone};
use crate::store::{Claim, Pending, Step, Store, StoredPlan};
use desk::{Desk, Owner};
use verdict::{Verdict, verdict};

/// How often an open intervention is looked at, and the store for something to do.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an operator that does not answer is left alone, at most.
const MOST_PAUSE: Duration = Duration::from_secs(30);
/// When a plan is tried again that the operator has refused something about.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);
/// Plans of one round, and how many of them at once.
const ROUND: i64 = 100;
const AT_ONCE: usize = 8;

/// Says to the operator what is to be said about plans, and hears what was decided. A clone is the same.
#[derive(Clone)]
pub(crate) struct Approvals {
    store: Store,
    plans: Plans,
    operator: ServiceClient,
}

/// Why a plan was not got on with.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("operator {0}")]
    Operator(#[from] CallError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Approvals {
    /// `operator`: whom to ask.
    pub(crate) fn new(store: Store, plans: Plans, operator: ServiceClient) -> Self {
        Self { store, plans, operator }
    }

    /// Runs until `shutdown` begins; a round that has begun goes to its end.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut pause = LOOK_EVERY;
        while !shutdown.has_begun() {
            let is_away = self.round().await;
            match (is_away, pause == LOOK_EVERY) {
                (true, true) => tracing::warn!("the operator does not answer: plans wait for their tokens alone"),
                (false, false) => tracing::info!("the operator answers again"),
                _ => {}
            }
            pause = if is_away { (pause * 2).min(MOST_PAUSE) } else { LOOK_EVERY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.plans.news().notified() => {}
                () = shutdown.begun() => {}
            }
        }
    }

    /// Gets on with what is due; whether the operator is away.
    async fn round(&self) -> bool {
        let pending = match self.store.pending_approvals(ROUND).await {
            Ok(pending) => pending,
            Err(error) => {
                tracing::debug!(%error, "what is to be said about plans waits for the store");
                return false;
            }
        };
        let is_away = AtomicBool::new(false);
        stream::iter(pending)
            .for_each_concurrent(AT_ONCE, async |pending| {
                if !is_away.load(Ordering::Relaxed) && self.is_away_for(pending).await {
                    is_away.store(true, Ordering::Relaxed);
                }
            })
            .await;
        is_away.into_inner()
    }

    /// Gets on with one plan; whether the operator turned out to be away.
    async fn is_away_for(&self, pending: Pending) -> bool {
        let (plan_id, step) = (pending.stored.plan.plan_id.clone(), pending.step);
        match self.attend(pending).await {
            Ok(()) => false,
            Err(Trouble::Operator(error)) if error.is_unreachable() => true,
            Err(trouble) => {
                tracing::warn!(plan_id, step = ?step, %trouble, "an approval does not get on");
                let _ = self.store.defer_approval(&plan_id, step, after(AFTER_REFUSAL)).await;
                false
            }
        }
    }

    async fn attend(&self, pending: Pending) -> Result<(), Trouble> {
        let plan = &pending.stored.plan;
        let desk = Desk::of(&self.operator, plan);
        match pending.step {
            Step::Open if desk.register(&plan.plan_id, &request::unit(plan)).await? == Owner::Foreign => {
                tracing::warn!(
                    plan_id = plan.plan_id,
                    "the plan's unit is somebody else's: it waits for its token alone"
                );
                self.store.forget_approval(&plan.plan_id, Step::Open).await?;
            }
            Step::Open => {
                desk.open(&request::request(&pending.stored, Timestamp::now())).await?;
                self.store.advance_approval(&plan.plan_id, Step::Open, Step::Watch).await?;
            }
            Step::Watch => self.watch(pending, &desk).await?,
            Step::Redeem => self.redeem(pending, &desk).await?,
            Step::Tell => {
                desk.tell(&outcome(&pending)).await?;
                end_unit(&desk, plan).await?;
                self.store.forget_approval(&plan.plan_id, Step::Tell).await?;
            }
            Step::Close => {
                let id = intervention_of(&plan.plan_id);
                desk.cancel(&id, "the plan does not wait any more").await?;
                if plan.status == ChatStatus::Running {
                    // Its token lets it run, and asks nobody: what rules say of it comes too late.
                    desk.report(&plan.plan_id, &request::begin(None)).await?;
                }
                self.store.advance_approval(&plan.plan_id, Step::Close, Step::End).await?;
                self.plans.news().notify_one();
            }
            Step::End if plan.status == ChatStatus::Running => {
                self.store.defer_approval(&plan.plan_id, Step::End, after(LOOK_EVERY)).await?;
            }
            Step::End => {
                end_unit(&desk, plan).await?;
                self.store.forget_approval(&plan.plan_id, Step::End).await?;
            }
            // Whoever runs it says when it has ended; if that died, the next start does.
            Step::Run => {}
        }
        Ok(())
    }

    /// Looks whether an open intervention is decided.
    async fn watch(&self, mut pending: Pending, desk: &Desk) -> Result<(), Trouble> {
        let plan = &pending.stored.plan;
        match look(desk, &pending).await? {
            // The operator has lost it.
            None => drop(self.store.advance_approval(&plan.plan_id, Step::Watch, Step::Open).await?),
            Some(Verdict::Open) => {
                self.store.defer_approval(&plan.plan_id, Step::Watch, after(LOOK_EVERY)).await?;
            }
            Some(Verdict::Approved { decision, .. }) => {
                let claim = self.store.claim_approved_plan(&plan.plan_id, decision.clone()).await?;
                if claim == Claim::Won {
                    (pending.step, pending.decision) = (Step::Redeem, Some(decision));
                    self.redeem(pending, desk).await?;
                }
            }
            Some(Verdict::Redeemed) => {
                let decision = format!("{} was approved, and redeemed.", intervention_of(&plan.plan_id));
                let result = "The approval was used before madre knew of it; nothing was done here.".to_owned();
                let undone = Undone { status: ChatStatus::Error, decision, result };
                self.plans.end_undone(plan, Step::Watch, undone).await?;
            }
            Some(Verdict::Over(undone)) => self.plans.end_undone(plan, Step::Watch, undone).await?,
            Some(Verdict::Foreign) => {
                tracing::warn!(plan_id = plan.plan_id, "the plan's intervention is somebody else's");
                let reason = "its intervention is somebody else's; the plan waits for its token alone";
                let over = Transition {
                    status: Some(UnitStatus::Failed),
                    reason: Some(reason.to_owned()),
                    ..Transition::default()
                };
                desk.report(&plan.plan_id, &over).await?;
                self.store.forget_approval(&plan.plan_id, Step::Watch).await?;
            }
        }
        Ok(())
    }

    /// Redeems the approval that a plan is claimed for, and runs the plan. Nobody else can have it by now, so an approval
    /// that is redeemed was redeemed for it, by a call whose answer was lost.
    async fn redeem(&self, pending: Pending, desk: &Desk) -> Result<(), Trouble> {
        let plan = &pending.stored.plan;
        let decision = pending.decision.clone().unwrap_or_default();
        let never =
            |result: &str| Undone { status: ChatStatus::Error, decision: decision.clone(), result: result.to_owned() };
        if pending.stored.expires_at <= time::now() {
            let undone = never("It was approved, but the operator could not be asked again in time; nothing was done.");
            return Ok(self.plans.end_undone(plan, Step::Redeem, undone).await?);
        }
        match look(desk, &pending).await? {
            Some(Verdict::Approved { digest, .. }) => {
                // Before the approval is used: a pilot may have ended the unit since, and rules may stop it.
                if let Some(why) = desk.report(&plan.plan_id, &request::begin(Some(&decision))).await? {
                    let undone = never(&format!("It was approved, but may not run: {why}; nothing was done."));
                    return Ok(self.plans.end_undone(plan, Step::Redeem, undone).await?);
                }
                let id = intervention_of(&plan.plan_id);
                if desk.redeem(&id, digest).await? {
                    self.carry_out(pending.stored, desk).await?;
                }
                // Otherwise it changed in between, and is looked at again.
            }
            Some(Verdict::Redeemed) => self.carry_out(pending.stored, desk).await?,
            Some(Verdict::Over(undone)) => self.plans.end_undone(plan, Step::Redeem, undone).await?,
            Some(Verdict::Open | Verdict::Foreign) | None => {
                let undone =
                    never("It was approved, and the operator does not know of that any more; nothing was done.");
                self.plans.end_undone(plan, Step::Redeem, undone).await?;
            }
        }
        Ok(())
    }

    /// Runs a plan whose approval is redeemed, as far as pilots let it.
    async fn carry_out(&self, stored: StoredPlan, desk: &Desk) -> Result<(), StoreError> {
        let (desk, id) = (desk.clone(), stored.plan.plan_id.clone());
        let stopped = move || {
            let (desk, id) = (desk.clone(), id.clone());
            // It was approved: an operator that is away stops nothing.
            let stopped = async move { desk.stopped(&id).await.unwrap_or_default() };
            stopped.boxed()
        };
        self.plans.run_approved(stored, &stopped).await
    }
}

/// Says how a plan has ended, of which nothing more is to be decided. What was done in between, by hand or while the
/// operator was away, was begun as well; and a unit that has ended before stays so.
async fn end_unit(desk: &Desk, plan: &Plan) -> Result<(), CallError> {
    let (id, end) = (&plan.plan_id, request::end(plan));
    if desk.report(id, &end).await?.is_some() && plan.status == ChatStatus::Done {
        desk.report(id, &request::begin(None)).await?;
        if desk.report(id, &end).await?.is_some() {
            // A rule or a kill switch holds it, and would for good: no rule keeps it from failing, and nobody is asked
            // any more about what is over.
            desk.report(id, &request::outran(plan)).await?;
        }
    }
    Ok(())
}

/// What the plan's intervention means for it, where there is one.
async fn look(desk: &Desk, pending: &Pending) -> Result<Option<Verdict>, CallError> {
    let found = desk.find(&intervention_of(&pending.stored.plan.plan_id)).await?;
    let asked = request::request(&pending.stored, Timestamp::now());
    Ok(found.map(|found| verdict(&found, &asked)))
}

/// What the conversation is told.
fn outcome(pending: &Pending) -> AddTurn {
    let plan = &pending.stored.plan;
    AddTurn {
        session_id: plan.session_id.clone(),
        correlation_id: plan.correlation_id.clone(),
        message: pending.decision.clone().unwrap_or_else(|| intervention_of(&plan.plan_id)),
        response: plan.result.clone().unwrap_or_default(),
        status: plan.status,
    }
}

/// The time `pause` from now, RFC 3339 UTC.
fn after(pause: Duration) -> String {
    time::render(Timestamp::now().checked_add(pause).unwrap_or(Timestamp::MAX))
}
