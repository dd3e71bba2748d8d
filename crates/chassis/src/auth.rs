//! The token guard, and the short-lived tokens that browsers use for streams.
//!
//! Every route needs a token unless it is on the list of public ones: a route that nobody thought about is closed.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::HttpRequest;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use actix_web::middleware::Next;
use actix_web::web::ThinData;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use vx11_contracts::ErrorCode;

use crate::error::ApiError;
use crate::header_names::{API_KEY, TOKEN};
use crate::server::Admit;

/// How long a stream token works.
pub const STREAM_TOKEN_TTL: Duration = Duration::from_secs(60);

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
    token: Option<SecretString>,
    /// Where `?token=` with a stream token is accepted.
    stream_paths: &'static [&'static str],
    /// Who may come in and present a token, and who learns that one was wrong.
    admit: Option<Admit>,
    /// Who else may come in.
    credentials: Option<Arc<dyn Credentials>>,
}

impl Guard {
    /// Asks for `token` everywhere but on public routes, and accepts stream tokens on `stream_paths`. What is not the
    /// token is shown to `credentials`.
    pub(crate) fn new(
        token: Option<SecretString>,
        stream_paths: &'static [&'static str],
        admit: Option<Admit>,
        credentials: Option<Arc<dyn Credentials>>,
    ) -> Self {
        Self { token, stream_paths, admit, credentials }
    }

    fn check(&self, request: &ServiceRequest) -> Result<(), ApiError> {
        if let Some(admit) = &self.admit {
            admit.admit(request.request())?;
        }
        let Some(token) = &self.token else { return Ok(()) };
        if is_public(request.method(), request.path()) {
            return Ok(());
        }
        let Some(admit) = &self.admit else { return self.check_token(token, request) };
        // Before the token is looked at: who guesses must not learn from the answer that a guess was right.
        admit.may_present_token(request.request())?;
        let checked = self.check_token(token, request);
        if checked.as_ref().is_err_and(|error| error.code() == ErrorCode::InvalidToken) {
            admit.wrong_token(request.request());
        }
        checked
    }

    fn check_token(&self, token: &SecretString, request: &ServiceRequest) -> Result<(), ApiError> {
        match presented_token(request.headers()) {
            Some(sent) if bool::from(sent.as_bytes().ct_eq(token.expose_secret().as_bytes())) => Ok(()),
            Some(sent) if self.credentials.as_ref().is_some_and(|own| own.accept(request.request(), sent)) => Ok(()),
            Some(_) => Err(ApiError::new(ErrorCode::InvalidToken, "the token is not the right one")),
            None => match self.stream_token(request) {
                Some(sent) if verify_stream_token(token, &sent, SystemTime::now()) => Ok(()),
                Some(_) => Err(ApiError::new(ErrorCode::InvalidToken, "the stream token is wrong or has expired")),
                None => Err(ApiError::new(
                    ErrorCode::MissingToken,
                    "send the token as `x-vx11-token: …`, `Authorization: Bearer …` or `x-api-key: …`",
                )),
            },
        }
    }

    fn stream_token(&self, request: &ServiceRequest) -> Option<String> {
        if request.method() != Method::GET || !self.stream_paths.contains(&request.path()) {
            return None;
        }
        let mut pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
        pairs.find(|(name, _)| name == "token").map(|(_, value)| value.into_owned())
    }
}

pub(crate) async fn guard<B: MessageBody + 'static>(
    guard: ThinData<Arc<Guard>>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    match guard.check(&request) {
        Ok(()) => {
            let mut response = next.call(request).await?.map_into_left_body();
            if let Some(own) = &guard.credentials {
                let request = response.request().clone();
                own.annotate(&request, response.headers_mut());
            }
            Ok(response)
        }
        Err(error) => Ok(request.error_response(error).map_into_right_body()),
    }
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

/// A token for `?token=` on streams: its expiry, and a MAC of it under the shared token.
///
/// It is verified without any store, so any replica, and the edge in front of it, accepts what another one made.
pub fn mint_stream_token(token: &SecretString, now: SystemTime) -> String {
    let expires = unix_seconds(now) + STREAM_TOKEN_TTL.as_secs();
    format!("{expires}.{}", hex(stream_mac(token, expires).as_ref()))
}

fn verify_stream_token(token: &SecretString, sent: &str, now: SystemTime) -> bool {
    let Some((expires, mac)) = sent.split_once('.') else { return false };
    let Ok(expires) = expires.parse::<u64>() else { return false };
    let right = hex(stream_mac(token, expires).as_ref());
    expires >= unix_seconds(now) && bool::from(mac.as_bytes().ct_eq(right.as_bytes()))
}

fn stream_mac(token: &SecretString, expires: u64) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.expose_secret().as_bytes());
    hmac::sign(&key, format!("vx11 stream token {expires}").as_bytes())
}

fn unix_seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_token_works_until_it_expires_and_only_under_its_own_secret() {
        let secret = SecretString::from("s3cret");
        let now = SystemTime::now();
        let minted = mint_stream_token(&secret, now);
        assert!(verify_stream_token(&secret, &minted, now));
        assert!(verify_stream_token(&secret, &minted, now + STREAM_TOKEN_TTL));
        assert!(!verify_stream_token(&secret, &minted, now + STREAM_TOKEN_TTL + Duration::from_secs(1)));
        assert!(!verify_stream_token(&SecretString::from("other"), &minted, now));
    }

    #[test]
    fn a_stream_token_with_a_later_expiry_written_in_is_refused() {
        let secret = SecretString::from("s3cret");
        let minted = mint_stream_token(&secret, SystemTime::now());
        let (expires, mac) = minted.split_once('.').expect("two parts");
        let later = expires.parse::<u64>().expect("seconds") + 3600;
        assert!(!verify_stream_token(&secret, &format!("{later}.{mac}"), SystemTime::now()));
        for garbage in ["", ".", "x.y", "18446744073709551616.aa"] {
            assert!(!verify_stream_token(&secret, garbage, SystemTime::now()), "{garbage}");
        }
    }
}
