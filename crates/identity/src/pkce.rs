//! PKCE (RFC 7636), method S256: who redeems a code proves to be the one who asked for it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::sha256::Sha256;

/// The only method that is used; `plain` protects from nothing that can read the request.
pub const METHOD: &str = "S256";

/// What goes with the request for a code, made of the verifier that goes with its redemption.
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::of(verifier.as_bytes()).as_bytes())
}

/// Whether `challenge` was made of `verifier`, and `verifier` has the form of RFC 7636 section 4.1.
pub fn is_answered(challenge_sent: &str, verifier: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(is_unreserved)
        && bool::from(challenge(verifier).as_bytes().ct_eq(challenge_sent.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_standards_example() {
        let (verifier, made) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(challenge(verifier), made);
        assert!(is_answered(made, verifier));
        assert!(!is_answered(made, &verifier.to_lowercase()));
        assert!(!is_answered(verifier, verifier), "not the method `plain`");
        assert!(!is_answered(&challenge("short"), "short"));
    }
}
