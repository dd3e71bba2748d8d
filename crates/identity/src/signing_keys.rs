//! The keys that access tokens are signed with: one signs, older ones still verify.
//!
//! A key follows another without downtime, and without a moment that replicas would have to agree on. A new key lies in
//! the store for some minutes before it signs; meanwhile every replica reads it. From then on the newest signs, and the
//! one before it verifies until the last token that it can have signed has expired. All of that follows from the rows
//! and the time, so there is no state to keep in step.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::Serialize;

use crate::access_token::{CLOCK_SKEW, MAX_LIFETIME};
use crate::ring_jwt;
use crate::stored_key::{KeyError, KeyKind, StoredKey};

/// The keys of one moment; read anew from the store from time to time.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    /// By when they sign, the newest first.
    keys: Vec<Arc<SigningKey>>,
}

/// One key, ready to sign and verify.
#[derive(Debug)]
pub(crate) struct SigningKey {
    pub(crate) id: String,
    /// The only algorithm that is tried with it, whatever a token's head says.
    pub(crate) algorithm: Algorithm,
    pub(crate) signs: EncodingKey,
    pub(crate) verifies: DecodingKey,
    signs_from: Timestamp,
    /// For the public document; a shared secret has none.
    public: Option<String>,
}

impl SigningKeys {
    /// The keys for tokens among `stored`.
    ///
    /// # Errors
    /// [`KeyError::None`] when there is none among them, [`KeyError::Unreadable`] when one can't be used.
    pub fn new<'a>(stored: impl IntoIterator<Item = &'a StoredKey>) -> Result<Self, KeyError> {
        ring_jwt::install();
        let keys = stored.into_iter().filter_map(|key| SigningKey::new(key).transpose());
        let mut keys = keys.map(|key| key.map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        keys.sort_by(|a, b| (b.signs_from, &b.id).cmp(&(a.signs_from, &a.id)));
        Ok(Self { keys })
    }

    /// The key that signs at `now`: the newest that does already.
    pub(crate) fn signing(&self, now: Timestamp) -> Result<&SigningKey, KeyError> {
        self.keys.iter().find(|key| key.signs_from <= now).map(|key| &**key).ok_or(KeyError::None)
    }

    /// The key called `id`, if a token of it can still be good at `now`. Without an id: the configured secret, whose
    /// tokens may be made by programs that know no other.
    pub(crate) fn verifying(&self, id: Option<&str>, now: Timestamp) -> Option<&SigningKey> {
        let place = match id {
            Some(id) => self.keys.iter().position(|key| key.id == id),
            None => self.keys.iter().position(|key| key.algorithm == Algorithm::HS256),
        };
        let place = place?;
        self.verifies_until(place).is_none_or(|until| now <= until).then(|| &*self.keys[place])
    }

    /// The ids of the keys that are of no use at `now` and can be deleted.
    pub fn spent(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let spent = move |place: &usize| self.verifies_until(*place).is_some_and(|until| now > until);
        (0..self.keys.len()).filter(spent).map(|place| &*self.keys[place].id)
    }

    /// When the newest key began to sign, or will.
    pub fn newest_signs_from(&self) -> Timestamp {
        self.keys.first().map_or(Timestamp::MIN, |key| key.signs_from)
    }

    /// Whether the newest key has signed for `period`, so that another should be made.
    ///
    /// A configured secret is never due: who configured it changes it.
    pub fn is_due(&self, period: SignedDuration, now: Timestamp) -> bool {
        let is_pair = self.keys.first().is_some_and(|key| key.algorithm == Algorithm::EdDSA);
        is_pair && now.duration_since(self.newest_signs_from()) >= period
    }

    /// When the last token of the key at `place` has expired: some time after the next key signs. `None`: not yet
    /// known, because it is the newest; or never, because it is configured, and programs that share it go on signing.
    fn verifies_until(&self, place: usize) -> Option<Timestamp> {
        if self.keys[place].algorithm == Algorithm::HS256 {
            return None;
        }
        let next = self.keys.get(place.checked_sub(1)?)?;
        let last_token = MAX_LIFETIME.saturating_add(CLOCK_SKEW);
        Some(next.signs_from.saturating_add(last_token).unwrap_or(Timestamp::MAX))
    }

    /// The public keys, as `GET /.well-known/jwks.json` answers them (RFC 7517, RFC 8037), those that will sign
    /// included. Shared secrets are never among them.
    pub fn jwks(&self, now: Timestamp) -> Jwks {
        let live = (0..self.keys.len()).filter(|place| self.verifies_until(*place).is_none_or(|until| now <= until));
        let jwk = |key: &SigningKey| {
            let x = key.public.clone()?;
            Some(Jwk { kty: "OKP", crv: "Ed25519", alg: "EdDSA", r#use: "sig", kid: key.id.clone(), x })
        };
        Jwks { keys: live.filter_map(|place| jwk(&self.keys[place])).collect() }
    }
}

impl SigningKey {
    /// `None`: the key is for something else.
    fn new(stored: &StoredKey) -> Result<Option<Self>, KeyError> {
        let (algorithm, signs, verifies, public) = match stored.kind {
            KeyKind::EdDsa => {
                let pair = Ed25519KeyPair::from_seed_unchecked(stored.secret()).map_err(|_| KeyError::Unreadable)?;
                let public = pair.public_key().as_ref();
                let x = URL_SAFE_NO_PAD.encode(public);
                let (signs, verifies) = (EncodingKey::from_ed_der(stored.secret()), DecodingKey::from_ed_der(public));
                (Algorithm::EdDSA, signs, verifies, Some(x))
            }
            KeyKind::Hs256 => {
                let secret = stored.secret();
                (Algorithm::HS256, EncodingKey::from_secret(secret), DecodingKey::from_secret(secret), None)
            }
            KeyKind::Seal => return Ok(None),
        };
        Ok(Some(Self { id: stored.id.clone(), algorithm, signs, verifies, signs_from: stored.signs_from, public }))
    }
}

/// A JSON Web Key Set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwk {
    /// Always `OKP`.
    pub kty: &'static str,
    /// Always `Ed25519`.
    pub crv: &'static str,
    /// Always `EdDSA`.
    pub alg: &'static str,
    /// Always `sig`.
    pub r#use: &'static str,
    /// The id in the heads of tokens.
    pub kid: String,
    /// The public key, base64url.
    pub x: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minutes * 60).expect("in range")
    }

    #[test]
    fn a_new_key_is_known_before_it_signs_and_the_old_one_verifies_until_its_last_token_has_expired() {
        let old = StoredKey::first(KeyKind::EdDsa, at(0));
        let new = StoredKey::next(KeyKind::EdDsa, at(100));
        let keys = SigningKeys::new([&old, &new]).expect("two keys");
        let signing = |minute| keys.signing(at(minute)).expect("a key").id.clone();
        let verifies = |key: &StoredKey, minute| keys.verifying(Some(&key.id), at(minute)).is_some();

        assert_eq!(signing(104), old.id);
        assert!(verifies(&new, 100), "a replica whose clock is ahead signs with it already");
        assert_eq!(signing(105), new.id);
        assert!(verifies(&old, 105) && verifies(&old, 165));
        assert!(!verifies(&old, 167) && verifies(&new, 10_000));
        assert_eq!(keys.spent(at(165)).count(), 0);
        assert_eq!(keys.spent(at(167)).collect::<Vec<_>>(), [&*old.id]);
        assert_eq!(keys.jwks(at(165)).keys.len(), 2);
        assert_eq!(keys.jwks(at(167)).keys.len(), 1);
        assert!(!keys.is_due(SignedDuration::from_hours(24), at(1544)));
        assert!(keys.is_due(SignedDuration::from_hours(24), at(1545)));
    }

    #[test]
    fn a_configured_secret_verifies_as_long_as_it_is_configured_and_leaves_the_signing_to_pairs() {
        let secret = StoredKey::from_configured(&"0123456789abcdef0123456789abcdef".into()).expect("long enough");
        let pair = StoredKey::first(KeyKind::EdDsa, at(0));
        let keys = SigningKeys::new([&secret, &pair]).expect("keys");
        assert_eq!(keys.signing(at(1)).expect("a key").id, pair.id);
        assert!(keys.verifying(None, at(100_000)).is_some());
        assert_eq!(keys.spent(at(100_000)).count(), 0);
        let alone = SigningKeys::new([&secret]).expect("a key");
        assert_eq!(alone.signing(at(1)).expect("a key").id, secret.id);
        assert!(!alone.is_due(SignedDuration::from_hours(1), at(0)));
    }

    #[test]
    fn shared_secrets_are_never_published() {
        let secret = StoredKey::from_configured(&"0123456789abcdef0123456789abcdef".into()).expect("long enough");
        let pair = StoredKey::first(KeyKind::EdDsa, at(0));
        let seal = StoredKey::first(KeyKind::Seal, at(0));
        let keys = SigningKeys::new([&secret, &pair, &seal]).expect("keys").jwks(at(0)).keys;
        assert_eq!(keys.iter().map(|key| &key.kid).collect::<Vec<_>>(), [&pair.id]);
        let printed = serde_json::to_string(&keys).expect("serialises");
        use secrecy::ExposeSecret;
        assert!(!printed.contains(pair.secret_for_row().expose_secret()));
    }

    #[test]
    fn without_a_key_for_tokens_nothing_starts() {
        let seal = StoredKey::first(KeyKind::Seal, at(0));
        assert_eq!(SigningKeys::new([&seal]).expect_err("none"), KeyError::None);
        let later = SigningKeys::new([&StoredKey::next(KeyKind::EdDsa, at(0))]).expect("one key");
        assert_eq!(later.signing(at(1)).expect_err("not yet"), KeyError::None);
    }
}
