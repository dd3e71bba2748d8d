//! A performance row for every request that does not write its own.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage};
use vx11_chassis::auth::Caller;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::identity::OrgId;
use vx11_contracts::time;
use vx11_store::OrgColumn;

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
    // What nobody in particular asks for, such as to log in, is the platform's own.
    let org = Caller::extract(request).into_inner().map_or_else(|_| OrgId::platform(), |caller| caller.0.org);
    let context = request.extensions().get::<RequestContext>().cloned();
    let error = response.response().error().and_then(|error| error.as_error::<ApiError>());
    NewPerformance {
        org_id: OrgColumn(org),
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
