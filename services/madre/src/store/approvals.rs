//! `plan_approvals`: what is still to be said to the operator about a plan.

use diesel::prelude::*;
use serde::Deserialize;
use vx11_contracts::chat::ChatStatus;
use vx11_contracts::time;
use vx11_store::{AnyConnection, StoreError};

use super::plans::{self as plan_rows, Claim, PlanRow, StoredPlan};
use super::schema::{plan_approvals as approvals, plans};
use super::{Store, parse};

/// What is to be done next; the migration explains the steps. The last one came later: a plan that nobody has to decide
/// any more has its unit of work ended, once it has ended itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Open,
    Watch,
    Redeem,
    Run,
    Tell,
    Close,
    End,
}

impl Step {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Watch => "watch",
            Self::Redeem => "redeem",
            Self::Run => "run",
            Self::Tell => "tell",
            Self::Close => "close",
            Self::End => "end",
        }
    }
}

/// A plan with something to be said about it.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) stored: StoredPlan,
    pub(crate) step: Step,
    /// How it was decided, once it was.
    pub(crate) decision: Option<String>,
}

impl Store {
    /// Up to `limit` plans that there is something to be said about now, the longest due first.
    pub(crate) async fn pending_approvals(&self, limit: i64) -> Result<Vec<Pending>, StoreError> {
        self.read(move |conn| {
            let due = approvals::table.inner_join(plans::table.on(plans::plan_id.eq(approvals::plan_id)));
            let due = due.filter(approvals::due_at.le(time::now()).and(approvals::step.ne(Step::Run.as_str())));
            let rows: Vec<(PlanRow, String, Option<String>)> = due
                .order(approvals::due_at)
                .limit(limit)
                .select((PlanRow::as_select(), approvals::step, approvals::decision))
                .load(conn)?;
            rows.into_iter()
                .map(|(row, step, decision)| Ok(Pending { stored: row.into_stored()?, step: parse(&step)?, decision }))
                .collect()
        })
        .await
    }

    /// Goes from `from` on to `to`, unless somebody else has taken it elsewhere; whether this one did. Of any number of
    /// callers exactly one does.
    pub(crate) async fn advance_approval(&self, plan_id: &str, from: Step, to: Step) -> Result<Claim, StoreError> {
        let plan_id = plan_id.to_owned();
        self.write(move |conn| {
            let stands = approvals::plan_id.eq(plan_id).and(approvals::step.eq(from.as_str()));
            let set = (approvals::step.eq(to.as_str()), approvals::due_at.eq(time::now()));
            let advanced = diesel::update(approvals::table.filter(stands)).set(set).execute(conn)?;
            Ok(if advanced == 1 { Claim::Won } else { Claim::Lost })
        })
        .await
    }

    /// Begins the work of a plan that is claimed and redeemed: of any number of callers exactly one does, and whatever
    /// happens from here on, it is not begun again.
    pub(crate) async fn begin_approved_plan(&self, plan_id: &str) -> Result<Claim, StoreError> {
        let plan_id = plan_id.to_owned();
        self.write(move |conn| {
            let now = time::now();
            let claimed = approvals::plan_id.eq(&plan_id).and(approvals::step.eq(Step::Redeem.as_str()));
            let begun = (approvals::step.eq(Step::Run.as_str()), approvals::due_at.eq(&now));
            if diesel::update(approvals::table.filter(claimed)).set(begun).execute(conn)? == 0 {
                return Ok(Claim::Lost);
            }
            // It is this process that runs it, whichever one claimed it.
            let plan = plans::table.filter(plans::plan_id.eq(&plan_id));
            diesel::update(plan).set(plans::updated_at.eq(&now)).execute(conn)?;
            Ok(Claim::Won)
        })
        .await
    }

    /// Looks at a plan again at `due_at`, RFC 3339 UTC, if it still is at `step`.
    pub(crate) async fn defer_approval(&self, plan_id: &str, step: Step, due_at: String) -> Result<(), StoreError> {
        let plan_id = plan_id.to_owned();
        self.write(move |conn| {
            let stands = approvals::plan_id.eq(plan_id).and(approvals::step.eq(step.as_str()));
            diesel::update(approvals::table.filter(stands)).set(approvals::due_at.eq(due_at)).execute(conn).map(drop)
        })
        .await
    }

