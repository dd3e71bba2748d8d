//! API keys: `vx11_<id>_<secret>`, such as `vx11_aB3dE5fG_…`, for programs.
//!
//! The id finds the row. The secret is 37 random letters and digits (220 bits) and a checksum of six, so that a cut or
//! mistyped key is refused without a look into the store, and a scanner of repositories and logs can tell a key from
//! what only looks like one: `vx11_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}`.
//!
//! A key is shown once. The store has its SHA-256: a slow hash, as passwords need, makes guessing dear where there is
//! little to guess; nobody guesses 220 random bits, and a slow hash would cost each request what a login costs.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use vx11_contracts::identity::{OrgId, Principal, Role, Scopes};

use crate::base62;
use crate::sha256::Sha256;

/// What every key begins with.
pub const PREFIX: &str = "vx11_";
/// Characters of an id.
pub const ID_CHARS: usize = 8;
const RANDOM_CHARS: usize = 37;
const CHECKSUM_CHARS: usize = 6;
/// Characters of a secret, its checksum included.
pub const SECRET_CHARS: usize = RANDOM_CHARS + CHECKSUM_CHARS;
/// How exactly the store knows when a key was last used; a write for every call would be dear.
pub const LAST_USED_STEP: SignedDuration = SignedDuration::from_mins(1);

/// A key that was just made.
#[derive(Debug)]
pub struct NewApiKey {
    /// What its holder gets to see, this once.
    pub plain: SecretString,
    /// Finds its row; not a secret.
    pub id: String,
    /// What the store keeps.
    pub hash: Sha256,
}

impl NewApiKey {
    /// A key of random characters.
    pub fn make() -> Self {
        let id = base62::random(ID_CHARS);
        let head = format!("{PREFIX}{id}_{}", base62::random(RANDOM_CHARS));
        let plain = format!("{head}{}", checksum(&head));
        Self { hash: Sha256::of(plain.as_bytes()), plain: plain.into(), id }
    }
}

/// Some text has the form of a key; whether it is one, its row says.
#[derive(Clone, Copy)]
pub struct PresentedKey<'a>(&'a str);

impl<'a> PresentedKey<'a> {
    /// The key that `text` has the form of, its checksum included. `None` says nothing about what is wrong with it.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is = |text: &str, chars| text.len() == chars && base62::is_base62(text);
        if !is(id, ID_CHARS) || !is(secret, SECRET_CHARS) {
            return None;
        }
        let (head, check) = text.split_at(text.len() - CHECKSUM_CHARS);
        (checksum(head) == check).then_some(Self(text))
    }

    /// What finds its row.
    pub fn id(&self) -> &'a str {
        &self.0[PREFIX.len()..][..ID_CHARS]
    }

    /// What its row must hold. Compared in constant time, and of a hash, so no answer's time says how near a guess was.
    pub fn hash(&self) -> Sha256 {
        Sha256::of(self.0.as_bytes())
    }
}

impl fmt::Debug for PresentedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedKey({})", self.id())
    }
}

fn checksum(head: &str) -> String {
    let [a, b, c, d, ..] = *Sha256::of(head.as_bytes()).as_bytes();
    base62::of_u32(u32::from_be_bytes([a, b, c, d]))
}

/// What a key's row says of it.
#[derive(Clone, Debug)]
pub struct ApiKeyTerms {
    /// Its id.
    pub id: String,
    /// Of the whole key.
    pub hash: Sha256,
    /// Whose it is.
    pub org: OrgId,
    /// How much it may.
    pub role: Role,
    /// What it is for.
    pub scopes: Scopes,
    /// Until when it is good, where that is limited.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKeyTerms {
    /// Who the holder of `presented` is; `None` where it isn't this key, or the key has expired or was revoked. Which
    /// of these it is, is for the audit log and not for the caller.
    pub fn accept(&self, presented: &PresentedKey<'_>, now: Timestamp) -> Option<Principal> {
        // The hash first: what is not the key must not learn what became of it.
        if presented.hash() != self.hash || !self.is_good(now) {
            return None;
        }
        let subject: Arc<str> = format!("key:{}", self.id).into();
        Some(Principal { org: self.org.clone(), subject, role: self.role, scopes: self.scopes })
    }

