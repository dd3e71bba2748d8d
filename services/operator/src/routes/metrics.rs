//! `GET /operator/api/metrics`

use std::time::Instant;

use actix_web::get;
use actix_web::web::{self, Data};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::extract::Query;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorBody;
use vx11_contracts::operator::{Envelope, MetricsSummary};
use vx11_contracts::time;

use super::reader::{ALL, Reader};
use super::store_error;
use crate::domain::period::Period;
use crate::state::State;

/// Over how long to sum up.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricsQuery {
    /// `1h` (the default), `6h` or `24h`.
    #[param(pattern = "^(1h|6h|24h)$")]
    period: Option<String>,
    /// Another organisation, or `*` for all together: for ADMINs of the platform.
    #[param(max_length = 63, pattern = r"^(\*|[a-z0-9]+(-[a-z0-9]+)*)$")]
    org: Option<String>,
}

/// How the organisation's requests went lately; up to five minutes old.
#[utoipa::path(operation_id = "sum_up_requests", tag = "metrics", params(MetricsQuery), responses(
    (status = 200, body = Envelope<MetricsSummary>),
    (status = 404, body = ErrorBody),
    (status = 422, body = ErrorBody),
))]
#[get("/metrics")]
pub(crate) async fn metrics(
    state: Data<State>,
    reader: Reader,
    context: RequestContext,
    query: Query<MetricsQuery>,
) -> Result<web::Json<Envelope<MetricsSummary>>, ApiError> {
    let word = query.0.period.as_deref().unwrap_or("1h");
    let period = Period::parse(word).ok_or_else(|| ApiError::invalid_field("period", "must be 1h, 6h or 24h"))?;
    let org = match query.0.org.as_deref() {
        Some(ALL) => {
            reader.see_all(&state, "metrics").await?;
            None
        }
        asked => Some(reader.whose(&state, asked, "metrics").await?),
    };
    let now = Instant::now();
    let correlation_id = context.correlation_id.to_string();
    if let Some(summary) = state.summaries.get(&org, period, now) {
        return Ok(web::Json(Envelope::new(MetricsSummary { correlation_id, ..summary })));
    }
    let since = period.first_minute(Timestamp::now());
    let sum = match &org {
        Some(org) => state.store.of(org).performance_since(since).await,
        None => state.store.performance_of_all_since(since).await,
    };
    let sum = sum.map_err(store_error)?;
    let summary = MetricsSummary {
        correlation_id,
        period: period.as_str().to_owned(),
        request_counts: sum.request_counts(),
        latencies: sum.latencies(),
        errors: sum.errors().clone(),
        provider_usage: sum.providers().clone(),
        generated_at: time::now(),
    };
    state.summaries.put(org, period, now, summary.clone());
    Ok(web::Json(Envelope::new(summary)))
}
