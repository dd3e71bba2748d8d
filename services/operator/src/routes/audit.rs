//! `/operator/api/audit`

use std::collections::BTreeMap;

use actix_web::get;
use actix_web::web::{self, Data};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::extract::{Path, Query};
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorBody;
use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;
use vx11_contracts::operator::{AuditTrail, Envelope, Page};
use vx11_contracts::time;
use vx11_store::trail::ActionQuery;

use super::reader::Reader;
use super::{page_size, store_error};
use crate::state::State;

/// Most rows of one request's trail.
const TRAIL: u32 = 500;

/// Which rows; every condition must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Of this conversation.
    session_id: Option<String>,
    /// Of this request.
    correlation_id: Option<String>,
    /// This action.
    action: Option<String>,
    /// This class.
    action_type: Option<String>,
    /// With this outcome.
    status: Option<String>,
    /// At or after this time, RFC 3339.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Before this time, RFC 3339.
    #[param(format = DateTime)]
    until: Option<String>,
    /// The page's `next` of before.
    before: Option<String>,
    /// 1 to 500; 50 where absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Another organisation, for ADMINs of the platform.
    #[param(value_type = Option<OrgId>)]
    org: Option<String>,
}

/// Whose trail.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrailQuery {
    /// Another organisation, for ADMINs of the platform.
    #[param(value_type = Option<OrgId>)]
    org: Option<String>,
}

/// What was done in the organisation, the latest first.
#[utoipa::path(operation_id = "list_actions", tag = "audit", params(AuditQuery), responses(
    (status = 200, body = Envelope<Page<Action>>),
    (status = 404, body = ErrorBody),
    (status = 422, body = ErrorBody),
))]
#[get("/audit")]
pub(crate) async fn list(
    state: Data<State>,
    reader: Reader,
    query: Query<AuditQuery>,
) -> Result<web::Json<Envelope<Page<Action>>>, ApiError> {
    let query = query.0;
    let limit = page_size(query.limit)?;
    let before_id = query.before.as_deref().map(str::parse).transpose();
    let conditions = ActionQuery {
        correlation_id: query.correlation_id,
        session_id: query.session_id,
        action: query.action,
        action_type: query.action_type,
        status: query.status,
        since: query.since.map(|text| stored_time("since", &text)).transpose()?,
        until: query.until.map(|text| stored_time("until", &text)).transpose()?,
        before_id: before_id.map_err(|_| ApiError::invalid_field("before", "must be the `next` of an earlier page"))?,
    };
    let org = reader.whose(&state, query.org.as_deref(), "trail").await?;
    let items = state.store.of(&org).list_actions(conditions, limit).await.map_err(store_error)?;
    let full = items.len() == limit as usize;
    let next = items.last().filter(|_| full).map(|last| last.id.to_string());
    Ok(web::Json(Envelope::new(Page { items, next })))
}

/// What every service did for one request of the organisation, oldest first.
#[utoipa::path(operation_id = "find_trail", tag = "audit", params(("correlation_id" = String, Path), TrailQuery), responses(
    (status = 200, body = Envelope<AuditTrail>),
    (status = 404, body = ErrorBody),
))]
#[get("/audit/{correlation_id}")]
pub(crate) async fn trail(
    state: Data<State>,
    reader: Reader,
    context: RequestContext,
    correlation_id: Path<String>,
    query: Query<TrailQuery>,
) -> Result<web::Json<Envelope<AuditTrail>>, ApiError> {
    let id = correlation_id.into_inner();
    let org = reader.whose(&state, query.0.org.as_deref(), "trail").await?;
    let own = state.store.of(&org);
    let ours = ActionQuery { correlation_id: Some(id.clone()), ..ActionQuery::default() };
    let mut actions = own.list_actions(ours, TRAIL).await.map_err(store_error)?;
    let turns = own.turns_of_request(&id).await.map_err(store_error)?;
    let mut incomplete = BTreeMap::new();
    match state.madre.audit(&org, &id, &context).await {
        Ok(theirs) => actions.extend(theirs),
        Err(error) => {
            incomplete.insert("madre".to_owned(), error.to_string());
        }
    }
    if actions.is_empty() && turns.is_empty() && incomplete.is_empty() {
        return Err(ApiError::not_found("request in the trail"));
    }
    actions.sort_by(|a, b| (&a.timestamp, a.id).cmp(&(&b.timestamp, b.id)));
    Ok(web::Json(Envelope::new(AuditTrail { correlation_id: id, actions, turns, incomplete })))
}

/// A caller's time in the form that the store compares.
pub(super) fn stored_time(field: &str, text: &str) -> Result<String, ApiError> {
    let parsed: Result<Timestamp, _> = text.parse();
    parsed.map(time::render).map_err(|_| ApiError::invalid_field(field, "must be a time such as 2026-11-21T04:05:06Z"))
}
