//! `/operator/api/auth`: people come in, stay, and leave.
//!
//! The refresh token is in a cookie that only these routes are sent and no page can read; access tokens are in answers,
//! for the page to keep in memory. What relies on the cookie is taken from pages of our own origin only.

mod cookies;
mod origin;
mod provider;
mod session;

use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use utoipa::OpenApi;
use vx11_chassis::{ApiError, RequestContext, header_names};
use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;
use vx11_contracts::{ErrorCode, time};

use crate::audit::outcome_of;
use crate::domain::audit::{Entry, Origin};
use crate::login::{Denied, REUSE};
use crate::state::State;
use crate::store::{Record, action};

/// Adds the routes, within the scope that is asked for.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    // What is here is for one browser at one moment, and no page shows it.
    let headers = DefaultHeaders::new()
        .add(("cache-control", "no-store"))
        .add(("referrer-policy", "no-referrer"))
        .add(("x-content-type-options", "nosniff"))
        .add(("x-frame-options", "DENY"))
        .add(("content-security-policy", "default-src 'none'; frame-ancestors 'none'"));
    config.service(
        web::scope("/auth")
            .wrap(headers)
            .service(provider::providers)
            .service(provider::begin)
            .service(provider::finish)
            .service(session::log_in)
            .service(session::refresh)
            .service(session::log_out),
    );
}

/// The document of the routes, as they stand within their scope.
#[derive(OpenApi)]
#[openapi(paths(
    provider::providers,
    provider::begin,
    provider::finish,
    session::log_in,
    session::refresh,
    session::log_out
))]
pub(super) struct AuthApi;

/// Somebody who wants to come in, or to leave.
struct Attempt<'a> {
    state: &'a State,
    context: &'a RequestContext,
    /// What is tried, such as `login`.
    action: &'static str,
    /// By which way: a provider's name as it was asked for, `password` or `cookie`.
    way: &'a str,
    /// From where.
    address: &'a str,
    origin: &'a Origin,
}

impl Attempt<'_> {
    async fn succeeded(&self, org: &OrgId, pilot_id: &str, is_new: bool) {
        self.note("ok", Some((org, pilot_id)), if is_new { "first" } else { "known" }).await;
    }

    /// Notes why it failed, and answers it: in the audit log too, where it is known who it should have been.
    async fn failed(&self, denied: Denied) -> ApiError {
        let Denied { error, reason, who } = denied;
        if let Some((org, pilot_id)) = &who
            && reason != REUSE
        {
            let entry = Entry::unproven(pilot_id, self.origin.clone(), format!("pilot.{}", self.action), time::now());
            self.state
                .audit
                .attempted(org, entry.to("pilot", pilot_id).ended(outcome_of(error.code().status()), reason));
        }
        let who = who.as_ref().map(|(org, pilot_id)| (org, pilot_id.as_str()));
        if is_news(error.code()) {
            self.note(error.code().as_str(), who, reason).await;
        }
        error
    }

    async fn note(&self, status: &str, who: Option<(&OrgId, &str)>, reason: &str) {
        let org = who.map(|(org, _)| org);
        let row = Action {
            org_id: org.cloned().unwrap_or_default(),
            target: who.map(|(_, pilot_id)| pilot_id.to_owned()),
            notes: Some(json!({"org": org, "way": self.way, "from": self.address, "reason": reason}).to_string()),
            ..action(&*self.context.correlation_id, self.action, "identity", status)
        };
        if let Err(error) = self.state.store.writer.write(Record::Action(row)).await {
            tracing::warn!(%error, action = self.action, "its row in the audit log is late");
        }
    }
}

/// Whether a failure has its row in the trail. What strangers can do as often as they like has none, be it counted: to ask
/// for what isn't there, to be told to wait, and to send what cannot be a name. So a way that is noted is one of ours.
fn is_news(code: ErrorCode) -> bool {
    !matches!(code, ErrorCode::NotFound | ErrorCode::RateLimited | ErrorCode::InvalidField)
}

/// Where a request is from: as the edge says it, which takes the header from nobody else; or the peer.
fn address(http: &HttpRequest) -> String {
    let said = http.headers().get(header_names::CLIENT_ADDRESS).and_then(|value| value.to_str().ok());
    let said = said.filter(|said| said.parse::<std::net::IpAddr>().is_ok()).map(str::to_owned);
    let peer = || http.peer_addr().map_or_else(|| "unknown".to_owned(), |address| address.ip().to_string());
    said.unwrap_or_else(peer)
}

/// A refusal that a browser's cookie goes with.
fn refusal(error: ApiError, cookie: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::from_error(error);
    if let Some(value) = cookie.and_then(|cookie| cookie.parse().ok()) {
        response.headers_mut().append(actix_web::http::header::SET_COOKIE, value);
    }
    response
}
