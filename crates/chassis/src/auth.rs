//! The guard: who may come in, and who it is.
//!
//! Every route needs a token unless it is on a list of public ones, and what is not the services' own token needs a
//! rule for the route: a route that nobody thought about is closed. Who calls with the services' token or with a key of
//! the gateway's costs a comparison; a [`Principal`] is made for those that come with a token of their own, and for
//! handlers that ask for a [`Caller`].

mod caller;
mod proof;
mod route_table;
mod rules;
mod standing;
mod stream_token;
#[cfg(test)]
mod tests;
mod verifier;

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use actix_web::middleware::Next;
use actix_web::web::ThinData;
use actix_web::{HttpMessage, HttpRequest};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use vx11_contracts::ErrorCode;
use vx11_contracts::identity::Principal;

use crate::error::ApiError;
use crate::header_names::{API_KEY, TOKEN};
use crate::server::Admit;

pub use caller::Caller;
pub use proof::Proof;
pub use route_table::{route_table, undeclared};
pub use rules::{Access, Rule};
pub use standing::{STREAM_TOKEN_OPENS_FOR, Standing};
pub use stream_token::{Minted, STREAM_TOKEN_TTL, mint_stream_token, mint_stream_token_for};
pub use verifier::{Refusal, Verifier};

/// A service's own credentials, beside the token that all services share.
///
/// Both methods are called for every request and must answer at once, from memory.
pub trait Credentials: Send + Sync {
    /// Whether who presents `secret`, which is not the shared token, may come in. What is learnt about the caller may
    /// be left in the request's extensions.
    fn accept(&self, request: &HttpRequest, secret: &str) -> bool;

    /// Adds to an answer's head what its caller should know, such as how much is left of a limit.
    fn annotate(&self, request: &HttpRequest, answer: &mut HeaderMap);
}

/// Lets requests in.
pub(crate) struct Guard {
    /// `None`: every caller is let in. Only for a service that guards itself.
    pub(crate) token: Option<SecretString>,
    /// Where `?token=` is looked at.
    pub(crate) stream_paths: &'static [&'static str],
    /// Who may come in and present a token, and who learns that one was wrong.
    pub(crate) admit: Option<Admit>,
    /// Who else may come in.
    pub(crate) credentials: Option<Arc<dyn Credentials>>,
    /// Who the others are.
    pub(crate) verifier: Option<Arc<dyn Verifier>>,
    /// What each route asks of them.
    pub(crate) rules: &'static [Rule],
}

impl Guard {
    fn check(&self, request: &ServiceRequest) -> Result<(), ApiError> {
        if let Some(admit) = &self.admit {
            admit.admit(request.request())?;
        }
        let Some(token) = &self.token else { return Ok(()) };
        if is_public(request.method(), request.path()) {
            return Ok(());
        }
        if let Some(admit) = &self.admit {
            // Before the token is looked at: who guesses must not learn from the answer that a guess was right.
            admit.may_present_token(request.request())?;
        }
        self.check_token(token, request)
    }

    fn check_token(&self, token: &SecretString, request: &ServiceRequest) -> Result<(), ApiError> {
        match presented_token(request.headers()) {
            Some(sent) if is_token(token, sent) => Ok(()),
            Some(sent) if self.credentials.as_ref().is_some_and(|own| own.accept(request.request(), sent)) => Ok(()),
            Some(_) => Err(Refusal::Invalid.into()),
            None => match self.stream_token(request) {
                Some(sent) if stream_token::verify(token, &sent, SystemTime::now()) => Ok(()),
                Some(_) => Err(ApiError::new(ErrorCode::InvalidToken, "the stream token is wrong or has expired")),
                None => Err(ApiError::new(
                    ErrorCode::MissingToken,
                    "send the token as `x-vx11-token: …`, `Authorization: Bearer …` or `x-api-key: …`",
                )),
            },
        }
    }

