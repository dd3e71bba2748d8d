//! `/operator/api/notifications/subscriptions`: who gets e-mail about the interventions of the caller's organisation.

use actix_web::http::header::LOCATION;
use actix_web::web::{self, Data};
use actix_web::{HttpResponse, HttpResponseBuilder, delete, get, post};
use jiff::Timestamp;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Json, Path};
use vx11_contracts::error::PolicyRefusal;
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::{EmailSubscription, NewEmailSubscription, PILOTS, SUBSCRIPTIONS_OF_ORG};
use vx11_contracts::operator::Envelope;
use vx11_contracts::{ErrorBody, ErrorCode};

use super::CameFrom;
use crate::control::Subscribed;
use crate::routes::store_error;
use crate::state::State;

/// Have an address told by e-mail, or the pilots whom requests are meant for.
#[utoipa::path(operation_id = "create_email_subscription", tag = "notifications", request_body = NewEmailSubscription,
    responses(
        (status = 201, body = Envelope<EmailSubscription>, headers(("Location" = String, description = "its address"))),
        (status = 200, body = Envelope<EmailSubscription>, description = "there is this one already"),
        (status = 400, body = ErrorBody),
        (status = 403, body = ErrorBody, description = "the caller may not, or there is no mail server: `off_by_policy`"),
        (status = 409, body = ErrorBody, description = "there are 32 already"),
        (status = 422, body = ErrorBody, description = "no address, or none that may be written to"),
        (status = 503, body = ErrorBody),
    ))]
#[post("/notifications/subscriptions")]
pub(crate) async fn create(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    body: Json<NewEmailSubscription>,
) -> Result<HttpResponse, ApiError> {
    let principal = caller.require(Permission::ManagePolicies)?;
    let mut new = body.0;
    new.validate().map_err(|invalid| ApiError::invalid_field(invalid.field, invalid.detail))?;
    new.events.sort_unstable();
    new.events.dedup();
    let mail = state.desk.outboxes().mail.channel();
    mail.check_is_on().map_err(off)?;
    if new.to != PILOTS {
        new.to = mail.admit(&new.to).map_err(|why| ApiError::invalid_field("to", why))?;
    }
    let (subscriptions, by) = (state.desk.subscriptions(principal), from.actor(principal));
    match subscriptions.add(new, &by, Timestamp::now()).await.map_err(store_error)? {
        Subscribed::New(made) => Ok(found_at(HttpResponse::Created(), made)),
        Subscribed::Before(before) => Ok(found_at(HttpResponse::Ok(), before)),
        Subscribed::Full => Err(ApiError::new(
            ErrorCode::Conflict,
            format!("an organisation has at most {SUBSCRIPTIONS_OF_ORG} subscriptions"),
        )),
    }
}

/// Nobody can be told by e-mail, `why` says.
fn off(why: String) -> ApiError {
    ApiError::off_by_policy(PolicyRefusal {
        service: "operator".to_owned(),
        message: why,
        recommended_action: "name a mail server: VX11_SMTP_URL and operator.email.from".to_owned(),
    })
}

fn found_at(mut response: HttpResponseBuilder, subscription: EmailSubscription) -> HttpResponse {
    let address = format!("/operator/api/notifications/subscriptions/{}", subscription.id);
    response.insert_header((LOCATION, address)).json(Envelope::new(subscription))
}

/// Who gets e-mail.
#[utoipa::path(operation_id = "list_email_subscriptions", tag = "notifications", responses(
    (status = 200, body = Envelope<Vec<EmailSubscription>>),
    (status = 403, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/notifications/subscriptions")]
pub(crate) async fn list(
    state: Data<State>,
    caller: Caller,
) -> Result<web::Json<Envelope<Vec<EmailSubscription>>>, ApiError> {
    let principal = caller.require(Permission::ManagePolicies)?;
    let all = state.desk.subscriptions(principal).list().await.map_err(store_error)?;
    Ok(web::Json(Envelope::new(all)))
}

/// Tell somebody no more. What is in the outbox already still goes out.
#[utoipa::path(operation_id = "remove_email_subscription", tag = "notifications", params(("id" = String, Path)), responses(
    (status = 200, body = Envelope<bool>),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[delete("/notifications/subscriptions/{id}")]
pub(crate) async fn remove(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
) -> Result<web::Json<Envelope<bool>>, ApiError> {
    let principal = caller.require(Permission::ManagePolicies)?;
    let (by, now) = (from.actor(principal), Timestamp::now());
    let removed = state.desk.subscriptions(principal).remove(&id, &by, now).await.map_err(store_error)?;
    if removed { Ok(web::Json(Envelope::new(true))) } else { Err(ApiError::not_found("subscription")) }
}
