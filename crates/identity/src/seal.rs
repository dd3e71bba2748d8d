//! Values that a browser keeps for us: it can neither read nor change them, and no replica has to remember them.
//!
//! ChaCha20-Poly1305 with random nonces, under keys that replicas share. A value is sealed for one purpose and opened
//! for no other.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::stored_key::{KeyError, KeyKind, StoredKey};

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    /// The newest first: it seals, and all open.
    keys: Arc<[LessSafeKey]>,
}

impl Sealer {
    /// The keys for sealing among `stored`.
    ///
    /// # Errors
    /// [`KeyError::None`] when there is none among them.
    pub fn new<'a>(stored: impl IntoIterator<Item = &'a StoredKey>) -> Result<Self, KeyError> {
        let mut stored: Vec<_> = stored.into_iter().filter(|key| key.kind == KeyKind::Seal).collect();
        stored.sort_by_key(|key| std::cmp::Reverse(key.signs_from));
        let key = |key: &StoredKey| UnboundKey::new(&CHACHA20_POLY1305, key.secret()).map(LessSafeKey::new);
        let keys = stored.into_iter().map(key).collect::<Result<Arc<[_]>, _>>().map_err(|_| KeyError::Unreadable)?;
        if keys.is_empty() { Err(KeyError::None) } else { Ok(Self { keys }) }
    }

    /// `value`, sealed for `purpose`, in characters that a cookie and an address can hold.
    pub fn seal(&self, purpose: &str, value: &[u8]) -> String {
        // 96 random bits: chances of a repeat stay below 2^-32 for the first 2^32 values of a key (RFC 8439, NIST SP
        // 800-38D section 8.3), which are logins.
        let nonce = rand::random::<[u8; NONCE_LEN]>();
        let mut sealed = value.to_vec();
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        let done = self.keys[0].seal_in_place_append_tag(nonce_used, Aad::from(purpose.as_bytes()), &mut sealed);
        done.expect("a value is far below the algorithm's limit of 256 GiB");
        URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// The value that was sealed for `purpose`; `None` for anything else.
    pub fn open(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        self.keys.iter().find_map(|key| {
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let value = key.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut sealed).ok()?;
            Some(value.to_vec())
        })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keys", &self.keys.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn key() -> StoredKey {
        StoredKey::first(KeyKind::Seal, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_was_sealed_opens_for_its_purpose_only_and_under_older_keys_too() {
        let (old, new) = (key(), StoredKey::next(KeyKind::Seal, Timestamp::UNIX_EPOCH));
        let sealed = Sealer::new([&old]).expect("a key").seal("login", b"value");
        let both = Sealer::new([&old, &new]).expect("keys");
        assert_eq!(both.open("login", &sealed).as_deref(), Some(&b"value"[..]));
        assert_eq!(both.open("csrf", &sealed), None);
        assert_eq!(Sealer::new([&new]).expect("a key").open("login", &sealed), None);
        assert_ne!(both.seal("login", b"value"), both.seal("login", b"value"));
        assert_eq!(Sealer::new([]).expect_err("none"), KeyError::None);
    }

    proptest! {
        #[test]
        fn a_changed_value_does_not_open(value in prop::collection::vec(any::<u8>(), 0..64), place: prop::sample::Index, bit in 0u32..8) {
            let sealer = Sealer::new([&key()]).expect("a key");
            let mut bytes = URL_SAFE_NO_PAD.decode(sealer.seal("p", &value)).expect("base64url");
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert_eq!(sealer.open("p", &URL_SAFE_NO_PAD.encode(bytes)), None);
        }

        #[test]
        fn anything_can_be_presented(text in "\\PC{0,80}") {
            prop_assert_eq!(Sealer::new([&key()]).expect("a key").open("p", &text), None);
        }
    }
}
