//! Logging in where people have an account: the browser is sent there, and comes back.

use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse, get};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::extract::{Path, Query};
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorBody;
use vx11_contracts::identity::LoginWays;
use vx11_contracts::operator::Envelope;

use super::cookies::Cookies;
use super::{Attempt, address, refusal};
use crate::login::Answered;
use crate::routes::origin::origin_of;
use crate::state::State;

/// The ways to log in, for a page with their buttons.
#[utoipa::path(operation_id = "login_ways", tag = "login", security(()), responses(
    (status = 200, body = Envelope<LoginWays>),
))]
#[get("/providers")]
pub(crate) async fn providers(state: Data<State>) -> web::Json<Envelope<LoginWays>> {
    web::Json(Envelope::new(state.login.ways()))
}

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginQuery {
    /// The path of ours at which the browser goes on afterwards; `/` where absent, and where it is another's.
    return_to: Option<String>,
}

/// Begin a login: the browser is sent to the provider.
#[utoipa::path(operation_id = "login_begin", tag = "login", security(()), params(("provider" = String, Path), BeginQuery), responses(
    (status = 302, description = "to the provider's page", headers(("location" = String), ("set-cookie" = String))),
    (status = 404, body = ErrorBody, description = "there is no such provider, or nobody logs in here"),
    (status = 422, body = ErrorBody),
    (status = 429, body = ErrorBody),
    (status = 502, body = ErrorBody, description = "the provider does not answer as it should"),
    (status = 503, body = ErrorBody, description = "the provider does not answer, or the database"),
))]
#[get("/login/{provider}")]
pub(crate) async fn begin(
    state: Data<State>,
    http: HttpRequest,
    provider: Path<String>,
    query: Query<BeginQuery>,
) -> Result<HttpResponse, ApiError> {
    let return_to = query.0.return_to.as_deref().unwrap_or("/");
    let begun = state.login.begin(&provider, return_to, &address(&http)).await.map_err(|denied| denied.error)?;
    let cookies = Cookies::of(state.login.public_url()?);
    let mut found = HttpResponse::Found();
    found.insert_header((LOCATION, begun.location.as_str()));
    Ok(found.append_header((SET_COOKIE, cookies.login(&begun.cookie))).finish())
}

/// What the provider sends along. It may say more than this.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct CallbackQuery {
    /// To be redeemed.
    code: Option<String>,
    /// What the login was begun with.
    state: Option<String>,
    /// Who answers (RFC 9207).
    iss: Option<String>,
    /// Why there is no code.
    error: Option<String>,
}

/// Finish a login: the provider sends the browser here, and it goes on where it wanted to, with a session.
#[utoipa::path(operation_id = "login_finish", tag = "login", security(()), params(("provider" = String, Path), CallbackQuery), responses(
    (status = 302, description = "to where the browser wanted to go on", headers(("location" = String), ("set-cookie" = String))),
    (status = 401, body = ErrorBody, description = "it is not proven who logs in, or who does may not come in"),
    (status = 404, body = ErrorBody, description = "there is no such provider, or nobody logs in here"),
    (status = 422, body = ErrorBody),
    (status = 429, body = ErrorBody),
    (status = 502, body = ErrorBody, description = "the provider does not answer as it should"),
    (status = 503, body = ErrorBody, description = "the provider does not answer, or the database"),
))]
#[get("/callback/{provider}")]
pub(crate) async fn finish(
    state: Data<State>,
    http: HttpRequest,
    context: RequestContext,
    provider: Path<String>,
    query: Query<CallbackQuery>,
) -> Result<HttpResponse, ApiError> {
    let cookies = Cookies::of(state.login.public_url()?);
    let (from, origin) = (address(&http), origin_of(&http));
    let attempt =
        Attempt { state: &state, context: &context, action: "login", way: &provider, address: &from, origin: &origin };
    let CallbackQuery { code, state: sent_state, iss: issuer, error } = query.0;
    let answered = Answered { code, state: sent_state, issuer, error, cookie: cookies.sent_login(&http) };
    match state.login.finish(&provider, answered, &from, &origin).await {
        Ok((session, return_to)) => {
            attempt.succeeded(&session.pilot.org, &session.pilot.pilot_id, session.is_new).await;
            let mut found = HttpResponse::Found();
            found.insert_header((LOCATION, return_to)).append_header((SET_COOKIE, cookies.no_login()));
            if let Some(token) = &session.refresh {
                found.append_header((SET_COOKIE, cookies.session(token, Timestamp::now())));
            }
            Ok(found.finish())
        }
        // Whatever came of it, the cookie is good for one login.
        Err(denied) => Ok(refusal(attempt.failed(denied).await, Some(cookies.no_login()))),
    }
}
