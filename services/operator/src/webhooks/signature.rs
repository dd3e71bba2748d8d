//! Signatures as Standard Webhooks 1.0 wants them: HMAC-SHA256 over `id.timestamp.body`, with the organisation's secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use secrecy::ExposeSecret;
use vx11_chassis::config::Secrets;
use vx11_contracts::identity::OrgId;

const PREFIX: &str = "whsec_";

/// The secrets of all organisations, where the environment or a file has them. They are read when they are needed, so
/// that one which changes in its file is used from then on.
pub(super) struct SigningKeys {
    variable: String,
    secrets: Secrets,
}

/// Why nothing can be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoKey {
    #[error("needs a secret to sign with: set {0} to `whsec_` and the base64 of 24 to 64 random bytes")]
    Unset(String),
    #[error("the secret in {0} cannot be used: it must be `whsec_` and the base64 of 24 to 64 random bytes")]
    Unusable(String),
}

impl SigningKeys {
    /// `variable`: where the secret of the platform's own organisation is. That of another one is in the variable of
    /// the same name with `_` and the organisation's id in capitals behind it, `_` for each hyphen.
    pub(super) fn new(variable: String, secrets: Secrets) -> Self {
        Self { variable, secrets }
    }

    fn variable(&self, org: &str) -> String {
        match org {
            OrgId::PLATFORM => self.variable.clone(),
            _ => format!("{}_{}", self.variable, org.to_ascii_uppercase().replace('-', "_")),
        }
    }

    /// Whether the secret of `org`, if it has one, is one.
    pub(super) fn check(&self, org: &str) -> Result<(), NoKey> {
        match self.of(org) {
            Ok(_) | Err(NoKey::Unset(_)) => Ok(()),
            Err(unusable) => Err(unusable),
        }
    }

    /// The keys of `org`: more than one while one takes the place of another.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn of(&self, org: &str) -> Result<Vec<hmac::Key>, NoKey> {
        let variable = self.variable(org);
        let secret = match self.secrets.get(&variable) {
            Ok(secret) => secret.filter(|secret| !secret.expose_secret().trim().is_empty()),
            Err(error) => {
                tracing::error!(%error, "webhooks cannot be signed");
                return Err(NoKey::Unusable(variable));
            }
        };
        let Some(secret) = secret else { return Err(NoKey::Unset(variable)) };
        let keys: Option<Vec<hmac::Key>> = secret.expose_secret().split_whitespace().map(key).collect();
        keys.ok_or(NoKey::Unusable(variable))
    }
}

fn key(secret: &str) -> Option<hmac::Key> {
    let bytes = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    (24..=64).contains(&bytes.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The value of `webhook-signature`: a signature with each key.
pub(super) fn sign(keys: &[hmac::Key], id: &str, timestamp: i64, body: &str) -> String {
    let content = format!("{id}.{timestamp}.{body}");
    let each = |key| format!("v1,{}", STANDARD.encode(hmac::sign(key, content.as_bytes())));
    keys.iter().map(each).collect::<Vec<_>>().join(" ")
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys").field("variable", &self.variable).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(variables: &[(&str, &str)]) -> SigningKeys {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        SigningKeys::new("HOOKS".to_owned(), owned.collect())
    }

    // A vector of the project's own reference implementations.
    #[test]
    fn a_signature_is_the_standards() {
        let keys = [key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key")];
        let signature = sign(&keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(sign(&[keys[0].clone(), keys[0].clone()], "i", 1, "b").split(' ').count(), 2);
    }

    #[test]
    fn each_organisation_signs_with_its_own_secret() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let keys = keys(&[("HOOKS", secret), ("HOOKS_ACME_CORP", &format!("{secret} {secret}"))]);
        assert_eq!(keys.of("default").map(|keys| keys.len()).ok(), Some(1));
        assert_eq!(keys.of("acme-corp").map(|keys| keys.len()).ok(), Some(2));
        assert_eq!(keys.of("globex").err(), Some(NoKey::Unset("HOOKS_GLOBEX".to_owned())));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for wrong in ["secret", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!"] {
            let keys = keys(&[("HOOKS", wrong)]);
            assert_eq!(keys.check("default"), Err(NoKey::Unusable("HOOKS".to_owned())), "{wrong}");
        }
        for unset in ["", " "] {
            assert_eq!(keys(&[("HOOKS", unset)]).of("default").err(), Some(NoKey::Unset("HOOKS".to_owned())));
        }
        assert_eq!(keys(&[]).check("default"), Ok(()));
        assert!(!format!("{:?}", keys(&[("HOOKS", "whsec_secret")])).contains("secret\""));
    }
}
