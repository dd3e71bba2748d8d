//! `/operator/api/sessions`

use actix_web::get;
use actix_web::web::{self, Data};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::ApiError;
use vx11_chassis::extract::{Path, Query};
use vx11_contracts::ErrorBody;
use vx11_contracts::identity::OrgId;
use vx11_contracts::operator::{Envelope, Page, SessionDetail, SessionSummary};

use super::reader::Reader;
use super::{page_size, store_error};
use crate::state::State;

/// Which sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The page's `next` of before.
    before: Option<String>,
    /// 1 to 500; 50 where absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Another organisation, for ADMINs of the platform.
    #[param(value_type = Option<OrgId>)]
    org: Option<String>,
}

/// Which turns.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetailQuery {
    /// The `next_after` of before.
    after: Option<i64>,
    /// 1 to 500; 50 where absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Another organisation, for ADMINs of the platform.
    #[param(value_type = Option<OrgId>)]
    org: Option<String>,
}

/// The organisation's conversations, the latest first.
#[utoipa::path(operation_id = "list_sessions", tag = "sessions", params(ListQuery), responses(
    (status = 200, body = Envelope<Page<SessionSummary>>),
    (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/sessions")]
pub(crate) async fn list(
    state: Data<State>,
    reader: Reader,
    query: Query<ListQuery>,
) -> Result<web::Json<Envelope<Page<SessionSummary>>>, ApiError> {
    let limit = page_size(query.0.limit)?;
    let before = query.0.before.as_deref().map(parse_cursor).transpose()?;
    let org = reader.whose(&state, query.0.org.as_deref(), "sessions").await?;
    let items = state.store.of(&org).list_sessions(before, limit).await.map_err(store_error)?;
    let full = items.len() == limit as usize;
    let next = items.last().filter(|_| full).map(|last| format!("{},{}", last.last_activity_at, last.session_id));
    Ok(web::Json(Envelope::new(Page { items, next })))
}

/// One conversation with its turns, oldest first.
#[utoipa::path(operation_id = "find_session", tag = "sessions", params(("id" = String, Path), DetailQuery), responses(
    (status = 200, body = Envelope<SessionDetail>),
    (status = 404, body = ErrorBody),
))]
#[get("/sessions/{id}")]
pub(crate) async fn detail(
    state: Data<State>,
    reader: Reader,
    id: Path<String>,
    query: Query<DetailQuery>,
) -> Result<web::Json<Envelope<SessionDetail>>, ApiError> {
    let limit = page_size(query.0.limit)?;
    let org = reader.whose(&state, query.0.org.as_deref(), "session").await?;
    let own = state.store.of(&org);
    let session = own.find_session(&id).await.map_err(store_error)?;
    let session = session.ok_or_else(|| ApiError::not_found("session"))?;
    let history = own.session_turns(&id, query.0.after.unwrap_or(0), limit).await.map_err(store_error)?;
    let full = history.len() == limit as usize;
    let next_after = history.last().filter(|_| full).map(|turn| turn.id);
    Ok(web::Json(Envelope::new(SessionDetail { session, history, next_after })))
}

fn parse_cursor(text: &str) -> Result<(String, String), ApiError> {
    let cursor = text.split_once(',').filter(|(time, _)| time.parse::<Timestamp>().is_ok());
    let cursor = cursor.map(|(time, id)| (time.to_owned(), id.to_owned()));
    cursor.ok_or_else(|| ApiError::invalid_field("before", "must be the `next` of an earlier page"))
}
