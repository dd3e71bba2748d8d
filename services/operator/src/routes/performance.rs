//! A performance row for every request that does not write its own.

use std::time::Instant;

use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::time;

use crate::state::State;
use crate::store::{NewPerformance, Record};

/// Marks a request whose handler writes the row itself, because it must be durable before the answer is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recorded;

/// Leaves a row for the request, without waiting for it.
pub(super) async fn record<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let started = Instant::now();
    let response = next.call(request).await?;
    if response.request().extensions().get::<Recorded>().is_none() {
        // What the writer has no room for is counted by it; these rows are statistics.
        let _ = state.store.writer.try_enqueue(Record::Performance(row(&response, started)));
    }
    Ok(response)
}

fn row<B>(response: &ServiceResponse<B>, started: Instant) -> NewPerformance {
    let request = response.request();
    let context = request.extensions().get::<RequestContext>().cloned();
    let error = response.response().error().and_then(|error| error.as_error::<ApiError>());
    NewPerformance {
        timestamp: time::now(),
        correlation_id: context.map(|context| context.correlation_id.to_string()).unwrap_or_default(),
        session_id: None,
        endpoint: request.match_pattern().unwrap_or_else(|| "unmatched".to_owned()),
        method: vx11_chassis::method_label(request.method()),
        status_code: response.status().as_u16().into(),
        latency_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
        provider: None,
        degraded: false,
        error_type: error.map(|error| error.code().as_str().to_owned()),
    }
}
