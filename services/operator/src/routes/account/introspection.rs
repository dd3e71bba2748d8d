//! Who comes with a key or token that another service was shown.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use vx11_chassis::ApiError;
use vx11_chassis::auth::Refusal;
use vx11_chassis::extract::Json;
use vx11_contracts::ErrorBody;
use vx11_contracts::identity::{Introspect, Introspected};
use vx11_contracts::operator::Envelope;

use crate::state::State;

/// Who comes with this key or token: for the services, which present the shared token.
///
/// The answer is of now. Who asks may believe it for four seconds and no longer, so that what was revoked is out within
/// five.
#[utoipa::path(operation_id = "introspect", tag = "identity", request_body = Introspect, responses(
    (status = 200, body = Envelope<Introspected>),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/introspect")]
pub(crate) async fn introspect(state: Data<State>, body: Json<Introspect>) -> Result<HttpResponse, ApiError> {
    let told = match state.verifier.introspect(&body.0.token).await {
        Ok(caller) => Introspected { caller: Some(caller), expired: false },
        Err(Refusal::Expired) => Introspected::EXPIRED,
        Err(Refusal::Invalid) => Introspected::NOBODY,
        Err(Refusal::Unavailable) => return Err(Refusal::Unavailable.into()),
    };
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(Envelope::new(told)))
}
