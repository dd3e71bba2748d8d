//! One-time tokens: what a caller holds, and the digest that is all madre keeps of it.

use ring::digest;
use subtle::ConstantTimeEq;

/// 128 random bits as 32 hexadecimal digits.
pub(crate) fn mint() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// SHA-256 as hexadecimal digits. The tokens are random, so there is nothing to salt.
pub(crate) fn digest(token: &str) -> String {
    use std::fmt::Write;
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether `sent` is the token that `kept` is the digest of, in constant time.
pub(crate) fn matches(sent: &str, kept: &str) -> bool {
    digest(sent).as_bytes().ct_eq(kept.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_matches_its_digest() {
        let (token, other) = (mint(), mint());
        assert_eq!(token.len(), 32);
        assert!(matches(&token, &digest(&token)));
        assert!(!matches(&other, &digest(&token)));
        assert!(!matches("", &digest(&token)));
        assert!(!matches(&digest(&token), &digest(&token)), "what is stored is of no use to whoever reads it");
    }
}