    /// Nothing more is to be said about a plan that still is at `step`.
    pub(crate) async fn forget_approval(&self, plan_id: &str, step: Step) -> Result<(), StoreError> {
        let plan_id = plan_id.to_owned();
        self.write(move |conn| {
            let stands = approvals::plan_id.eq(plan_id).and(approvals::step.eq(step.as_str()));
            diesel::delete(approvals::table.filter(stands)).execute(conn).map(drop)
        })
        .await
    }

    /// Takes a waiting plan to run it, for who has approved it: its token is void from here on.
    pub(crate) async fn claim_approved_plan(&self, plan_id: &str, decision: String) -> Result<Claim, StoreError> {
        let plan_id = plan_id.to_owned();
        self.write(move |conn| {
            let claim = plan_rows::take(conn, &plan_id)?;
            if claim == Claim::Won {
                step(conn, &plan_id, Step::Redeem, Some(&decision))?;
            }
            Ok(claim)
        })
        .await
    }

    /// Ends a plan whose approval stands at `at` and whose work has not begun, and has the session told; whether it stood
    /// there.
    pub(crate) async fn end_undone_plan(
        &self,
        plan_id: &str,
        at: Step,
        to: ChatStatus,
        decision: String,
        result: String,
    ) -> Result<Claim, StoreError> {
        let plan_id = plan_id.to_owned();
        self.write(move |conn| {
            let stands = approvals::plan_id.eq(&plan_id).and(approvals::step.eq(at.as_str()));
            if diesel::select(diesel::dsl::exists(approvals::table.filter(stands))).get_result(conn)? {
                plan_rows::end(conn, &plan_id, to, &result)?;
                step(conn, &plan_id, Step::Tell, Some(&decision))?;
                return Ok(Claim::Won);
            }
            Ok(Claim::Lost)
        })
        .await
    }
}

/// An intervention is to be opened for a new plan.
pub(super) fn insert(conn: &mut AnyConnection, plan_id: &str, now: &str) -> QueryResult<()> {
    let row = (approvals::plan_id.eq(plan_id), approvals::step.eq(Step::Open.as_str()), approvals::due_at.eq(now));
    diesel::insert_into(approvals::table).values(row).execute(conn).map(drop)
}

/// Sets what is to be done next, at once.
pub(super) fn step(conn: &mut AnyConnection, plan_id: &str, to: Step, decision: Option<&str>) -> QueryResult<()> {
    let set = (approvals::step.eq(to.as_str()), approvals::decision.eq(decision), approvals::due_at.eq(time::now()));
    diesel::update(approvals::table.filter(approvals::plan_id.eq(plan_id))).set(set).execute(conn).map(drop)
}

/// The session is to be told of a plan that ran for an approval and has ended.
pub(super) fn tell_of(conn: &mut AnyConnection, plan_id: &str) -> QueryResult<()> {
    let ran = approvals::plan_id.eq(plan_id).and(approvals::step.eq(Step::Run.as_str()));
    let set = (approvals::step.eq(Step::Tell.as_str()), approvals::due_at.eq(time::now()));
    diesel::update(approvals::table.filter(ran)).set(set).execute(conn).map(drop)
}

/// The sessions are to be told of all plans that ran for an approval and have ended.
pub(super) fn tell_of_ended(conn: &mut AnyConnection) -> QueryResult<()> {
    let running = plans::table.filter(plans::status.eq(ChatStatus::Running.as_str())).select(plans::plan_id);
    let ended = approvals::step.eq(Step::Run.as_str()).and(approvals::plan_id.ne_all(running));
    let set = (approvals::step.eq(Step::Tell.as_str()), approvals::due_at.eq(time::now()));
    diesel::update(approvals::table.filter(ended)).set(set).execute(conn).map(drop)
}
