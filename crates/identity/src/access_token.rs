//! Access tokens: signed claims that any replica verifies by itself, for an hour at most.
//!
//! The algorithm is the key's, never the token's: `alg: none`, or a token signed by HMAC with a public key as the
//! secret, finds no key that would be tried with it. A token without a role says nothing about what its bearer may, so
//! it is refused.

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use vx11_contracts::identity::{OrgId, Principal, Role, Scopes};

use crate::base62;
use crate::signing_keys::SigningKeys;
use crate::stored_key::KeyError;

/// The longest that a token is good for. One that says otherwise is refused, even if its signature is right.
pub const MAX_LIFETIME: SignedDuration = SignedDuration::from_mins(60);
/// How far the clocks of two replicas may be apart. It only counts for tokens from the future; none lives longer by it.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Longest token that is looked at.
const MAX_BYTES: usize = 4096;

/// Makes and verifies access tokens.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    keys: SigningKeys,
    issuer: String,
    audience: String,
    lifetime: SignedDuration,
}

/// A token that was made.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The token.
    pub token: secrecy::SecretString,
    /// Its id, for revocation and the audit log; not a secret.
    pub id: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Who its bearer is.
    pub principal: Principal,
    /// Its id, to be looked for among those that were revoked.
    pub id: String,
    /// When it was made: tokens made before a pilot's role changed or sessions ended can be told by it.
    pub issued_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// Why a token is refused. Callers learn whether to refresh it, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("the access token has expired")]
    Expired,
    /// It isn't a token of ours: its form, signature, key, issuer, audience or claims are wrong.
    #[error("the access token is not valid")]
    Invalid,
    /// It's signed by a key that isn't known: perhaps one that another replica has made since the keys were read.
    #[error("the access token is signed by an unknown key")]
    UnknownKey,
}

/// Whether `text` has the form of an access token: three parts in base64url. Whether it is one, [`AccessTokens`] says.
pub fn has_form(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // In JSON a head begins with `{"`.
    text.len() <= MAX_BYTES && text.starts_with("eyJ") && text.split('.').count() == 3 && text.split('.').all(is_part)
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    role: Role,
    org: OrgId,
    iat: i64,
    exp: i64,
    jti: String,
    iss: String,
    aud: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    nbf: Option<i64>,
    /// Apart by spaces, as in OAuth; absent: all, so the role alone decides.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    scope: Option<String>,
}

impl AccessTokens {
    /// Tokens of `issuer` for `audience`, good for `lifetime`, an hour at most.
    pub fn new(keys: SigningKeys, issuer: &str, audience: &str, lifetime: SignedDuration) -> Self {
        let lifetime = lifetime.clamp(SignedDuration::from_secs(1), MAX_LIFETIME);
        Self { keys, issuer: issuer.to_owned(), audience: audience.to_owned(), lifetime }
    }

    /// The same with the keys read anew.
    #[must_use]
    pub fn with_keys(&self, keys: SigningKeys) -> Self {
        Self { keys, ..self.clone() }
    }

    /// The keys in use.
    pub fn keys(&self) -> &SigningKeys {
        &self.keys
    }

    /// A token for `principal`.
    ///
    /// # Errors
    /// [`KeyError`] when no key can sign.
    pub fn grant(&self, principal: &Principal, now: Timestamp) -> Result<Grant, KeyError> {
        let key = self.keys.signing(now)?;
        let expires_at = now.saturating_add(self.lifetime).map_err(|_| KeyError::None)?;
        let claims = Claims {
            sub: principal.subject.as_ref().to_owned(),
            role: principal.role,
            org: principal.org.clone(),
            iat: now.as_second(),
            exp: expires_at.as_second(),
            jti: base62::random(22),
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            nbf: None,
            scope: (principal.scopes != Scopes::ALL).then(|| principal.scopes.to_string()),
        };
        let header = Header { kid: Some(key.id.clone()), ..Header::new(key.algorithm) };
        let token = encode(&header, &claims, &key.signs).map_err(|_| KeyError::Unreadable)?;
        Ok(Grant { token: token.into(), id: claims.jti, expires_at })
    }

    /// Who the bearer of `token` is.
    ///
    /// # Errors
    /// [`TokenError`] when that isn't proven.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claimed, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::Invalid);
        }
        let head = decode_header(token).map_err(|_| TokenError::Invalid)?;
        let key = self.keys.verifying(head.kid.as_deref(), now).ok_or(TokenError::UnknownKey)?;
        let mut rules = Validation::new(key.algorithm);
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        // The times are checked below, against a clock that tests can set.
        rules.validate_exp = false;
        rules.required_spec_claims.clear();
        let claims = decode::<Claims>(token, &key.verifies, &rules).map_err(|_| TokenError::Invalid)?.claims;
        claims.check(now)
    }
}

impl Claims {
    fn check(self, now: Timestamp) -> Result<Claimed, TokenError> {
        let (skew, longest) = (CLOCK_SKEW.as_secs(), MAX_LIFETIME.as_secs());
        let latest_start = now.as_second() + skew;
        let lifetime = self.exp.checked_sub(self.iat).ok_or(TokenError::Invalid)?;
        let starts_later = self.iat > latest_start || self.nbf.is_some_and(|nbf| nbf > latest_start);
        // One without an id could not be revoked.
        if starts_later || !(1..=longest).contains(&lifetime) || !is_subject(&self.sub) || self.jti.is_empty() {
            return Err(TokenError::Invalid);
        }
        if now.as_second() >= self.exp {
            return Err(TokenError::Expired);
        }
        let time = |second| Timestamp::from_second(second).map_err(|_| TokenError::Invalid);
        let scopes = self.scope.as_deref().map_or(Scopes::ALL, Scopes::parse);
        let principal = Principal { org: self.org, subject: self.sub.into(), role: self.role, scopes };
        Ok(Claimed { principal, id: self.jti, issued_at: time(self.iat)?, expires_at: time(self.exp)? })
    }
}

/// Whether `text` can name somebody: services tell each other who asks in a header, and one that reads it otherwise takes
/// nobody for the one who is not to decide its own request.
fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
