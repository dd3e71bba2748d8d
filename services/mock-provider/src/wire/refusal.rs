//! Why a request is not answered, before a wire has put it in its own words.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde_json::{Value, json};
use vx11_chassis::ApiError;

use super::{Wire, anthropic, gemini, openai};

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It cannot be read, or asks for what there is not.
    Request(ApiError),
    NoKey,
    WrongKey,
    /// `anthropic-version` is not there, or says something unknown.
    NoVersion(Option<String>),
    /// It was asked to be refused.
    Fault {
        status: u16,
        retry_after: Option<u64>,
        retry_after_ms: Option<u64>,
    },
    /// The prompt, of this many tokens, is too long.
    TooLong(u64),
    /// The prompt, of this many tokens, is more than may be spent in a minute.
    TooMuch(u64),
    /// The prompt is refused for what it says.
    Filtered,
    /// No answer is given for what it would say.
    Policy,
    /// It ends with a message of the model's own.
    Prefill,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Request(error)
    }
}

/// Status and sentence of an error, for wires in which a field has no place but the sentence.
pub(super) fn in_words(error: &ApiError) -> (u16, String) {
    let (status, body) = error.openai_body();
    let message = body.error.message;
    (status, body.error.param.map_or(message.clone(), |field| format!("{field}: {message}")))
}

impl Wire {
    /// The answer that says why there is no other.
    pub(crate) fn refuse(self, refusal: &Refusal) -> HttpResponse {
        let (status, mut body) = self.error(refusal);
        let mut response = self.respond(status);
        if self == Self::Anthropic {
            let id = anthropic::request_id();
            body["request_id"] = json!(id);
            response.insert_header((anthropic::REQUEST_ID, id));
        }
        if let Refusal::Fault { retry_after, retry_after_ms, .. } = refusal {
            if let Some(seconds) = retry_after {
                response.insert_header((RETRY_AFTER, *seconds));
            }
            if let Some(ms) = retry_after_ms {
                response.insert_header(("retry-after-ms", *ms));
            }
        }
        response.json(body)
    }

    /// Status and body of an error.
    pub(crate) fn error(self, refusal: &Refusal) -> (u16, Value) {
        match self {
            Self::OpenAi | Self::Responses => openai::error(refusal),
            Self::Anthropic => anthropic::error(refusal),
            Self::Gemini => gemini::error(refusal),
        }
    }

    /// The head of an answer.
    pub(crate) fn respond(self, status: u16) -> HttpResponseBuilder {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        if self == Self::Anthropic {
            response.insert_header((anthropic::REQUEST_ID, anthropic::request_id()));
        }
        response
    }
}
