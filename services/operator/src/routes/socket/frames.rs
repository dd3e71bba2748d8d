//! What comes, in the few words that the socket knows; and the texts of replies.

use actix_ws::{AggregatedMessage, ProtocolError};
use bytestring::ByteString;
use serde::Serialize;
use serde_json::Value;
use vx11_chassis::ApiError;
use vx11_contracts::intervention::{Reply, ReplyError, ReplyErrorInfo};

use super::End;

/// What a client sent.
pub(super) enum Frame {
    /// A message.
    Text(ByteString),
    /// A ping, which is answered.
    Ping(actix_web::web::Bytes),
    /// The answer to one.
    Pong,
}

/// Reads what came.
///
/// # Errors
/// Why the socket is closed.
pub(super) fn read(came: Option<Result<AggregatedMessage, ProtocolError>>) -> Result<Frame, End> {
    match came {
        Some(Ok(AggregatedMessage::Text(text))) => Ok(Frame::Text(text)),
        Some(Ok(AggregatedMessage::Ping(bytes))) => Ok(Frame::Ping(bytes)),
        Some(Ok(AggregatedMessage::Pong(_))) => Ok(Frame::Pong),
        Some(Ok(AggregatedMessage::Binary(_))) => Err(End::Malformed),
        Some(Ok(AggregatedMessage::Close(_))) | None => Err(End::Left),
        Some(Err(ProtocolError::Overflow)) => Err(End::TooLong),
        // Of its own making: a message in parts that together are too long.
        Some(Err(ProtocolError::Io(error))) if error.to_string().contains("continuation size") => Err(End::TooLong),
        Some(Err(_)) => Err(End::Malformed),
    }
}

/// A reply with what was asked for.
pub(super) fn done<T: Serialize>(kind: &str, id: Option<Value>, data: T) -> Result<ByteString, ApiError> {
    let reply = Reply { success: true, kind: kind.to_owned(), id, data };
    serde_json::to_string(&reply).map(ByteString::from).map_err(ApiError::internal)
}

/// A reply that says why not.
pub(super) fn refused(id: Option<Value>, error: &ApiError) -> ByteString {
    if let Some(cause) = error.cause() {
        tracing::warn!(code = error.code().as_str(), cause, "a command failed");
    }
    let info = ReplyErrorInfo { code: error.code().as_str().to_owned(), message: error.detail().to_owned() };
    let reply = ReplyError { success: false, id, error: info };
    serde_json::to_string(&reply).expect("texts and a value that was read as JSON").into()
}
