//! Why somebody does not come in: for the answer, and for the audit log.

use http::StatusCode;
use serde::Deserialize;
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;
use vx11_contracts::identity::OrgId;
use vx11_store::StoreError;

use crate::routes::store_error;

/// Why somebody does not come in.
#[derive(Debug)]
pub(crate) struct Denied {
    /// What is answered.
    pub(crate) error: ApiError,
    /// In a word, for the audit log.
    pub(crate) reason: &'static str,
    /// Who it was, where that is known.
    pub(crate) who: Option<(OrgId, String)>,
}

/// Why a provider does not say who has logged in. The texts are for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    /// It does not answer.
    #[error("it does not answer: {0}")]
    Away(String),
    /// It answers something that it should not: it, or the configuration of it, is not right.
    #[error("it answers off its form: {0}")]
    Unfit(String),
    /// It refuses, or what it says proves nothing.
    #[error("{0}")]
    Refused(String),
}

impl ProviderError {
    /// Names the host that was asked.
    pub(super) fn at(self, host: &str) -> Self {
        match self {
            Self::Away(text) => Self::Away(format!("{host}: {text}")),
            Self::Unfit(text) => Self::Unfit(format!("{host}: {text}")),
            refused @ Self::Refused(_) => refused,
        }
    }

    /// What a token endpoint says instead of a token (RFC 6749, section 5.2).
    pub(super) fn of_oauth(body: &[u8], status: StatusCode) -> Self {
        #[derive(Deserialize)]
        struct Said {
            error: String,
        }
        let said = serde_json::from_slice::<Said>(body).map(|said| said.error).unwrap_or_default();
        let error: String = said.chars().filter(|char| char.is_ascii_graphic()).take(64).collect();
        match error.as_str() {
            // Ours to mend.
            "invalid_client"
            | "unauthorized_client"
            | "incorrect_client_credentials"
            | "redirect_uri_mismatch"
            | "" => Self::Unfit(format!("the token endpoint: HTTP {} {error}", status.as_u16())),
            _ => Self::Refused(format!("the provider refuses the code: {error}")),
        }
    }
}

impl Denied {
    /// 401, with a sentence for who wanted to come in.
    pub(super) fn refused(reason: &'static str, detail: String) -> Self {
        Self { error: ApiError::new(ErrorCode::LoginFailed, detail), reason, who: None }
    }

    pub(super) fn store(error: StoreError) -> Self {
        store_error(error).into()
    }

    /// Names who it was.
    #[must_use]
    pub(super) fn by(self, org: &OrgId, pilot_id: &str) -> Self {
        Self { who: Some((org.clone(), pilot_id.to_owned())), ..self }
    }
}

impl From<ApiError> for Denied {
    fn from(error: ApiError) -> Self {
        Self { reason: error.code().as_str(), error, who: None }
    }
}

impl From<ProviderError> for Denied {
    fn from(error: ProviderError) -> Self {
        let (code, detail) = match &error {
            ProviderError::Away(_) => {
                (ErrorCode::ServiceUnavailable, "the provider does not answer; try again shortly")
            }
            ProviderError::Unfit(_) => (ErrorCode::UpstreamError, "the provider does not answer as it should"),
            ProviderError::Refused(_) => {
                (ErrorCode::LoginFailed, "the provider does not prove who you are; begin again")
            }
        };
        ApiError::new(code, detail).with_cause(error).into()
    }
}