    /// Whether it has neither expired nor been revoked.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// Whether a use at `now` should be written to a row that has `last_used`.
pub fn should_note_use(last_used: Option<Timestamp>, now: Timestamp) -> bool {
    last_used.is_none_or(|last| now.duration_since(last) >= LAST_USED_STEP)
}

/// `plain`, as far as it may be shown again: `vx11_aB3dE5fG_…`.
pub fn redacted(plain: &SecretString) -> String {
    PresentedKey::parse(plain.expose_secret()).map_or_else(|| "…".to_owned(), |key| format!("{PREFIX}{}_…", key.id()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
    }

    fn terms(key: &NewApiKey) -> ApiKeyTerms {
        let org = "acme".parse().expect("an id");
        let (expires_at, revoked_at) = (Some(at(100)), None);
        let (role, scopes) = (Role::Viewer, Scopes::ALL);
        ApiKeyTerms { id: key.id.clone(), hash: key.hash, org, role, scopes, expires_at, revoked_at }
    }

    #[test]
    fn a_key_is_accepted_until_it_expires_or_is_revoked() {
        let key = NewApiKey::make();
        let presented = PresentedKey::parse(key.plain.expose_secret()).expect("a key");
        assert_eq!(presented.id(), key.id);
        let terms = terms(&key);
        let principal = terms.accept(&presented, at(99)).expect("accepted");
        assert_eq!((&*principal.subject, principal.role), (&*format!("key:{}", key.id), Role::Viewer));
        assert_eq!(terms.accept(&presented, at(100)), None);
        assert_eq!(ApiKeyTerms { revoked_at: Some(at(0)), ..terms }.accept(&presented, at(1)), None);
    }

    #[test]
    fn another_key_of_the_same_id_is_refused() {
        let (key, other) = (NewApiKey::make(), NewApiKey::make());
        let head = format!("{PREFIX}{}_{}", key.id, &other.plain.expose_secret()[14..51]);
        let forged = format!("{head}{}", checksum(&head));
        let presented = PresentedKey::parse(&forged).expect("of the right form");
        assert_eq!(presented.id(), key.id);
        assert_eq!(terms(&key).accept(&presented, at(1)), None);
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = NewApiKey::make();
        let secret = &key.plain.expose_secret()[14..];
        let presented = PresentedKey::parse(key.plain.expose_secret()).expect("a key");
        let printed = format!("{key:?} {presented:?} {}", redacted(&key.plain));
        assert!(!printed.contains(secret), "{printed}");
        assert_eq!(redacted(&"sk-something".into()), "…");
    }

    #[test]
    fn uses_are_noted_once_a_minute() {
        assert!(should_note_use(None, at(0)));
        assert!(!should_note_use(Some(at(0)), at(59)) && should_note_use(Some(at(0)), at(60)));
    }

    proptest! {
        #[test]
        fn a_key_with_any_character_changed_is_not_one(place in 0usize..57, to in "[ -~]") {
            let key = NewApiKey::make();
            let plain = key.plain.expose_secret();
            prop_assert_eq!(plain.len(), 57);
            let changed = format!("{}{to}{}", &plain[..place], &plain[place + 1..]);
            let accepted = PresentedKey::parse(&changed).and_then(|key_of_it| terms(&key).accept(&key_of_it, at(1)));
            prop_assert_eq!(accepted.is_some(), changed == plain);
        }

        #[test]
        fn any_text_can_be_presented(text in "(vx11_)?\\PC{0,60}") {
            let _ = PresentedKey::parse(&text);
        }
    }
}