    /// Whether a request that would be refused comes from somebody who is known otherwise, or asks for what is open.
    async fn look_again(&self, request: &ServiceRequest, refused: ApiError) -> Result<(), ApiError> {
        if !matches!(refused.code(), ErrorCode::InvalidToken | ErrorCode::MissingToken) {
            return Err(refused);
        }
        let access = Access::of(self.rules, request.request());
        match self.identify(request).await {
            Ok(principal) if access.is_some_and(|access| access.permits(&principal)) => {
                if self.verifier.as_ref().is_some_and(|verifier| !verifier.let_in(request.request(), &principal)) {
                    return Err(Refusal::Unavailable.into());
                }
                request.extensions_mut().insert(principal);
                Ok(())
            }
            _ if access == Some(Access::Public) => Ok(()),
            Ok(principal) => {
                if let Some(verifier) = &self.verifier {
                    verifier.denied(request.request(), &principal);
                }
                Err(caller::forbidden())
            }
            Err(Refusal::Invalid) => {
                if let (ErrorCode::InvalidToken, Some(admit)) = (refused.code(), &self.admit) {
                    admit.wrong_token(request.request());
                }
                Err(refused)
            }
            Err(other) => Err(other.into()),
        }
    }

    async fn identify(&self, request: &ServiceRequest) -> Result<Principal, Refusal> {
        let in_query = self.stream_token(request);
        if let (Some(token), Some(sent)) = (&self.token, &in_query)
            && let Some((principal, minted)) = stream_token::holder(token, sent, SystemTime::now())
        {
            self.still_stands(&principal, &minted).await?;
            return Ok(principal);
        }
        let Some(verifier) = &self.verifier else { return Err(Refusal::Invalid) };
        match (presented_token(request.headers()), &in_query) {
            (Some(sent), _) => verifier.verify(sent).await,
            (None, Some(sent)) if verifier.may_be_in_address(sent) => verifier.verify(sent).await,
            _ => Err(Refusal::Invalid),
        }
    }

    /// Whether who comes with a stream token may still come in, as far as there is somebody who knows.
    async fn still_stands(&self, holder: &Principal, minted: &Minted) -> Result<(), Refusal> {
        match &self.verifier {
            Some(verifier) if holder.subject != Principal::service().subject => verifier.stands(holder, minted).await,
            _ => Ok(()),
        }
    }

    fn stream_token(&self, request: &ServiceRequest) -> Option<String> {
        let is_stream = request.method() == Method::GET && self.stream_paths.contains(&request.path());
        is_stream.then(|| caller::stream_token_of(request.request())).flatten()
    }
}

pub(crate) async fn guard<B: MessageBody + 'static>(
    guard: ThinData<Arc<Guard>>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let checked = match guard.check(&request) {
        Ok(()) => Ok(()),
        // In a box: other requests need not carry what it takes.
        Err(refused) => Box::pin(guard.look_again(&request, refused)).await,
    };
    match checked {
        Ok(()) => {
            let response = next.call(request).await?.map_into_left_body();
            let Some(own) = &guard.credentials else { return Ok(response) };
            let (request, mut answer) = response.into_parts();
            own.annotate(&request, answer.headers_mut());
            Ok(ServiceResponse::new(request, answer))
        }
        Err(error) => Ok(request.error_response(error).map_into_right_body()),
    }
}

fn is_token(token: &SecretString, sent: &str) -> bool {
    sent.as_bytes().ct_eq(token.expose_secret().as_bytes()).into()
}

/// What may be read without a token: nothing that names a person, a message or a secret.
fn is_public(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        && (matches!(path, "/health" | "/ready" | "/metrics" | "/openapi.json" | "/docs") || path.starts_with("/docs/"))
}

/// The token that a request presents in its headers, however it is written there.
pub fn presented_token(headers: &HeaderMap) -> Option<&str> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || {
        let (scheme, token) = text(AUTHORIZATION)?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    };
    text(TOKEN).or_else(bearer).or_else(|| text(API_KEY))
}
