//! `/operator/api/audit-log`: what people and programs did in the caller's organisation, and what they were refused.

use actix_web::get;
use actix_web::web::{Data, Json};
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::Query;
use vx11_contracts::audit::{AuditRow, AuditVerdict, ListAuditRows};
use vx11_contracts::identity::Permission;
use vx11_contracts::operator::{Envelope, Page};
use vx11_contracts::{ErrorBody, ErrorCode};
use vx11_identity::audit_chain::Head;

use super::audit::stored_time;
use super::{page_size, store_error};
use crate::control::Conditions;
use crate::state::State;

/// What was done in the organisation, and what was refused: the newest first.
#[utoipa::path(operation_id = "list_audit_log", tag = "audit", params(ListAuditRows), responses(
    (status = 200, body = Envelope<Page<AuditRow>>),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/audit-log")]
pub(crate) async fn list(
    state: Data<State>,
    caller: Caller,
    query: Query<ListAuditRows>,
) -> Result<Json<Envelope<Page<AuditRow>>>, ApiError> {
    let principal = caller.require(Permission::ReadAudit)?;
    let query = query.0;
    let limit = page_size(query.limit)?;
    let before = query.before.as_deref().map(str::parse::<i64>).transpose();
    let before = before.map_err(|_| ApiError::invalid_field("before", "must be the `next` of an earlier page"))?;
    let conditions = Conditions {
        actor: query.actor,
        action: query.action,
        target: query.target,
        outcome: query.outcome,
        since: query.since.map(|text| stored_time("since", &text)).transpose()?,
        until: query.until.map(|text| stored_time("until", &text)).transpose()?,
    };
    let log = state.control.audit_log(&principal.org);
    let (items, next) = log.page(conditions, before, limit).await.map_err(store_error)?;
    Ok(Json(Envelope::new(Page { items, next: next.map(|next| next.to_string()) })))
}

/// An end of the log that somebody noted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotedHead {
    /// Its `seq`; with `hash`.
    #[param(minimum = 0)]
    seq: Option<u32>,
    /// Its `hash`; with `seq`.
    #[param(pattern = "^[0-9a-f]{64}$")]
    hash: Option<String>,
}

/// Prove that no row of the organisation's log was changed, taken out or put in. Compared with the end that this replica
/// noted last, and with one that the caller noted. It reads every row: of a very long log, use `vx11 audit verify`.
#[utoipa::path(operation_id = "verify_audit_log", tag = "audit", params(NotedHead), responses(
    (status = 200, body = Envelope<AuditVerdict>, description = "whether it is intact, and if not, the first row that is wrong"),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody, description = "it is being proven already, or too many others are; or the store does not answer"),
))]
#[get("/audit-log/verify")]
pub(crate) async fn verify(
    state: Data<State>,
    caller: Caller,
    query: Query<NotedHead>,
) -> Result<Json<Envelope<AuditVerdict>>, ApiError> {
    let principal = caller.require(Permission::VerifyAudit)?;
    let known = match (query.0.seq, query.0.hash) {
        (None, None) => None,
        (Some(seq), Some(hash)) => {
            let hash = hash.parse().map_err(|_| ApiError::invalid_field("hash", "must be 64 hexadecimal digits"))?;
            Some(Head { sequence: seq.into(), hash })
        }
        (Some(_), None) => return Err(ApiError::invalid_field("hash", "must come with `seq`")),
        (None, Some(_)) => return Err(ApiError::invalid_field("seq", "must come with `hash`")),
    };
    let verdict = state.audit.verify(&principal.org, known).await.map_err(store_error)?;
    let verdict = verdict.ok_or_else(|| {
        ApiError::new(ErrorCode::Overloaded, "this log is being proven already, or too many others are")
            .with_retry_after(5)
    })?;
    Ok(Json(Envelope::new(verdict)))
}
