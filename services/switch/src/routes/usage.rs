//! `GET /switch/usage`: what was asked and spent, by key, organisation, model or day.

use actix_web::web::Json;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type};
use vx11_chassis::ApiError;
use vx11_chassis::extract::Query;
use vx11_contracts::error::{ErrorBody, ErrorCode};
use vx11_contracts::switch::{UsageReport, UsageRow};
use vx11_contracts::time;

use crate::accounts::render_picos;
use crate::gateway::Gateway;
use crate::store::{Grouping, UsageSum};

/// What is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageQuery {
    /// `key`, `org`, `model` or `day` (of UTC); `key` where absent.
    #[param(pattern = "^(key|org|model|day)$")]
    group_by: Option<String>,
    /// From this time on: RFC 3339, or a day such as `2026-11-21`, from its beginning.
    #[param(schema_with = time_or_day)]
    from: Option<String>,
    /// Until before this time, as `from`.
    #[param(schema_with = time_or_day)]
    to: Option<String>,
}

fn time_or_day() -> Schema {
    let text = |format| ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)));
    OneOfBuilder::new().item(text(KnownFormat::DateTime)).item(text(KnownFormat::Date)).into()
}

/// Requests, tokens and costs, in groups.
///
/// A request shows once it has ended and its row is written, which is a matter of milliseconds.
#[utoipa::path(
    get,
    path = "/switch/usage",
    tag = "switch",
    params(UsageQuery),
    responses((status = 200, body = UsageReport), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody))
)]
pub(super) async fn usage(gateway: Gateway, Query(query): Query<UsageQuery>) -> Result<Json<UsageReport>, ApiError> {
    let by = query.group_by.as_deref().unwrap_or(Grouping::Key.as_str());
    let by = Grouping::parse(by)
        .ok_or_else(|| ApiError::invalid_field("group_by", "must be `key`, `org`, `model` or `day`"))?;
    let from = query.from.map(|text| read_time("from", &text)).transpose()?;
    let to = query.to.map(|text| read_time("to", &text)).transpose()?;
    let sums = gateway.shared.accounts.ledger().usage(by, from.clone(), to.clone()).await.map_err(|error| {
        ApiError::new(ErrorCode::StoreUnavailable, "the ledger does not answer; try again shortly").with_cause(error)
    })?;
    let rows = sums.into_iter().map(row).collect();
    Ok(Json(UsageReport { group_by: by.as_str().to_owned(), from, to, rows }))
}

fn row(sum: UsageSum) -> UsageRow {
    UsageRow {
        group: sum.group,
        requests: sum.requests,
        prompt_tokens: sum.prompt_tokens,
        cached_tokens: sum.cached_tokens,
        cache_written_tokens: sum.cache_written_tokens,
        completion_tokens: sum.completion_tokens,
        reasoning_tokens: sum.reasoning_tokens,
        estimated_requests: sum.estimated_requests,
        cache_hits: sum.cache_hits,
        cost_usd: render_picos(sum.cost_picos),
    }
}

fn read_time(field: &str, text: &str) -> Result<String, ApiError> {
    let day = || format!("{text}T00:00:00Z").parse::<Timestamp>();
    let at = text.parse::<Timestamp>().or_else(|_| day());
    at.map(time::render).map_err(|_| ApiError::invalid_field(field, "must be a time of RFC 3339, or a day"))
}
