//! What is checked before a chat goes on.

use http::HeaderValue;
use vx11_chassis::context::is_valid_id;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorCode;
use vx11_contracts::chat::{ChatRequest, MAX_ID_CHARS};

use super::Asker;

/// Bounds of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Characters of a message.
    pub(crate) max_message_chars: usize,
}

/// Who is to answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Provider {
    /// Any provider behind the switch, and madre when none does.
    Any,
    /// madre, by the caller's choice.
    Madre,
    /// One provider behind the switch.
    Named(String),
}

impl Provider {
    /// Reads the request's word.
    pub(crate) fn parse(word: Option<&str>) -> Self {
        match word {
            None | Some("switch") => Self::Any,
            Some("madre") => Self::Madre,
            Some(name) => Self::Named(name.to_owned()),
        }
    }
}

/// A request that may go on, with the ids it goes by.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// As it came.
    pub(crate) request: ChatRequest,
    /// On whose behalf.
    pub(crate) asker: Asker,
    /// Whose conversation it is part of.
    pub(crate) session_id: String,
    /// Whether the caller named the session, so that it may have a history.
    pub(crate) known_session: bool,
    /// Who is to answer.
    pub(crate) provider: Provider,
    /// The request's identity and limits.
    pub(crate) context: RequestContext,
    /// The intervention by which a person has approved it.
    pub(crate) intervention: Option<HeaderValue>,
}

impl Accepted {
    /// Checks `request` and settles its ids.
    ///
    /// # Errors
    /// `invalid_field` for a blank message or an unusable id, `message_too_long`.
    pub(crate) fn new(
        request: ChatRequest,
        asker: Asker,
        context: RequestContext,
        limits: Limits,
    ) -> Result<Self, ApiError> {
        check_message(&request.message, limits)?;
        let context = match &request.correlation_id {
            Some(id) => context.with_correlation_id(valid("correlation_id", id)?),
            None => context,
        };
        let (session_id, known_session) = match &request.session_id {
            Some(id) => (valid("session_id", id)?.to_owned(), true),
            // In order of time: the rows of new sessions lie side by side, and a batch of them touches few pages.
            None => (uuid::Uuid::now_v7().to_string(), false),
        };
        let provider = Provider::parse(request.provider.as_deref());
        Ok(Self { request, asker, session_id, known_session, provider, context, intervention: None })
    }
}

fn check_message(message: &str, limits: Limits) -> Result<(), ApiError> {
    if message.trim().is_empty() {
        return Err(ApiError::invalid_field("message", "the message is blank"));
    }
    // A character has at least one byte, so most messages are never counted.
    if message.len() > limits.max_message_chars && message.chars().count() > limits.max_message_chars {
        let detail = format!("the message is longer than {} characters", limits.max_message_chars);
        return Err(ApiError::new(ErrorCode::MessageTooLong, detail));
    }
    Ok(())
}

fn valid<'v>(field: &str, id: &'v str) -> Result<&'v str, ApiError> {
    if is_valid_id(id) {
        return Ok(id);
    }
    Err(ApiError::invalid_field(field, format!("must be 1 to {MAX_ID_CHARS} visible ASCII characters")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_message_chars: 4000 };

    #[test]
    fn the_limit_counts_characters_not_bytes() {
        assert!(check_message(&"ñ".repeat(4000), LIMITS).is_ok());
        let refused = check_message(&"ñ".repeat(4001), LIMITS).expect_err("too long");
        assert_eq!(refused.code(), ErrorCode::MessageTooLong);
    }

    #[test]
    fn a_message_of_white_space_is_blank() {
        for blank in ["", " ", "\n\t", "\u{3000}"] {
            assert_eq!(check_message(blank, LIMITS).expect_err("blank").code(), ErrorCode::InvalidField);
        }
    }
}
