//! Lets callers in by their key, on `/v1` alone, and tells them on every answer what is left of their limits.
//!
//! Keys of the configuration, and callers of the operator's who are believed to be known, come in by a look into a
//! table. Who else comes with something of the operator's waits until it is asked.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use async_trait::async_trait;
use vx11_chassis::auth::{Credentials, Refusal, Verifier, presented_token};
use vx11_contracts::headers;
use vx11_contracts::identity::Principal;
use vx11_identity::{PresentedKey, access_token};

use super::account::{Account, Unit};
use super::keys::sha256;
use super::meters::Level;
use super::period::now_ms;
use super::{Accounts, INTERNAL, local};

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// One with the shared token: without limits.
    Internal,
    /// One with a key.
    Key(Arc<Account>),
}

impl Caller {
    /// Who made `request`, which was let in.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let account = request.extensions().get::<Arc<Account>>().cloned();
        account.map_or(Self::Internal, Self::Key)
    }

    /// Lets `request` be this caller's from here on.
    pub(crate) fn put(self, request: &HttpRequest) {
        if let Self::Key(account) = self {
            request.extensions_mut().insert(account);
        }
    }

    /// The name of its key.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Internal => INTERNAL,
            Self::Key(account) => &account.key,
        }
    }

    /// The tenant of its key: what a caller with a key says of itself in headers counts for nothing.
    pub(crate) fn tenant(&self) -> Option<&str> {
        match self {
            Self::Internal => None,
            Self::Key(account) => Some(&account.tenant.name),
        }
    }

    /// Whose organisation's the request is: the key's, or what `header` says of one with the shared token.
    pub(crate) fn org<'a>(&'a self, header: impl FnOnce() -> Option<&'a str>) -> Option<&'a str> {
        match self {
            Self::Internal => header(),
            Self::Key(account) => Some(&*account.org).filter(|org| !org.is_empty()),
        }
    }

    /// Whether what it spends is limited, by itself or above it.
    pub(crate) fn has_budget(&self) -> bool {
        match self {
            Self::Internal => false,
            Self::Key(account) => account.has_budget(),
        }
    }

    /// Whether it may ask for every model.
    pub(crate) fn may_use_all(&self) -> bool {
        match self {
            Self::Internal => true,
            Self::Key(account) => account.models.is_none(),
        }
    }

    /// Whether it may ask for `model`.
    pub(crate) fn may_use(&self, model: &str) -> bool {
        match self {
            Self::Internal => true,
            Self::Key(account) => account.may_use(model),
        }
    }
}

/// Who may come in, as the guard asks it.
#[derive(Clone, Debug)]
pub(crate) struct Callers(pub(crate) Arc<Accounts>);

impl Credentials for Callers {
    fn accept(&self, request: &HttpRequest, secret: &str) -> bool {
        if !request.path().starts_with("/v1/") {
            return false;
        }
        let (terms, digest) = (self.0.terms.load(), sha256(secret));
        if let Some(account) = terms.keys.find(&digest) {
            request.extensions_mut().insert(account.clone());
            return true;
        }
        let now = Instant::now();
        let Some(known) = self.0.identities.believed(&digest, now) else { return false };
        let standing = known.standing.load();
        let Some(account) = standing.account.as_ref().filter(|_| standing.is_under(&terms)) else { return false };
        request.extensions_mut().insert(account.clone());
        self.0.keep_known(&known, digest, secret, now);
        true
    }

    fn annotate(&self, request: &HttpRequest, answer: &mut HeaderMap) {
        if let Caller::Key(account) = Caller::of(request)
            && !account.meters.is_empty()
        {
            let [requests, tokens] = local::tightest(&account, [Unit::Requests, Unit::Tokens], now_ms());
            write(answer, requests, REQUESTS);
            write(answer, tokens, TOKENS);
        }
    }
}

#[async_trait]
impl Verifier for Callers {
    async fn verify(&self, secret: &str) -> Result<Principal, Refusal> {
        if !is_of_the_operators(secret) {
            return Err(Refusal::Invalid);
        }
        let known = self.0.identify(sha256(secret), secret).await?;
        Ok(known.principal.clone())
    }

    fn let_in(&self, request: &HttpRequest, _: &Principal) -> bool {
        let digest = presented_token(request.headers()).map(sha256);
        let known = digest.and_then(|digest| self.0.identities.remembered(&digest));
        let Some(account) = known.and_then(|known| known.account()) else { return false };
        request.extensions_mut().insert(account);
        true
    }
}

impl Accounts {
    /// Who makes `request`, which was let in some time ago, as the keys in force and the operator know it now.
    ///
    /// # Errors
    /// When its key was withdrawn, or that cannot be told.
    pub(crate) async fn current(self: &Arc<Self>, request: &HttpRequest) -> Result<Caller, Refusal> {
        let Caller::Key(account) = Caller::of(request) else { return Ok(Caller::Internal) };
        let secret = presented_token(request.headers()).ok_or(Refusal::Invalid)?;
        let digest = sha256(secret);
        // By its secret: one that was replaced is nobody's, though its name is still there.
        if let Some(now) = self.terms.load().keys.find(&digest) {
            let is_same = now.key == account.key && now.org == account.org;
            return if is_same { Ok(Caller::Key(now.clone())) } else { Err(Refusal::Invalid) };
        }
        if !is_of_the_operators(secret) {
            return Err(Refusal::Invalid);
        }
        let known = self.identify(digest, secret).await?;
        known.account().map(Caller::Key).ok_or(Refusal::Invalid)
    }
}

/// Whether `secret` has the form of an API key or an access token. What has not is nobody's, and no question to the
/// operator.
fn is_of_the_operators(secret: &str) -> bool {
    PresentedKey::parse(secret).is_some() || access_token::has_form(secret)
}

const REQUESTS: [HeaderName; 3] = names(headers::RATELIMIT_REQUESTS);
const TOKENS: [HeaderName; 3] = names(headers::RATELIMIT_TOKENS);

const fn names([limit, remaining, reset]: [&'static str; 3]) -> [HeaderName; 3] {
    [HeaderName::from_static(limit), HeaderName::from_static(remaining), HeaderName::from_static(reset)]
}

/// Writes what is left of a limit. A provider's own numbers say nothing to this caller and are replaced.
fn write(answer: &mut HeaderMap, level: Option<Level>, [limit, remaining, reset]: [HeaderName; 3]) {
    let Some(level) = level else { return };
    let seconds = u64::try_from(level.reset.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    for (name, number, unit) in [(limit, level.limit, ""), (remaining, level.remaining, ""), (reset, seconds, "s")] {
        if let Ok(value) = decimal(number, unit) {
            answer.insert(name, value);
        }
    }
}

/// `number`, followed by its `unit`. It stands on every answer; `format!` takes longer than all else here.
fn decimal(number: u64, unit: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    let mut text = String::with_capacity(digits.len() + unit.len());
    text.push_str(digits);
    text.push_str(unit);
    HeaderValue::try_from(text)
}
