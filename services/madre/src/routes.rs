//! madre's routes.

mod audit;
mod chat;
mod maintenance;
mod plans;
mod power;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;
use vx11_chassis::ApiError;

/// Adds every route.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(
        web::scope("/madre")
            .service(chat::chat)
            .service(plans::list)
            .service(plans::find)
            .service(plans::confirm)
            .service(audit::trail)
            .service(power::power_state)
            .service(power::token)
            .service(power::open_window)
            .service(power::close_window)
            .service(power::policy_status)
            .service(power::apply_policy)
            .service(power::release_policy)
            .service(power::act)
            .service(maintenance::post_task),
    );
}

/// The routes' document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "VX11 madre",
        description = "The orchestrator: chat of last resort, plans, power windows, maintenance."
    ),
    paths(
        chat::chat,
        plans::list,
        plans::find,
        plans::confirm,
        audit::trail,
        power::power_state,
        power::token,
        power::open_window,
        power::close_window,
        power::policy_status,
        power::apply_policy,
        power::release_policy,
        power::act,
        maintenance::post_task,
    )
)]
pub(crate) struct MadreApi;

/// Runs `work` to its end even when the caller goes away and drops the handler: what has been begun is not left half
/// done.
async fn to_its_end<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, ApiError>
where
    T: Send + 'static,
    E: Into<ApiError> + Send + 'static,
{
    use tracing::Instrument;
    let done = tokio::spawn(work.in_current_span()).await;
    done.map_err(ApiError::internal)?.map_err(Into::into)
}
