//! What an OpenID provider says of who has logged in: its identity token, and the keys that prove it.
//!
//! The checks are those of OpenID Connect Core 1.0, section 3.1.3.7, and of RFC 8725. Only signatures that a provider
//! alone can make are taken: `none` is no algorithm here, and HMAC isn't either, so that nobody signs with a public key
//! as the secret. Which algorithm is tried with a key is what the key is for.

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Deserializer};

use crate::login_state::LoginState;
use crate::ring_jwt;

/// How far the provider's clock may be from ours.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Longest token that is looked at.
const MAX_BYTES: usize = 16 * 1024;
/// Most keys of one provider.
const MAX_KEYS: usize = 100;
/// Longest `sub`: OpenID Connect Core, section 2.
const MAX_SUBJECT: usize = 255;

/// The keys that a provider signs with.
#[derive(Clone, Debug)]
pub struct ProviderKeys(Vec<Jwk>);

/// What a token has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who must have made it.
    pub issuer: &'a str,
    /// Whom it must be for: our id at the provider.
    pub client_id: &'a str,
    /// The login that it must belong to.
    pub login: &'a LoginState,
}

/// What a good token says.
#[derive(Clone, Debug, Deserialize)]
pub struct IdToken {
    iss: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    nonce: Option<String>,
    /// Who has logged in: an id that the provider gives to nobody else, ever.
    pub sub: String,
    /// What else it says, or its userinfo.
    #[serde(flatten)]
    pub profile: Profile,
}

/// What a provider says of a person beside the id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Profile {
    /// The address for mail.
    #[serde(default)]
    pub email: Option<String>,
    /// Whether the provider has made sure that the address is the person's.
    #[serde(default, deserialize_with = "boolean")]
    pub email_verified: bool,
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// What the person is called at the provider; it may change and be another's later.
    #[serde(default)]
    pub preferred_username: Option<String>,
    /// The organisation of a Google account.
    #[serde(default)]
    pub hd: Option<String>,
    /// The tenant of an account in Entra ID.
    #[serde(default)]
    pub tid: Option<String>,
    /// The account's id within its tenant of Entra ID.
    #[serde(default)]
    pub oid: Option<String>,
}

/// Why a token is refused; for the log, not for who has logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// Its form or its signature is wrong, or it names an algorithm that is not taken.
    #[error("the identity token is malformed, or its signature is wrong")]
    Invalid,
    /// None of the keys can have signed it: perhaps one that the provider has made since they were read.
    #[error("the identity token is signed by an unknown key")]
    UnknownKey,
    /// Somebody else has made it.
    #[error("the identity token is of another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("the identity token is for another client")]
    Audience,
    /// It was good once, or will be.
    #[error("the identity token has expired, or is from the future")]
    Time,
    /// It belongs to another login.
    #[error("the identity token belongs to another login")]
    Nonce,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl ProviderKeys {
    /// The keys of a JSON Web Key Set (RFC 7517). What cannot be read among them is left out: providers have keys for
    /// more than this.
    ///
    /// # Errors
    /// When it is no key set.
    pub fn parse(document: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(document)?;
        let keys = set.keys.into_iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value(key).ok());
        Ok(Self(keys.collect()))
    }

    /// Those that can have signed a token whose head names `id` and `algorithm`.
    fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Jwk> {
        let is_named = move |key: &Jwk| id.is_none() || key.common.key_id.as_deref() == id;
        self.0.iter().filter(move |key| is_named(key) && signs_with(key, algorithm))
    }

    /// What `token` says, if all of it is as `expected`.
    ///
    /// # Errors
    /// [`IdTokenError`] when it isn't.
    pub fn verify(&self, token: &str, expected: Expected<'_>, now: Timestamp) -> Result<IdToken, IdTokenError> {
        ring_jwt::install();
        if token.len() > MAX_BYTES {
            return Err(IdTokenError::Invalid);
        }
        let head = decode_header(token).map_err(|_| IdTokenError::Invalid)?;
        let mut rules = Validation::new(head.alg);
        // Everything that it says is checked below, against a clock that tests can set.
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        let mut error = IdTokenError::UnknownKey;
        for key in self.candidates(head.kid.as_deref(), head.alg) {
            let Ok(key) = DecodingKey::from_jwk(key) else { continue };
            match decode::<IdToken>(token, &key, &rules) {
                Ok(token) => return token.claims.check(expected, now),
                Err(_) => error = IdTokenError::Invalid,
            }
        }
        Err(if is_taken(head.alg) { error } else { IdTokenError::Invalid })
    }
}

/// Whether a provider may sign with it.
fn is_taken(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

/// Whether `key` is for signatures of `algorithm`.
fn signs_with(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    let of_kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => {
            matches!(algorithm, A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512)
        }
        AlgorithmParameters::EllipticCurve(curve) => {
            matches!((&curve.curve, algorithm), (EllipticCurve::P256, A::ES256) | (EllipticCurve::P384, A::ES384))
        }
        AlgorithmParameters::OctetKeyPair(pair) => pair.curve == EllipticCurve::Ed25519 && algorithm == A::EdDSA,
        _ => false,
    };
    let named = key.common.key_algorithm.is_none_or(|named| named.to_string() == format!("{algorithm:?}"));
    let signs = key.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    of_kind && named && signs
}

impl IdToken {
    fn check(self, expected: Expected<'_>, now: Timestamp) -> Result<Self, IdTokenError> {
        if self.iss != expected.issuer {
            return Err(IdTokenError::Issuer);
        }
        let is_ours = match &self.aud {
            Audience::One(client) => client == expected.client_id,
            // One that is for others too has to say that it was made for us.
            Audience::Many(clients) => {
                clients.iter().any(|client| client == expected.client_id) && (clients.len() == 1 || self.azp.is_some())
            }
        };
        if !is_ours || self.azp.as_ref().is_some_and(|client| client != expected.client_id) {
            return Err(IdTokenError::Audience);
        }
        let (now, skew) = (now.as_second(), CLOCK_SKEW.as_secs());
        let starts = self.nbf.unwrap_or(self.iat).max(self.iat);
        if now >= self.exp.saturating_add(skew) || starts > now.saturating_add(skew) {
            return Err(IdTokenError::Time);
        }
        if !self.nonce.as_deref().is_some_and(|nonce| expected.login.has_nonce(nonce)) {
            return Err(IdTokenError::Nonce);
        }
        if self.sub.is_empty() || self.sub.len() > MAX_SUBJECT {
            return Err(IdTokenError::Invalid);
        }
        Ok(self)
    }
}

/// Some providers write `"true"`. What is neither says nothing.
fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value == serde_json::Value::Bool(true) || value == "true")
}

#[cfg(test)]
mod tests;
