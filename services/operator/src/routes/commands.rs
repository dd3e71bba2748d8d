//! `POST /operator/api/chat/commands`

use std::time::Instant;

use actix_web::web::{self, Data};
use actix_web::{HttpMessage, HttpRequest, post};
use serde::Serialize;
use serde_json::{Map, Value, json};
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::Json;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::chat::ChatRequest;
use vx11_contracts::madre::MadreChatRequest;
use vx11_contracts::operator::{CommandRequest, CommandResult, Envelope};
use vx11_contracts::{ErrorBody, ErrorCode};

use super::performance::Recorded;
use super::{madre_error, status, window};
use crate::chat::{Asker, Reply};
use crate::clients::{CallHeaders, Limit, MadreError};
use crate::state::State;

/// The commands there are.
const KNOWN: [&str; 5] = ["status", "open_window", "close_window", "spawn", "message"];

/// Run a command. That it failed or is off by policy is a result, not an error.
#[utoipa::path(operation_id = "run_command", tag = "chat", request_body = CommandRequest, responses(
    (status = 200, body = Envelope<CommandResult>),
    (status = 422, body = ErrorBody),
))]
#[post("/chat/commands")]
pub(crate) async fn run(
    state: Data<State>,
    http: HttpRequest,
    caller: Caller,
    context: RequestContext,
    body: Json<CommandRequest>,
) -> Result<web::Json<Envelope<CommandResult>>, ApiError> {
    let CommandRequest { command, args } = body.0;
    let outcome = match command.as_str() {
        "status" => to_value(status::collect(&state, &context).await),
        "open_window" => open_window(&state, &context, args).await,
        "close_window" => window::close_window(&state, &context).await.and_then(to_value),
        "spawn" => spawn(&state, &context, args).await,
        "message" => message(&state, &http, Asker::of(&caller.0), context, args).await,
        _ => return Ok(web::Json(Envelope::new(unknown(command)))),
    };
    Ok(web::Json(Envelope::new(result(command, outcome))))
}

async fn open_window(state: &State, context: &RequestContext, args: Map<String, Value>) -> Result<Value, ApiError> {
    let request = arguments(args)?;
    window::open_window(state, context, &request).await.and_then(to_value)
}

/// Hands a task to madre, which makes a plan of it.
async fn spawn(state: &State, context: &RequestContext, mut args: Map<String, Value>) -> Result<Value, ApiError> {
    window::refuse_unless_controlled(state)?;
    let Some(Value::String(task)) = args.remove("task") else {
        return Err(ApiError::invalid_field("args.task", "must say what to do"));
    };
    let request = MadreChatRequest {
        message: task,
        session_id: None,
        correlation_id: Some(context.correlation_id.to_string()),
        context: args,
    };
    let limit = Limit::within(context, state.config.chat.madre_timeout);
    match state.madre.chat(&request, context, CallHeaders::default(), limit).await {
        Ok(answer) => to_value(answer),
        Err(MadreError::Failed(error)) => Err(madre_error(error)),
        Err(error @ MadreError::CircuitOpen) => {
            Err(ApiError::new(ErrorCode::ServiceUnavailable, "madre does not answer").with_cause(error))
        }
    }
}

async fn message(
    state: &State,
    http: &HttpRequest,
    asker: Asker,
    context: RequestContext,
    args: Map<String, Value>,
) -> Result<Value, ApiError> {
    let started = Instant::now();
    let request: ChatRequest = arguments(args)?;
    let asked = state.chat.accept(request, asker, context)?;
    state.chat.admit(&asked).await?;
    http.extensions_mut().insert(Recorded);
    match state.chat.answer(&asked, started).await? {
        Reply::Answer(answer) => to_value(answer),
        Reply::Held(held) => to_value(held),
    }
}

fn arguments<T: serde::de::DeserializeOwned>(args: Map<String, Value>) -> Result<T, ApiError> {
    serde_json::from_value(Value::Object(args)).map_err(|error| ApiError::invalid_field("args", error.to_string()))
}

fn to_value(data: impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(data).map_err(ApiError::internal)
}

fn result(command: String, outcome: Result<Value, ApiError>) -> CommandResult {
    let (result, data, message) = match outcome {
        Ok(data) => ("ok", Some(data), None),
        Err(error) => {
            let word = if error.code() == ErrorCode::OffByPolicy { "off_by_policy" } else { "error" };
            (word, Some(json!({ "code": error.code() })), Some(error.detail().to_owned()))
        }
    };
    CommandResult { result: result.to_owned(), command, data, message, known: None }
}

fn unknown(command: String) -> CommandResult {
    CommandResult {
        result: "error".to_owned(),
        message: Some(format!("there is no command `{command}`")),
        command,
        data: None,
        known: Some(KNOWN.map(str::to_owned).to_vec()),
    }
}
