//! A session: begun with a password, gone on with, and ended.

use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use jiff::Timestamp;
use vx11_chassis::auth::presented_token;
use vx11_chassis::extract::Json;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::identity::{PasswordLogin, TokenGranted};
use vx11_contracts::operator::Envelope;
use vx11_contracts::{ErrorBody, ErrorCode};

use super::cookies::Cookies;
use super::{Attempt, address, origin, refusal};
use crate::control::Session;
use crate::routes::origin::origin_of;
use crate::state::State;

/// Log in with a name and a password.
#[utoipa::path(operation_id = "login_with_password", tag = "login", security(()), request_body = PasswordLogin, responses(
    (status = 200, body = Envelope<TokenGranted>, headers(("set-cookie" = String))),
    (status = 400, body = ErrorBody),
    (status = 401, body = ErrorBody, description = "the name or the password is wrong"),
    (status = 403, body = ErrorBody, description = "it comes from another origin's page"),
    (status = 404, body = ErrorBody, description = "nobody logs in with a password here"),
    (status = 422, body = ErrorBody),
    (status = 429, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/login")]
pub(crate) async fn log_in(
    state: Data<State>,
    http: HttpRequest,
    context: RequestContext,
    body: Json<PasswordLogin>,
) -> Result<HttpResponse, ApiError> {
    let public_url = state.login.public_url()?;
    origin::check_if_said(&http, public_url)?;
    let (from, origin) = (address(&http), origin_of(&http));
    let attempt =
        Attempt { state: &state, context: &context, action: "login", way: "password", address: &from, origin: &origin };
    match state.login.with_password(body.0, &from, origin.clone()).await {
        Ok(session) => {
            attempt.succeeded(&session.pilot.org, &session.pilot.pilot_id, session.is_new).await;
            granted(&state, Cookies::of(public_url), &session).await
        }
        Err(denied) => Err(attempt.failed(denied).await),
    }
}

/// Go on with a session: another access token, and the cookie's next value.
#[utoipa::path(operation_id = "refresh", tag = "login", security(()), responses(
    (status = 200, body = Envelope<TokenGranted>, headers(("set-cookie" = String))),
    (status = 401, body = ErrorBody, description = "there is no session, or it is over"),
    (status = 403, body = ErrorBody, description = "it comes from another origin's page, or doesn't say from where"),
    (status = 404, body = ErrorBody, description = "nobody logs in here"),
    (status = 503, body = ErrorBody),
))]
#[post("/refresh")]
pub(crate) async fn refresh(
    state: Data<State>,
    http: HttpRequest,
    context: RequestContext,
) -> Result<HttpResponse, ApiError> {
    let public_url = state.login.public_url()?;
    origin::check(&http, public_url)?;
    let cookies = Cookies::of(public_url);
    match state.login.refresh(cookies.sent_session(&http).as_deref(), origin_of(&http)).await {
        Ok(session) => granted(&state, cookies, &session).await,
        Err(denied) => {
            let is_over = denied.error.code() == ErrorCode::LoginFailed;
            let (from, origin) = (address(&http), origin_of(&http));
            let attempt = Attempt {
                state: &state,
                context: &context,
                action: "refresh",
                way: "cookie",
                address: &from,
                origin: &origin,
            };
            // Strangers without a session are no news.
            let error = if denied.who.is_some() { attempt.failed(denied).await } else { denied.error };
            Ok(refusal(error, is_over.then(|| cookies.no_session())))
        }
    }
}

/// Leave: the session ends, and the access token that is sent along as `Authorization: Bearer`.
#[utoipa::path(operation_id = "logout", tag = "login", security((), ("bearer" = [])), responses(
    (status = 204, description = "there is no session any more, if there was one", headers(("set-cookie" = String))),
    (status = 403, body = ErrorBody, description = "it comes from another origin's page, or doesn't say from where"),
    (status = 404, body = ErrorBody, description = "nobody logs in here"),
    (status = 503, body = ErrorBody),
))]
#[post("/logout")]
pub(crate) async fn log_out(
    state: Data<State>,
    http: HttpRequest,
    context: RequestContext,
) -> Result<HttpResponse, ApiError> {
    let public_url = state.login.public_url()?;
    origin::check(&http, public_url)?;
    let cookies = Cookies::of(public_url);
    let (session, token) = (cookies.sent_session(&http), presented_token(http.headers()));
    let ended = state.login.log_out(session.as_deref(), token, origin_of(&http)).await;
    let (from, origin) = (address(&http), origin_of(&http));
    let attempt =
        Attempt { state: &state, context: &context, action: "logout", way: "cookie", address: &from, origin: &origin };
    match ended {
        Ok(Some(owner)) => attempt.succeeded(&owner.org, &owner.pilot_id, false).await,
        Ok(None) => {}
        Err(denied) => return Err(attempt.failed(denied).await),
    }
    Ok(HttpResponse::NoContent().insert_header((SET_COOKIE, cookies.no_session())).finish())
}

async fn granted(state: &State, cookies: Cookies, session: &Session) -> Result<HttpResponse, ApiError> {
    let grant = state.login.grant(session).await?;
    let mut ok = HttpResponse::Ok();
    if let Some(token) = &session.refresh {
        ok.insert_header((SET_COOKIE, cookies.session(token, Timestamp::now())));
    }
    Ok(ok.json(Envelope::new(grant)))
}
