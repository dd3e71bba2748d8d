//! `/operator/api/orgs`: organisations, kept by the platform's own ADMINs.

use actix_web::web::{self, Data};
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Json, Path, Query};
use vx11_contracts::identity::{NewOrg, Org, OrgId, Permission};
use vx11_contracts::operator::{Envelope, Page};
use vx11_contracts::{ErrorBody, ErrorCode};

use super::unfit;
use crate::domain::key_terms::{NAME_RULE, Unfit, name_for_people};
use crate::routes::attempt::Attempt;
use crate::routes::origin::CameFrom;
use crate::routes::{page_size, store_error};
use crate::state::State;

/// Make an organisation.
#[utoipa::path(operation_id = "create_org", tag = "identity", request_body = NewOrg, responses(
    (status = 201, body = Envelope<Org>),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "there is one of this id, or was"),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/orgs")]
pub(crate) async fn create(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    body: Json<NewOrg>,
) -> Result<HttpResponse, ApiError> {
    let attempt = Attempt::new(&state, &caller, &from, "org.create");
    let made = make(&attempt, &caller, &body.0).await;
    let org = attempt.end(Some(body.0.id.as_str()), made).await?;
    Ok(HttpResponse::Created().json(Envelope::new(org)))
}

async fn make(attempt: &Attempt<'_>, caller: &Caller, asked: &NewOrg) -> Result<Org, ApiError> {
    caller.require(Permission::ManageOrgs)?;
    let name = name_for_people(asked.name.as_deref().unwrap_or(asked.id.as_str()));
    let name = name.ok_or_else(|| unfit(Unfit { field: "name", detail: NAME_RULE }))?;
    let made = attempt
        .state
        .control
        .make_org(&asked.id, &name, &attempt.actor(), Timestamp::now())
        .await
        .map_err(store_error)?;
    made.ok_or_else(|| ApiError::new(ErrorCode::Conflict, "there is an organisation of this id, or was"))
}

/// Which organisations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrgsQuery {
    /// The page's `next` of before.
    after: Option<String>,
    /// 1 to 500; 50 where absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Organisations, those that were closed included, in order of their ids.
#[utoipa::path(operation_id = "list_orgs", tag = "identity", params(OrgsQuery), responses(
    (status = 200, body = Envelope<Page<Org>>),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/orgs")]
pub(crate) async fn list(
    state: Data<State>,
    caller: Caller,
    query: Query<OrgsQuery>,
) -> Result<web::Json<Envelope<Page<Org>>>, ApiError> {
    caller.require(Permission::ManageOrgs)?;
    let limit = page_size(query.0.limit)?;
    let items = state.control.list_orgs(query.0.after, limit).await.map_err(store_error)?;
    let full = items.len() == limit as usize;
    let next = items.last().filter(|_| full).map(|last| last.id.to_string());
    Ok(web::Json(Envelope::new(Page { items, next })))
}

/// Close an organisation: its keys and tokens let nobody in any more, within five seconds on every replica.
#[utoipa::path(operation_id = "close_org", tag = "identity", params(("id" = String, Path)), responses(
    (status = 200, body = Envelope<Org>),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "it is the platform's own"),
    (status = 503, body = ErrorBody),
))]
#[post("/orgs/{id}/close")]
pub(crate) async fn close(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
) -> Result<web::Json<Envelope<Org>>, ApiError> {
    let attempt = Attempt::new(&state, &caller, &from, "org.close");
    let closed = end(&attempt, &caller, &id).await;
    Ok(web::Json(Envelope::new(attempt.end(Some(&id), closed).await?)))
}

async fn end(attempt: &Attempt<'_>, caller: &Caller, id: &str) -> Result<Org, ApiError> {
    caller.require(Permission::ManageOrgs)?;
    let missing = || ApiError::not_found("organisation");
    let id: OrgId = id.parse().map_err(|_| missing())?;
    if id.is_platform() {
        return Err(ApiError::new(ErrorCode::Conflict, "the platform's own organisation cannot be closed"));
    }
    let closed = attempt.state.control.close_org(&id, &attempt.actor(), Timestamp::now()).await.map_err(store_error)?;
    attempt.state.verifier.forget_all();
    closed.ok_or_else(missing)
}
