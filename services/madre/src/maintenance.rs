//! Upkeep of every store after a task or a deploy, with evidence of what was found.
//!
//! Each service looks after its own tables; madre asks them all, weighs the answers and keeps the evidence. A store
//! that cannot be asked, or a step that fails, stands in the report as an error and stops nothing else.

mod evidence;
mod report;
mod scorecard;
mod stores;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join3;
use serde_json::Value;
use tokio::sync::Semaphore;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorCode;
use vx11_contracts::maintenance::{PostTaskReport, PostTaskRequest};
use vx11_contracts::power::PowerMode;
use vx11_store::upkeep::StoreReport;

use crate::power::Power;
use crate::store::Store;
use crate::trail;
use report::Findings;
pub(crate) use stores::RemoteStore;

/// Days that log tables are kept in mode `low_power`.
const LOW_POWER_LOG_DAYS: u32 = 7;
/// Characters of a reason.
const MOST_REASON: usize = 500;

/// Upkeep. A clone is the same upkeep.
#[derive(Clone)]
pub(crate) struct Maintenance(Arc<Inner>);

struct Inner {
    store: Store,
    others: [RemoteStore; 2],
    power: Power,
    /// madre's part of the data directory.
    home: PathBuf,
    retention_days: BTreeMap<String, u32>,
    /// One run at a time.
    turn: Semaphore,
}

impl Maintenance {
    /// Upkeep with evidence and backups below `data_dir`.
    pub(crate) fn new(
        store: Store,
        others: [RemoteStore; 2],
        power: Power,
        data_dir: &std::path::Path,
        retention_days: BTreeMap<String, u32>,
    ) -> Self {
        let home = data_dir.join(crate::NAME);
        Self(Arc::new(Inner { store, others, power, home, retention_days, turn: Semaphore::new(1) }))
    }

    /// Runs every step on every store.
    ///
    /// # Errors
    /// When a field is out of range, or another run is under way; never for a step that fails.
    pub(crate) async fn post_task(
        &self,
        request: PostTaskRequest,
        context: RequestContext,
    ) -> Result<PostTaskReport, ApiError> {
        check(&request)?;
        let this = &*self.0;
        let busy = |_| ApiError::new(ErrorCode::Conflict, "another post_task is under way");
        let _turn = this.turn.try_acquire().map_err(busy)?;
        let started = std::time::Instant::now();

        let request = PostTaskRequest { log_days: self.log_days(&request).await, ..request };
        let [one, other] = &this.others;
        let (own, ones, others) =
            join3(self.own_store(&request), one.upkeep(&request, &context), other.upkeep(&request, &context)).await;
        let findings = Findings::new([(crate::NAME, Ok(own)), (one.name, ones), (other.name, others)]);
        let mut report = findings.report(request.reason.clone());
        match evidence::write(this.home.join("evidence"), &mut report, findings.schema()).await {
            Ok(()) => {}
            Err(error) => {
                report.out_dir.clear();
                report.status = "partial".to_owned();
                report.scorecard.insert("evidence".to_owned(), Value::from(format!("not written: {error}")));
                tracing::error!(%error, "the evidence could not be written");
            }
        }
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let score = report.scorecard["score"].as_u64();
        tracing::info!(
            status = report.status,
            score,
            elapsed_ms,
            apply_retention = report.apply_retention,
            "post_task"
        );
        self.log(&report, &context).await;
        Ok(report)
    }

    /// What the caller asks for; or few in mode `low_power`.
    async fn log_days(&self, request: &PostTaskRequest) -> Option<u32> {
        let is_low_power = async || matches!(self.0.power.mode().await, Ok(PowerMode::LowPower));
        match request.log_days {
            Some(days) => Some(days),
            None => is_low_power().await.then_some(LOW_POWER_LOG_DAYS),
        }
    }

    async fn own_store(&self, request: &PostTaskRequest) -> StoreReport {
        let Inner { store, home, retention_days, .. } = &*self.0;
        stores::own(store, home.join("backups"), retention_days, request).await
    }

    async fn log(&self, report: &PostTaskReport, context: &RequestContext) {
        let notes = serde_json::json!({
            "reason": report.reason, "out_dir": report.out_dir, "score": report.scorecard.get("score"),
        });
        let status = if report.status == "ok" { "ok" } else { "error" };
        let row = trail::action(&context.correlation_id, "post_task", "maintenance", None, status).with_notes(notes);
        if let Err(error) = self.0.store.log(row).await {
            tracing::warn!(%error, "a row of the trail is not durable");
        }
    }
}

fn check(request: &PostTaskRequest) -> Result<(), ApiError> {
    request.check().map_err(|wrong| ApiError::invalid_field(wrong.field, wrong.detail))?;
    if request.reason.as_ref().is_some_and(|reason| reason.chars().count() > MOST_REASON) {
        return Err(ApiError::invalid_field("reason", format!("must have at most {MOST_REASON} characters")));
    }
    Ok(())
}
