//! A login at a provider that is under way: what must come back the same, kept in the browser's own cookie.
//!
//! `state` ties the provider's answer to the browser that asked (CSRF), `nonce` the identity token to this login
//! (replay), and the verifier the code to us (PKCE). The cookie is sealed, so it can't be made by others, and any
//! replica can finish what another began. It is good for one login if the route deletes it, whatever the outcome; the
//! code that goes with it is good once at the provider anyway.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::{base62, pkce, seal::Sealer};

/// How long people may take at the provider.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
const PURPOSE: &str = "vx11 login";
/// Longest address to return to.
const MAX_RETURN_TO: usize = 1024;

/// A login under way.
#[derive(Clone, Debug)]
pub struct LoginState {
    /// The provider's name in the configuration; its answer must come to that provider's address.
    pub provider: String,
    /// Goes with the request, comes back with the answer.
    pub state: String,
    /// Goes with the request, comes back in the identity token.
    pub nonce: String,
    /// Goes with the redemption of the code; only [`LoginState::challenge`] goes with the request.
    pub verifier: SecretString,
    /// Where in the dashboard the browser goes on: a path of ours.
    pub return_to: String,
    /// Until when the provider's answer is taken.
    pub expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Cookie {
    provider: String,
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    expires_at: i64,
}

/// Why a provider's answer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginStateError {
    /// The cookie isn't ours, or is missing.
    #[error("no login is under way in this browser")]
    NoLogin,
    /// The answer is to another login than the cookie's, or another provider's.
    #[error("the answer is to another login")]
    Mismatch,
    /// It took too long.
    #[error("the login took too long; begin again")]
    Expired,
}

impl LoginState {
    /// A login at `provider`, from which the browser comes back to `return_to`, or to the front page where that is not
    /// a path of ours.
    pub fn begin(provider: &str, return_to: &str, now: Timestamp) -> Self {
        Self {
            provider: provider.to_owned(),
            state: base62::random(43),
            nonce: base62::random(43),
            verifier: base62::random(64).into(),
            return_to: if is_own_path(return_to) { return_to.to_owned() } else { "/".to_owned() },
            expires_at: now.saturating_add(LIFETIME).unwrap_or(now),
        }
    }

    /// The `code_challenge` of the request; its method is [`pkce::METHOD`].
    pub fn challenge(&self) -> String {
        pkce::challenge(self.verifier.expose_secret())
    }

    /// The cookie's value.
    pub fn seal(&self, sealer: &Sealer) -> String {
        let cookie = Cookie {
            provider: self.provider.clone(),
            state: self.state.clone(),
            nonce: self.nonce.clone(),
            verifier: self.verifier.expose_secret().to_owned(),
            return_to: self.return_to.clone(),
            expires_at: self.expires_at.as_second(),
        };
        sealer.seal(PURPOSE, &serde_json::to_vec(&cookie).expect("text and a number"))
    }

    /// The login that `cookie` holds, if `provider` answers it with `state` in time.
    ///
    /// # Errors
    /// [`LoginStateError`] when it doesn't.
    pub fn open(
        sealer: &Sealer,
        cookie: &str,
        provider: &str,
        state: &str,
        now: Timestamp,
    ) -> Result<Self, LoginStateError> {
        let value = sealer.open(PURPOSE, cookie).ok_or(LoginStateError::NoLogin)?;
        let cookie: Cookie = serde_json::from_slice(&value).map_err(|_| LoginStateError::NoLogin)?;
        if cookie.provider != provider || !same(&cookie.state, state) {
            return Err(LoginStateError::Mismatch);
        }
        let expires_at = Timestamp::from_second(cookie.expires_at).map_err(|_| LoginStateError::NoLogin)?;
        if now >= expires_at {
            return Err(LoginStateError::Expired);
        }
        let Cookie { provider, state, nonce, verifier, return_to, .. } = cookie;
        Ok(Self { provider, state, nonce, verifier: verifier.into(), return_to, expires_at })
    }

    /// Whether `nonce` of an identity token is this login's.
    pub fn has_nonce(&self, nonce: &str) -> bool {
        same(&self.nonce, nonce)
    }
}

fn same(ours: &str, sent: &str) -> bool {
    ours.as_bytes().ct_eq(sent.as_bytes()).into()
}

/// Whether `text` is a path on this host: browsers read `//host`, `/\host` and `/<tab>/host` as another's.
fn is_own_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= MAX_RETURN_TO
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored_key::{KeyKind, StoredKey};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
    }

    fn sealer() -> Sealer {
        Sealer::new([&StoredKey::first(KeyKind::Seal, at(0))]).expect("a key")
    }

    #[test]
    fn any_replica_finishes_a_login_that_was_begun_in_this_browser() {
        let (sealer, login) = (sealer(), LoginState::begin("github", "/interventions?id=1", at(0)));
        let cookie = login.seal(&sealer);
        let opened = LoginState::open(&sealer, &cookie, "github", &login.state, at(599)).expect("in time");
        assert_eq!((&opened.return_to, opened.expires_at), (&login.return_to, login.expires_at));
        assert!(opened.has_nonce(&login.nonce) && !opened.has_nonce("other"));
        assert!(pkce::is_answered(&login.challenge(), opened.verifier.expose_secret()));
    }

    #[test]
    fn an_answer_to_another_login_is_refused() {
        let (sealer, login) = (sealer(), LoginState::begin("github", "/", at(0)));
        let cookie = login.seal(&sealer);
        let open = |sealer: &Sealer, cookie: &str, provider, state: &str, second| {
            LoginState::open(sealer, cookie, provider, state, at(second)).expect_err("refused")
        };
        assert_eq!(open(&sealer, &cookie, "github", "other", 1), LoginStateError::Mismatch);
        assert_eq!(open(&sealer, &cookie, "github", "", 1), LoginStateError::Mismatch);
        assert_eq!(open(&sealer, &cookie, "google", &login.state, 1), LoginStateError::Mismatch);
        assert_eq!(open(&sealer, &cookie, "github", &login.state, 600), LoginStateError::Expired);
        assert_eq!(open(&self::sealer(), &cookie, "github", &login.state, 1), LoginStateError::NoLogin);
        assert_eq!(open(&sealer, "", "github", &login.state, 1), LoginStateError::NoLogin);
        let other_purpose = sealer.seal("something else", b"{}");
        assert_eq!(open(&sealer, &other_purpose, "github", &login.state, 1), LoginStateError::NoLogin);
    }

    #[test]
    fn nobody_is_sent_to_another_host() {
        let back = |return_to: &str| LoginState::begin("github", return_to, at(0)).return_to;
        assert_eq!(back("/a?b=c#d"), "/a?b=c#d");
        for text in ["", "a", "//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil", "/ä", "/a\r\nb"]
        {
            assert_eq!(back(text), "/", "{text:?}");
        }
        assert_eq!(back(&format!("/{}", "a".repeat(1024))), "/");
    }

    #[test]
    fn each_login_has_its_own_secrets_and_they_are_not_printed() {
        let (one, two) = (LoginState::begin("g", "/", at(0)), LoginState::begin("g", "/", at(0)));
        assert!(one.state != two.state && one.nonce != two.nonce && one.challenge() != two.challenge());
        assert!(!format!("{one:?}").contains(one.verifier.expose_secret()));
    }
}
