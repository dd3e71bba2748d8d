//! Passwords of local logins, which are off unless they are asked for.
//!
//! Argon2id with 19 MiB, two passes and one lane: the least that OWASP's Password Storage Cheat Sheet advises (2024 and
//! since). Each verification takes that memory and some ten milliseconds of a core, so the caller runs it on the
//! blocking pool and bounds how many run at once.

use std::sync::OnceLock;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};

use crate::base62;

/// Fewest characters of a password that is the only factor: NIST SP 800-63B-4, section 3.1.1.2.
pub const MIN_CHARS: usize = 15;
/// Longest password that is looked at: a longer one costs memory and time, and adds nothing.
pub const MAX_BYTES: usize = 1024;

/// Why a password can't be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too few characters.
    #[error("a password needs {MIN_CHARS} characters at least")]
    Short,
    /// Too many bytes.
    #[error("a password has {MAX_BYTES} bytes at most")]
    Long,
    /// The machine has no memory or no random numbers left.
    #[error("the password cannot be hashed")]
    Failed,
}

/// Hashes and verifies passwords.
#[derive(Debug)]
pub struct Passwords {
    params: Params,
    /// Of a password that nobody knows.
    nobodys: OnceLock<String>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::with(Params::DEFAULT)
    }
}

impl Passwords {
    fn with(params: Params) -> Self {
        Self { params, nobodys: OnceLock::new() }
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    /// The text that the store keeps of `password`: algorithm, cost, salt and hash.
    ///
    /// # Errors
    /// [`PasswordError`] when it is too short or too long, or can't be hashed.
    pub fn hash(&self, password: &SecretString) -> Result<String, PasswordError> {
        let password = password.expose_secret();
        if password.chars().take(MIN_CHARS).count() < MIN_CHARS {
            return Err(PasswordError::Short);
        }
        if password.len() > MAX_BYTES {
            return Err(PasswordError::Long);
        }
        self.hash_any(password).ok_or(PasswordError::Failed)
    }

    fn hash_any(&self, password: &str) -> Option<String> {
        let hash: PasswordHash = self.argon2().hash_password(password.as_bytes()).ok()?;
        Some(hash.to_string())
    }

    /// Whether `password` is the one that `stored` was made of. `None`, for somebody who doesn't exist or has no
    /// password, takes as long as any: who is there can't be told from the time of a refusal.
    pub fn verify(&self, password: &SecretString, stored: Option<&str>) -> bool {
        let password = password.expose_secret();
        if password.len() > MAX_BYTES {
            return false;
        }
        let nobodys = || self.nobodys.get_or_init(|| self.hash_any(&base62::random(43)).unwrap_or_default()).as_str();
        let is_right = PasswordHash::new(stored.unwrap_or_else(nobodys))
            .is_ok_and(|hash| self.argon2().verify_password(password.as_bytes(), &hash).is_ok());
        is_right && stored.is_some()
    }

    /// Whether `stored` was made at another cost than today's, so that a password that was right should be hashed anew.
    pub fn is_outdated(&self, stored: &str) -> bool {
        let Ok(hash) = PasswordHash::new(stored) else { return true };
        let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        hash.algorithm.as_str() != "argon2id"
            || !Params::try_from(&hash).is_ok_and(|params| cost(&params) == cost(&self.params))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As cheap as Argon2 gets: what is tested here doesn't depend on the cost.
    fn cheap() -> Passwords {
        Passwords::with(Params::new(8, 1, 1, None).expect("allowed"))
    }

    const RIGHT: &str = "correct horse battery staple";

    #[test]
    fn only_the_right_password_is_right() {
        let passwords = cheap();
        let stored = passwords.hash(&RIGHT.into()).expect("hashed");
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert!(!stored.contains(RIGHT));
        assert!(passwords.verify(&RIGHT.into(), Some(&stored)));
        assert!(!passwords.verify(&"correct horse battery stable".into(), Some(&stored)));
        assert!(!passwords.verify(&"".into(), Some(&stored)));
        assert_ne!(stored, passwords.hash(&RIGHT.into()).expect("hashed"), "each has its own salt");
    }

    #[test]
    fn nobody_has_no_password_and_a_broken_row_lets_nobody_in() {
        let passwords = cheap();
        assert!(!passwords.verify(&RIGHT.into(), None));
        assert!(passwords.nobodys.get().is_some_and(|hash| hash.starts_with("$argon2id$")), "as much work as any");
        for stored in ["", "plain", "$argon2id$", RIGHT] {
            assert!(!passwords.verify(&RIGHT.into(), Some(stored)), "{stored}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let passwords = cheap();
        let hash = |chars: &str, times| passwords.hash(&chars.repeat(times).into());
        assert_eq!(hash("x", 14), Err(PasswordError::Short));
        hash("ä", 15).expect("characters count, not bytes");
        hash("x", 1024).expect("the longest");
        assert_eq!(hash("x", 1025), Err(PasswordError::Long));
        assert!(!passwords.verify(&"x".repeat(1_000_000).into(), None));
    }

    #[test]
    fn what_was_hashed_at_another_cost_is_outdated() {
        let stored = cheap().hash(&RIGHT.into()).expect("hashed");
        assert!(!cheap().is_outdated(&stored));
        assert!(Passwords::default().is_outdated(&stored));
        assert!(Passwords::default().is_outdated("plain"));
    }

    #[test]
    fn the_cost_is_what_owasp_advises() {
        let params = Passwords::default().params;
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (19 * 1024, 2, 1));
    }
}
