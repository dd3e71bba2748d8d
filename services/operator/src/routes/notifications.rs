//! `/operator/api/notifications`: who gets e-mail, what was told outside, and what could not be.

mod subscriptions;

use actix_web::web::{self, Data, Json};
use actix_web::{get, post};
use jiff::Timestamp;
use utoipa::OpenApi;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Path, Query};
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::{Channel, Delivery, DeliveryPage, ListDeliveries};
use vx11_contracts::operator::Envelope;
use vx11_contracts::{ErrorBody, ErrorCode};

use super::origin::CameFrom;
use super::{page_size, store_error};
use crate::state::State;

/// Adds the routes, within the scope that is asked for.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(list)
        .service(retry)
        .service(subscriptions::create)
        .service(subscriptions::list)
        .service(subscriptions::remove);
}

/// The document of the routes, as they stand within their scope.
#[derive(OpenApi)]
#[openapi(paths(list, retry, subscriptions::create, subscriptions::list, subscriptions::remove))]
pub(super) struct NotificationsApi;

/// Longest cursor.
const CURSOR_CHARS: usize = 128;

/// Webhooks and e-mail that were sent or are to be, the newest first; with `state=dead` those that were given up.
#[utoipa::path(operation_id = "list_deliveries", tag = "notifications", params(ListDeliveries), responses(
    (status = 200, body = Envelope<DeliveryPage>),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/notifications/deliveries")]
pub(crate) async fn list(
    state: Data<State>,
    caller: Caller,
    query: Query<ListDeliveries>,
) -> Result<Json<Envelope<DeliveryPage>>, ApiError> {
    let principal = caller.require(Permission::ManagePolicies)?;
    let query = query.0;
    page_size(query.limit)?;
    // Ids are of these characters only.
    let is_id =
        |id: &String| id.len() <= CURSOR_CHARS && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !query.cursor.as_ref().is_none_or(is_id) {
        return Err(ApiError::invalid_field("cursor", "not a cursor: `next` of the page before"));
    }
    let page = state.desk.deliveries(principal).list(query).await.map_err(store_error)?;
    Ok(Json(Envelope::new(page)))
}

/// Have a delivery that was given up sent again: at once, and as often as a new one.
#[utoipa::path(operation_id = "retry_delivery", tag = "notifications", params(("id" = String, Path)), responses(
    (status = 200, body = Envelope<Delivery>),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "it is not dead"),
    (status = 503, body = ErrorBody),
))]
#[post("/notifications/deliveries/{id}/retry")]
pub(crate) async fn retry(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
) -> Result<Json<Envelope<Delivery>>, ApiError> {
    let principal = caller.require(Permission::ManagePolicies)?;
    let (by, now) = (from.actor(principal), Timestamp::now());
    let found = state.desk.deliveries(principal).retry(id.into_inner(), &by, now).await.map_err(store_error)?;
    let (delivery, is_done) = found.ok_or_else(|| ApiError::not_found("delivery"))?;
    if !is_done {
        let detail = format!("it is {}: only what is dead is sent again", delivery.state);
        return Err(ApiError::new(ErrorCode::Conflict, detail));
    }
    match delivery.channel {
        Channel::Webhook => state.desk.outboxes().webhooks.wake(),
        Channel::Email => state.desk.outboxes().mail.wake(),
    }
    Ok(Json(Envelope::new(delivery)))
}
