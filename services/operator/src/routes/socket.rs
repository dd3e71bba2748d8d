//! `/ws/interventions`: a pilot's screen, which learns of requests as they come and decides them.

mod callers;
mod commands;
mod frames;
mod live;
mod login;

use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::{AggregatedMessageStream, CloseCode, CloseReason, Session};
use tracing::Instrument;
use utoipa::OpenApi;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Proof;
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::{CLOSE_NOBODY, CLOSE_WRONG_TOKEN};
use vx11_contracts::{ErrorBody, ErrorCode};

use super::origin::origin_of;
use crate::domain::audit::Origin;
use crate::state::State;

pub(crate) use callers::Callers;

/// Where it is, and where older clients look for it.
pub(super) const PATHS: [&str; 3] = ["/ws/interventions", "/ws/dashboard", "/ws"];

/// Most bytes of a message that a client sends.
const MAX_MESSAGE: usize = 64 * 1024;
/// Sockets at a time of which it is not yet known who calls. Each has a few seconds to say so.
const MAX_UNPROVEN: usize = 1000;
/// Longest wait until a closed socket has taken its close frame.
const CLOSING: std::time::Duration = std::time::Duration::from_secs(1);

/// Adds the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    for path in PATHS {
        config.route(path, web::get().to(open));
    }
}

/// The document of the socket.
#[derive(OpenApi)]
#[openapi(paths(open))]
pub(super) struct SocketApi;

/// Follow interventions live, and decide them, over a WebSocket.
///
/// Who calls is said by a header, by `?token=`, or by the first frame: `{"type": "auth", "token": "…"}`. Close codes:
/// 4401 nobody's token, or one that expired or was revoked since, 4403 not permitted, 4408 silent, 4409 too many of the
/// same caller, of which this was the oldest, 1001 the service stops, 1009 a message of more than 64 KiB,
/// 1013 too many are open.
#[utoipa::path(get, path = "/interventions", operation_id = "follow_interventions", tag = "interventions",
    params(("token" = Option<String>, Query, description = "a stream token or an access token")),
    responses(
        (status = 101, description = "the WebSocket is open"),
        (status = 400, body = ErrorBody, description = "not a WebSocket's handshake"),
    ))]
async fn open(state: Data<State>, http: HttpRequest, proof: Proof, payload: Payload) -> Result<HttpResponse, ApiError> {
    let handshake = actix_ws::handle(&http, payload);
    let (answer, session, messages) =
        handshake.map_err(|error| ApiError::new(ErrorCode::MalformedRequest, error.to_string()))?;
    let messages = messages.max_frame_size(MAX_MESSAGE).aggregate_continuations().max_continuation_size(MAX_MESSAGE);
    let origin = origin_of(&http);
    actix_web::rt::spawn(serve(state, proof, origin, session, messages).in_current_span());
    Ok(answer)
}

async fn serve(
    state: Data<State>,
    proof: Proof,
    origin: Origin,
    session: Session,
    mut messages: AggregatedMessageStream,
) {
    let closing = session.clone();
    let end = live(&state, proof, origin, session, &mut messages).await;
    let reason = CloseReason { code: CloseCode::from(end.code()), description: Some(end.reason().to_owned()) };
    // A client that takes nothing is not waited for.
    let _ = tokio::time::timeout(CLOSING, closing.close(Some(reason))).await;
}

async fn live(
    state: &State,
    proof: Proof,
    origin: Origin,
    mut session: Session,
    messages: &mut AggregatedMessageStream,
) -> End {
    let sockets = state.chat.metrics.sockets();
    let unproven = match proof.is_proven() {
        true => None,
        false => match sockets.enter_unproven(MAX_UNPROVEN) {
            Some(place) => Some(place),
            None => return End::Full,
        },
    };
    // In a box, which is gone when it is known who calls.
    let login = Box::pin(login::login(proof, &mut session, messages, &state.shutdown)).await;
    drop(unproven);
    let standing = match login {
        Ok(standing) => standing,
        Err(end) => return end,
    };
    if standing.caller().require(Permission::ReadInterventions).is_err() {
        return End::NotAllowed;
    }
    let limits = &state.config.interventions;
    let Some(_open) = sockets.enter(limits.max_sockets) else { return End::Full };
    // The shared token is many callers'.
    let own =
        (!standing.is_services_own()).then(|| state.callers.enter(&standing.caller().0, limits.max_sockets_per_caller));
    live::Live::new(state, standing, own, origin, session).run(messages).await
}

/// Why a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its client has closed it, or is gone.
    Left,
    /// The service stops.
    Stopping,
    /// The token is nobody's.
    WrongToken,
    /// It isn't proven any more who calls.
    Nobody,
    /// No token came.
    NoToken,
    /// Who calls may not look at interventions.
    NotAllowed,
    /// Its client doesn't answer.
    Silent,
    /// A message was too long.
    TooLong,
    /// Its client doesn't keep to the protocol.
    Malformed,
    /// Too many are open.
    Full,
    /// A newer one of the same caller has taken its place.
    Replaced,
    /// It cannot be told who calls.
    Unavailable,
}

impl End {
    fn code(self) -> u16 {
        match self {
            Self::Left => 1000,
            Self::Stopping => 1001,
            Self::Malformed => 1002,
            Self::TooLong => 1009,
            Self::Full | Self::Unavailable => 1013,
            Self::WrongToken | Self::Nobody | Self::NoToken => CLOSE_NOBODY,
            Self::NotAllowed => 4403,
            Self::Silent => 4408,
            Self::Replaced => 4409,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Left => "",
            Self::Stopping => "the service stops; come again",
            Self::WrongToken => CLOSE_WRONG_TOKEN,
            Self::Nobody => "the token has expired, or was revoked",
            Self::NoToken => "no token came",
            Self::NotAllowed => "neither the role nor the scopes of the caller allow this",
            Self::Silent => "no answer to two pings",
            Self::TooLong => "a message has at most 64 KiB",
            Self::Malformed => "not the protocol of WebSockets, or no text",
            Self::Full => "too many are open; come again",
            Self::Replaced => "this caller has opened a newer one, and has as many as it may",
            Self::Unavailable => "it cannot be told now who calls; come again",
        }
    }
}
