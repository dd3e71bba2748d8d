//! `/operator/api/keys`: an organisation's API keys.

use actix_web::web::{self, Data};
use actix_web::{HttpResponse, delete, get, patch, post};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Json, Path, Query};
use vx11_contracts::identity::{ApiKey, KeyChange, KeyMade, NewKey, Permission};
use vx11_contracts::operator::{Envelope, Page};
use vx11_contracts::{ErrorBody, ErrorCode};
use vx11_identity::NewApiKey;

use super::unfit;
use crate::control::KeyError;
use crate::domain::key_terms::KeyTerms;
use crate::routes::attempt::Attempt;
use crate::routes::origin::CameFrom;
use crate::routes::{page_size, store_error};
use crate::state::State;

/// Make an API key. It is shown in this answer and never again.
#[utoipa::path(operation_id = "create_key", tag = "identity", request_body = NewKey, responses(
    (status = 201, body = Envelope<KeyMade>),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody, description = "the key would be of another organisation, or may more than the caller"),
    (status = 409, body = ErrorBody, description = "there is no such organisation, or it is closed"),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/keys")]
pub(crate) async fn create(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    body: Json<NewKey>,
) -> Result<HttpResponse, ApiError> {
    let attempt = Attempt::new(&state, &caller, &from, "key.create");
    let made = make(&attempt, &caller, &body.0).await;
    let id = made.as_ref().ok().map(|made| made.key.id.clone());
    let made = attempt.end(id.as_deref(), made).await?;
    Ok(HttpResponse::Created().insert_header(("cache-control", "no-store")).json(Envelope::new(made)))
}

async fn make(attempt: &Attempt<'_>, caller: &Caller, asked: &NewKey) -> Result<KeyMade, ApiError> {
    let principal = caller.require(Permission::ManageKeys)?;
    let org = asked.org.as_ref().unwrap_or(&principal.org);
    if *org != principal.org {
        caller.require(Permission::ManageOrgs)?;
    }
    let now = Timestamp::now();
    let terms = KeyTerms::read(asked, &principal.subject, now).map_err(unfit)?;
    if !terms.is_within(principal) {
        return Err(ApiError::new(ErrorCode::Forbidden, "nobody makes a key that may more than oneself"));
    }
    let key = NewApiKey::make();
    let shown = attempt.state.control.keys(org).make(&key, terms, &attempt.actor(), now).await.map_err(store_error)?;
    let shown = shown.ok_or_else(|| {
        ApiError::new(ErrorCode::Conflict, format!("there is no organisation `{org}`, or it is closed"))
    })?;
    Ok(KeyMade { key: shown, secret: key.plain.expose_secret().to_owned() })
}

/// Which keys.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysQuery {
    /// The page's `next` of before.
    before: Option<String>,
    /// 1 to 500; 50 where absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// The organisation's keys without their secrets, the newest first; those that were revoked included.
#[utoipa::path(operation_id = "list_keys", tag = "identity", params(KeysQuery), responses(
    (status = 200, body = Envelope<Page<ApiKey>>),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/keys")]
pub(crate) async fn list(
    state: Data<State>,
    caller: Caller,
    query: Query<KeysQuery>,
) -> Result<web::Json<Envelope<Page<ApiKey>>>, ApiError> {
    let principal = caller.require(Permission::ManageKeys)?;
    let limit = page_size(query.0.limit)?;
    let before = query.0.before.as_deref().map(|cursor| {
        let parts = cursor.split_once(',').map(|(time, id)| (time.to_owned(), id.to_owned()));
        parts.ok_or_else(|| ApiError::invalid_field("before", "must be the `next` of an earlier page"))
    });
    let items = state.control.keys(&principal.org).list(before.transpose()?, limit).await.map_err(store_error)?;
    let full = items.len() == limit as usize;
    let next = items.last().filter(|_| full).map(|last| format!("{},{}", last.created_at, last.id));
    Ok(web::Json(Envelope::new(Page { items, next })))
}

/// Change the limits of a key at the gateway; in force within five seconds. What was spent stays spent.
#[utoipa::path(operation_id = "change_key", tag = "identity", params(("id" = String, Path)), request_body = KeyChange,
    responses(
        (status = 200, body = Envelope<ApiKey>),
        (status = 400, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "the key was revoked"),
        (status = 422, body = ErrorBody),
        (status = 503, body = ErrorBody),
    )
)]
#[patch("/keys/{id}")]
pub(crate) async fn change(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
    body: Json<KeyChange>,
) -> Result<web::Json<Envelope<ApiKey>>, ApiError> {
    let attempt = Attempt::new(&state, &caller, &from, "key.change");
    let changed = limit(&attempt, &caller, &id, body.0).await;
    Ok(web::Json(Envelope::new(attempt.end(Some(&id), changed).await?)))
}

async fn limit(attempt: &Attempt<'_>, caller: &Caller, id: &str, asked: KeyChange) -> Result<ApiKey, ApiError> {
    let principal = caller.require(Permission::ManageKeys)?;
    let keys = attempt.state.control.keys(&principal.org);
    let changed = keys.limit(id, asked.limits, &attempt.actor(), Timestamp::now()).await;
    changed.map_err(|error| match error {
        KeyError::NotFound => ApiError::not_found("key"),
        KeyError::Revoked => ApiError::new(ErrorCode::Conflict, "the key was revoked"),
        KeyError::Unfit(problem) => unfit(problem),
        KeyError::Store(error) => store_error(error),
    })
}

/// Revoke a key: it lets nobody in any more, within five seconds on every replica.
#[utoipa::path(operation_id = "revoke_key", tag = "identity", params(("id" = String, Path)), responses(
    (status = 200, body = Envelope<ApiKey>),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[delete("/keys/{id}")]
pub(crate) async fn revoke(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
) -> Result<web::Json<Envelope<ApiKey>>, ApiError> {
    let attempt = Attempt::new(&state, &caller, &from, "key.revoke");
    let revoked = end(&attempt, &caller, &id).await;
    Ok(web::Json(Envelope::new(attempt.end(Some(&id), revoked).await?)))
}

async fn end(attempt: &Attempt<'_>, caller: &Caller, id: &str) -> Result<ApiKey, ApiError> {
    let principal = caller.require(Permission::ManageKeys)?;
    let keys = attempt.state.control.keys(&principal.org);
    let revoked = keys.revoke(id, &attempt.actor(), Timestamp::now()).await.map_err(store_error)?;
    attempt.state.verifier.forget(id);
    revoked.ok_or_else(|| ApiError::not_found("key"))
}
