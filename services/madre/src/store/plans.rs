//! `plans`: what waits for a confirmation, and what came of it.

use diesel::prelude::*;
use vx11_contracts::chat::ChatStatus;
use vx11_contracts::identity::OrgId;
use vx11_contracts::madre::{Intent, Plan};
use vx11_contracts::time;
use vx11_store::{AnyConnection, StoreError};

use super::approvals::{self, Step};
use super::schema::{plan_approvals, plans};
use super::{Store, from_json, parse, to_json};
use crate::engine::Work;

/// Waiting plans that are looked at in one sweep.
const SWEEP: i64 = 500;

/// A plan that begins to wait.
#[derive(Clone, Debug)]
pub(crate) struct NewPlan {
    pub(crate) plan: Plan,
    pub(crate) work: Work,
    pub(crate) token_digest: String,
    /// When its token stops working, RFC 3339 UTC.
    pub(crate) expires_at: String,
}

/// A plan as it is in the store.
#[derive(Clone, Debug)]
pub(crate) struct StoredPlan {
    pub(crate) id: i64,
    pub(crate) plan: Plan,
    pub(crate) work: Work,
    pub(crate) token_digest: String,
    /// When nothing may begin any more, RFC 3339 UTC.
    pub(crate) expires_at: String,
}

/// What came of claiming a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is the caller's to run, and nobody else's.
    Won,
    /// It does not wait any more.
    Lost,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = plans)]
pub(super) struct PlanRow {
    #[diesel(skip_insertion)]
    id: i64,
    plan_id: String,
    correlation_id: String,
    session_id: String,
    intent: String,
    confidence: f64,
    target: Option<String>,
    risk: String,
    status: String,
    actions: String,
    work: String,
    result: Option<String>,
    token_digest: String,
    created_at: String,
    updated_at: String,
    expires_at: String,
    org_id: String,
}

/// How a plan ends that was not run to its end.
#[derive(AsChangeset)]
#[diesel(table_name = plans)]
struct Ended<'a> {
    status: &'a str,
    result: &'a str,
    updated_at: &'a str,
}

impl<'a> Ended<'a> {
    fn failed(result: &'a str, now: &'a str) -> Self {
        Self { status: ChatStatus::Error.as_str(), result, updated_at: now }
    }
}

impl Store {
    /// Keeps a plan, and that an intervention is to be opened for it; when this is answered, both are durable.
    pub(crate) async fn insert_plan(&self, new: NewPlan) -> Result<(), StoreError> {
        let insert = move |conn: &mut AnyConnection| {
            let row = row_of(new)?;
            approvals::insert(conn, &row.plan_id, &row.created_at)?;
            diesel::insert_into(plans::table).values(row).execute(conn).map(drop)
        };
        self.write(insert).await
    }

    /// One plan of an organisation.
    pub(crate) async fn find_plan(&self, org: &OrgId, plan_id: &str) -> Result<Option<StoredPlan>, StoreError> {
        let plan_id = plan_id.to_owned();
        self.read_of(org, move |conn, org| {
            let row: Option<PlanRow> = plans::table
                .filter(plans::plan_id.eq(plan_id).and(plans::org_id.eq(org.as_str())))
                .select(PlanRow::as_select())
                .first(conn)
                .optional()?;
            row.map(PlanRow::into_stored).transpose()
        })
        .await
    }

