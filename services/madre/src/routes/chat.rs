//! `/madre/chat`

use actix_web::web::{self, ThinData};
use actix_web::{HttpMessage, HttpRequest, post};
use vx11_chassis::auth::Caller;
use vx11_chassis::context::is_valid_id;
use vx11_chassis::extract::Json;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorCode;
use vx11_contracts::error::ErrorBody;
use vx11_contracts::madre::{MadreChatRequest, MadreChatResponse};

use crate::state::State;

/// Characters of a message.
const MOST_CHARS: usize = 10_000;

/// The chat of last resort: answers by fixed rules, or waits for a confirmation where harm could be done. It is for the
/// organisation that `x-vx11-org` names; for the platform's own where none is named.
#[utoipa::path(tag = "chat", context_path = "/madre", request_body = MadreChatRequest,
    responses((status = 200, body = MadreChatResponse), (status = "default", body = ErrorBody)))]
#[post("/chat")]
pub(crate) async fn chat(
    state: ThinData<State>,
    request: HttpRequest,
    caller: Caller,
    context: RequestContext,
    body: Json<MadreChatRequest>,
) -> Result<web::Json<MadreChatResponse>, ApiError> {
    let MadreChatRequest { message, session_id, correlation_id, .. } = body.0;
    check_message(&message)?;
    check_id("session_id", session_id.as_deref())?;
    check_id("correlation_id", correlation_id.as_deref())?;
    let correlation_id = match correlation_id {
        Some(id) => {
            request.extensions_mut().insert(context.with_correlation_id(&id));
            id
        }
        None => context.correlation_id.to_string(),
    };
    let session_id = session_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    Ok(web::Json(state.chat.answer(&caller.0.org, &message, &correlation_id, &session_id).await))
}

fn check_message(message: &str) -> Result<(), ApiError> {
    if message.trim().is_empty() {
        return Err(ApiError::invalid_field("message", "must not be blank"));
    }
    if message.chars().count() > MOST_CHARS {
        let detail = format!("the message has more than {MOST_CHARS} characters");
        return Err(ApiError::new(ErrorCode::MessageTooLong, detail));
    }
    Ok(())
}

fn check_id(field: &str, id: Option<&str>) -> Result<(), ApiError> {
    match id {
        Some(id) if !is_valid_id(id) => {
            Err(ApiError::invalid_field(field, "must be 1 to 128 visible ASCII characters"))
        }
        _ => Ok(()),
    }
}
