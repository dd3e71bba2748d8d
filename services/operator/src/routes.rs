//! The operator's addresses.

mod account;
mod attempt;
mod audit;
mod audit_log;
mod auth;
mod chat;
mod circuit_breakers;
mod commands;
mod config;
mod events;
mod guard_rules;
mod insights;
mod interventions;
mod links;
mod maintenance;
mod metrics;
mod notifications;
pub(crate) mod origin;
mod performance;
mod pilot;
mod reader;
mod replay;
mod rules;
mod sessions;
mod socket;
mod status;
mod turns;
mod units;
mod window;

use actix_web::middleware::from_fn;
use actix_web::web;
use utoipa::OpenApi;
use vx11_chassis::ApiError;
use vx11_chassis::client::CallError;
use vx11_contracts::ErrorCode;
use vx11_store::StoreError;

use events::PATH as EVENTS_PATH;
use links::Links;
pub(crate) use rules::RULES;
pub(crate) use socket::Callers;

/// Where a stream token in the address is looked at.
pub(crate) const STREAM_PATHS: &[&str] = &[EVENTS_PATH, socket::PATHS[0], socket::PATHS[1], socket::PATHS[2]];

/// Adds every route.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/operator/api")
            .wrap(from_fn(performance::record))
            .service(chat::chat)
            .service(window::open)
            .service(window::close)
            .service(window::show)
            .service(commands::run)
            .service(status::show)
            .service(config::show)
            .service(events::token)
            .service(events::events)
            .service(metrics::metrics)
            .service(sessions::list)
            .service(sessions::detail)
            .service(turns::add)
            .service(audit::list)
            .service(audit::trail)
            .service(audit_log::list)
            .service(audit_log::verify)
            .service(replay::replay)
            .service(circuit_breakers::list)
            .service(maintenance::run)
            .configure(interventions::routes)
            .configure(units::routes)
            .configure(pilot::routes)
            .configure(guard_rules::routes)
            .configure(notifications::routes)
            .configure(insights::routes)
            .configure(account::routes)
            .configure(auth::routes),
    );
    config.service(account::well_known_keys);
    // Where older clients look for them.
    config.service(web::scope("/api").configure(interventions::routes));
    config.configure(socket::routes);
}

/// The document of every route.
#[derive(OpenApi)]
#[openapi(
    paths(account::well_known_keys),
    modifiers(&Links),
    // What receivers of webhooks get, which no route answers with; and what events tell, as texts.
    components(schemas(
        vx11_contracts::intervention::WebhookEvent,
        vx11_contracts::chat::ChatFrame,
        vx11_contracts::event::StreamedEvent
    )),
    info(title = "VX11 operator", description = "Chat, sessions, events, metrics, audit and replay; interventions, which people decide; units of work, which people stop; and who may call."),
    nest(
        (path = "/operator/api", api = ScopeApi),
        (path = "/operator/api", api = interventions::InterventionsApi),
        (path = "/operator/api", api = units::UnitsApi),
        (path = "/operator/api", api = pilot::PilotApi),
        (path = "/operator/api", api = guard_rules::GuardRulesApi),
        (path = "/operator/api", api = notifications::NotificationsApi),
        (path = "/operator/api", api = insights::InsightsApi),
        (path = "/operator/api", api = account::AccountApi),
        (path = "/operator/api/auth", api = auth::AuthApi),
        (path = "/ws", api = socket::SocketApi),
    )
)]
pub(crate) struct OperatorApi;

/// The routes as they stand within their scope.
#[derive(OpenApi)]
#[openapi(paths(
    chat::chat,
    window::open,
    window::close,
    window::show,
    commands::run,
    status::show,
    config::show,
    events::token,
    events::events,
    metrics::metrics,
    sessions::list,
    sessions::detail,
    turns::add,
    audit::list,
    audit::trail,
    audit_log::list,
    audit_log::verify,
    replay::replay,
    circuit_breakers::list,
    maintenance::run
))]
struct ScopeApi;

/// A store that does not answer, to the caller of a route that needs it.
pub(crate) fn store_error(error: StoreError) -> ApiError {
    if error.is_unfit_text() {
        // In a body, as none is in an address: PostgreSQL alone minds.
        return ApiError::new(ErrorCode::InvalidField, "a text has the character U+0000, which cannot be kept");
    }
    ApiError::new(ErrorCode::StoreUnavailable, "the store does not answer; chat goes on without it").with_cause(error)
}

/// What madre answered instead of what was asked, passed on; or that it did not answer.
fn madre_error(error: CallError) -> ApiError {
    match error {
        CallError::Status { body: Some(body), .. } => ApiError::from(*body),
        CallError::Timeout => ApiError::new(ErrorCode::DeadlineExceeded, "madre did not answer in time"),
        error => ApiError::new(ErrorCode::ServiceUnavailable, "madre does not answer").with_cause(error),
    }
}

/// Rows of a page where the caller does not say.
const DEFAULT_PAGE: u32 = 50;
/// Most rows of a page.
const MAX_PAGE: u32 = 500;

/// The size of a page.
fn page_size(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked.unwrap_or(DEFAULT_PAGE) {
        limit @ 1..=MAX_PAGE => Ok(limit),
        _ => Err(ApiError::invalid_field("limit", format!("must be 1 to {MAX_PAGE}"))),
    }
}