    /// Up to `limit` plans of an organisation with an id below `before`, newest first.
    pub(crate) async fn list_plans(
        &self,
        org: &OrgId,
        status: Option<ChatStatus>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<StoredPlan>, StoreError> {
        self.read_of(org, move |conn, org| {
            let own = plans::table.filter(plans::org_id.eq(org.as_str()));
            let mut rows = own.select(PlanRow::as_select()).into_boxed();
            if let Some(status) = status {
                rows = rows.filter(plans::status.eq(status.as_str()));
            }
            if let Some(id) = before {
                rows = rows.filter(plans::id.lt(id));
            }
            let rows: Vec<PlanRow> = rows.order(plans::id.desc()).limit(limit).load(conn)?;
            rows.into_iter().map(PlanRow::into_stored).collect()
        })
        .await
    }

    /// An organisation's plans by status.
    pub(crate) async fn count_plans(&self, org: &OrgId) -> Result<Vec<(String, u64)>, StoreError> {
        let counts: Vec<(String, i64)> = self
            .read_of(org, move |conn, org| {
                let own = plans::table.filter(plans::org_id.eq(org.as_str()));
                let by_status = own.group_by(plans::status).select((plans::status, diesel::dsl::count_star()));
                by_status.order(plans::status).load(conn)
            })
            .await?;
        Ok(counts.into_iter().map(|(status, rows)| (status, rows.unsigned_abs())).collect())
    }

    /// Takes a waiting plan to run it, for who has its token. Of any number of callers exactly one wins, those that
    /// have an approval among them.
    pub(crate) async fn claim_plan(&self, plan_id: &str) -> Result<Claim, StoreError> {
        let plan_id = plan_id.to_owned();
        self.write(move |conn| {
            let claim = take(conn, &plan_id)?;
            if claim == Claim::Won {
                approvals::step(conn, &plan_id, Step::Close, None)?;
            }
            Ok(claim)
        })
        .await
    }

    /// Ends plans whose confirmation did not come in time, and answers with those that this call ended: of several replicas
    /// each plan has one.
    pub(crate) async fn expire_plans(&self) -> Result<Vec<Plan>, StoreError> {
        let now = time::now();
        // Read first: an update would take SQLite's lock to write every second for nothing.
        let overdue = plans::status.eq(ChatStatus::Waiting.as_str()).and(plans::expires_at.le(now.clone()));
        let overdue =
            self.read(move |conn| plans::table.filter(overdue).limit(SWEEP).select(PlanRow::as_select()).load(conn));
        let mut expired = Vec::new();
        for row in overdue.await? {
            let (id, plan_id, now) = (row.id, row.plan_id.clone(), now.clone());
            let has_ended = self.write(move |conn| {
                let still_waiting = plans::id.eq(id).and(plans::status.eq(ChatStatus::Waiting.as_str()));
                let end = Ended::failed("The confirmation did not come in time; nothing was done.", &now);
                let ended = diesel::update(plans::table.filter(still_waiting)).set(end).execute(conn)?;
                if ended > 0 {
                    approvals::step(conn, &plan_id, Step::Close, None)?;
                }
                Ok(ended > 0)
            });
            if has_ended.await? {
                expired.push(row.into_stored()?.plan);
            }
        }
        Ok(expired)
    }

    /// Says that a plan still runs.
    pub(crate) async fn note_running(&self, plan_id: String) -> Result<(), StoreError> {
        self.write(move |conn| {
            let running = plans::plan_id.eq(plan_id).and(plans::status.eq(ChatStatus::Running.as_str()));
            let set = plans::updated_at.eq(time::now());
            diesel::update(plans::table.filter(running)).set(set).execute(conn).map(drop)
        })
        .await
    }

    /// Ends plans that run and of which nothing was heard since `before`, RFC 3339 UTC: whoever ran them has stopped. Those
    /// that are claimed for an approval and have not begun are left: they can still be run, once.
    pub(crate) async fn fail_interrupted_plans(&self, before: String) -> Result<usize, StoreError> {
        self.write(move |conn| {
            let now = time::now();
            let claimed = plan_approvals::table
                .filter(plan_approvals::step.eq(Step::Redeem.as_str()))
                .select(plan_approvals::plan_id);
            let running = plans::status.eq(ChatStatus::Running.as_str()).and(plans::updated_at.lt(before));
            let running = running.and(plans::plan_id.ne_all(claimed));
            let end = Ended::failed("madre stopped while this ran; look at the services before trying again.", &now);
            let ended = diesel::update(plans::table.filter(running)).set(end).execute(conn)?;
            if ended > 0 {
                approvals::tell_of_ended(conn)?;
            }
            Ok(ended)
        })
        .await
    }

    /// Whether other replicas may run plans of the same store.
    pub(crate) fn is_shared(&self) -> bool {
        self.database.is_remote()
    }
}

/// Makes a waiting plan a running one, unless somebody else has, or its time is up.
pub(super) fn take(conn: &mut AnyConnection, plan_id: &str) -> QueryResult<Claim> {
    let now = time::now();
    let waiting =
        plans::plan_id.eq(plan_id).and(plans::status.eq(ChatStatus::Waiting.as_str())).and(plans::expires_at.gt(&now));
    let running = (plans::status.eq(ChatStatus::Running.as_str()), plans::updated_at.eq(&now));
    let taken = diesel::update(plans::table.filter(waiting)).set(running).execute(conn)?;
    Ok(if taken == 1 { Claim::Won } else { Claim::Lost })
}

/// Ends a plan, with `result`.
pub(super) fn end(conn: &mut AnyConnection, plan_id: &str, to: ChatStatus, result: &str) -> QueryResult<()> {
    let end = Ended { status: to.as_str(), result, updated_at: &time::now() };
    diesel::update(plans::table.filter(plans::plan_id.eq(plan_id))).set(end).execute(conn).map(drop)
}

fn row_of(new: NewPlan) -> QueryResult<PlanRow> {
    let NewPlan { plan, work, token_digest, expires_at } = new;
    Ok(PlanRow {
        id: 0,
        actions: to_json(&plan.actions)?,
        work: to_json(&work)?,
        org_id: plan.org_id.into(),
        plan_id: plan.plan_id,
        correlation_id: plan.correlation_id,
        session_id: plan.session_id,
        intent: plan.intent.name,
        confidence: plan.intent.confidence,
        target: plan.intent.target,
        risk: plan.risk.as_str().to_owned(),
        status: plan.status.as_str().to_owned(),
        result: plan.result,
        token_digest,
        created_at: plan.created_at,
        updated_at: plan.updated_at,
        expires_at,
    })
}

impl PlanRow {
    pub(super) fn into_stored(self) -> QueryResult<StoredPlan> {
        let plan = Plan {
            plan_id: self.plan_id,
            org_id: self.org_id.parse().unwrap_or_default(),
            correlation_id: self.correlation_id,
            session_id: self.session_id,
            intent: Intent { name: self.intent, confidence: self.confidence, target: self.target },
            risk: parse(&self.risk)?,
            status: parse(&self.status)?,
            actions: from_json(&self.actions)?,
            result: self.result,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        let work = from_json(&self.work)?;
        Ok(StoredPlan { id: self.id, plan, work, token_digest: self.token_digest, expires_at: self.expires_at })
    }
}
