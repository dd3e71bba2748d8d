//! A key as the store holds it: the secrets that replicas share, and that outlive a restart.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::base62;
use crate::sha256::Sha256;

/// What a key does, and with which algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Signs access tokens with Ed25519; who verifies needs no secret. The default.
    EdDsa,
    /// Signs access tokens with HMAC-SHA-256 under a secret that an operator of VX11 chose (`VX11_JWT_SECRET`).
    Hs256,
    /// Seals cookies.
    Seal,
}

impl KeyKind {
    /// The kind as the store holds it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Seal => "ChaCha20-Poly1305",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::EdDsa, Self::Hs256, Self::Seal].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Why a key can't be used. None of these says anything about the secret but its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A secret that can be guessed.
    #[error("the secret has {0} bytes; it needs {min} at least", min = StoredKey::SECRET_BYTES)]
    Short(usize),
    /// The store holds something else than what was put there.
    #[error("a stored key cannot be read")]
    Unreadable,
    /// None of the keys signs yet, or there is none.
    #[error("there is no key to sign with")]
    None,
}

/// One key, with its secret. It can't be printed: `Debug` leaves the secret out.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Names the key in the head of a token; not a secret.
    pub id: String,
    /// What it does.
    pub kind: KeyKind,
    /// From when on it signs. Until then it is only known, so that no replica meets a token whose key it hasn't read.
    pub signs_from: Timestamp,
    secret: SecretSlice<u8>,
}

impl StoredKey {
    /// Bytes of a secret that VX11 makes, and the least that one from outside must have.
    pub const SECRET_BYTES: usize = 32;
    /// How long before its first signature a new key is in the store. Replicas must read the keys anew within it.
    pub const ANNOUNCED_FOR: SignedDuration = SignedDuration::from_mins(5);

    /// A new key of random bytes that signs at once: an installation's first.
    pub fn first(kind: KeyKind, now: Timestamp) -> Self {
        let secret = rand::random::<[u8; Self::SECRET_BYTES]>();
        Self { id: base62::random(12), kind, signs_from: now, secret: secret.to_vec().into() }
    }

    /// A new key to follow the ones in use, once every replica has had the time to read it.
    pub fn next(kind: KeyKind, now: Timestamp) -> Self {
        Self { signs_from: now.saturating_add(Self::ANNOUNCED_FOR).unwrap_or(now), ..Self::first(kind, now) }
    }

    /// The key that `secret` of the configuration makes; the same on every replica, and never stored. It signs while
    /// there is no pair, and verifies as long as it is configured.
    ///
    /// # Errors
    /// [`KeyError::Short`] below 32 bytes.
    pub fn from_configured(secret: &SecretString) -> Result<Self, KeyError> {
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < Self::SECRET_BYTES {
            return Err(KeyError::Short(secret.len()));
        }
        // Says which secret it is without saying more of it than any token does that is signed with it.
        let id = Sha256::of_parts([&b"vx11 key id "[..], secret]).to_string()[..12].to_owned();
        Ok(Self { id, kind: KeyKind::Hs256, signs_from: Timestamp::UNIX_EPOCH, secret: secret.to_vec().into() })
    }

    /// The key that a row holds.
    ///
    /// # Errors
    /// [`KeyError`] when it isn't one.
    pub fn from_row(id: &str, kind: &str, signs_from: Timestamp, secret: &SecretString) -> Result<Self, KeyError> {
        let kind = KeyKind::from_name(kind).ok_or(KeyError::Unreadable)?;
        let secret = URL_SAFE_NO_PAD.decode(secret.expose_secret()).map_err(|_| KeyError::Unreadable)?;
        // A configured secret stays in the configuration.
        if kind == KeyKind::Hs256 || secret.len() != Self::SECRET_BYTES || id.is_empty() {
            return Err(KeyError::Unreadable);
        }
        Ok(Self { id: id.to_owned(), kind, signs_from, secret: secret.into() })
    }

    /// The secret as the row holds it. Whoever can read the table can sign: the file or schema is the boundary.
    pub fn secret_for_row(&self) -> SecretString {
        URL_SAFE_NO_PAD.encode(self.secret.expose_secret()).into()
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_row_and_never_printed() {
        for kind in [KeyKind::EdDsa, KeyKind::Seal] {
            let key = StoredKey::first(kind, Timestamp::UNIX_EPOCH);
            let secret = key.secret_for_row();
            let read = StoredKey::from_row(&key.id, kind.as_str(), key.signs_from, &secret).expect("reads");
            assert_eq!((read.secret(), &read.id, read.kind), (key.secret(), &key.id, kind));
            let printed = format!("{key:?} {secret:?}");
            assert!(printed.contains("REDACTED"), "{printed}");
            assert!(!printed.contains(secret.expose_secret()), "{printed}");
            assert!(!printed.contains(&format!("{:?}", key.secret())), "{printed}");
        }
    }

    #[test]
    fn a_row_that_holds_something_else_is_refused() {
        let right = StoredKey::first(KeyKind::EdDsa, Timestamp::UNIX_EPOCH).secret_for_row();
        let read = |id, kind, secret: &SecretString| StoredKey::from_row(id, kind, Timestamp::UNIX_EPOCH, secret);
        let unreadable = |read: Result<StoredKey, KeyError>| read.expect_err("refused") == KeyError::Unreadable;
        assert!(unreadable(read("k", "none", &right)));
        assert!(unreadable(read("", "EdDSA", &right)));
        assert!(unreadable(read("k", "EdDSA", &"c2hvcnQ".into())));
        assert!(unreadable(read("k", "HS256", &right)));
        assert!(unreadable(read("k", "EdDSA", &"not base64!".into())));
    }

    #[test]
    fn a_configured_secret_below_32_bytes_is_refused() {
        let made = |bytes: usize| StoredKey::from_configured(&"x".repeat(bytes).into());
        assert_eq!(made(31).expect_err("short"), KeyError::Short(31));
        assert_eq!(made(32).expect("long enough").id, made(32).expect("long enough").id);
    }
}
