//! Names under which replicas mean the same provider and the same key, whatever else they are configured with.

use ring::digest::{Context, SHA256};
use url::Url;

/// The provider of this name, at this address.
pub(super) fn provider(name: &str, base_url: &Url) -> String {
    format!("{name}@{}", digest("address", base_url.as_str().as_bytes()))
}

/// A key, from what is sent of it: a part of a digest, from which it cannot be had back.
pub(super) fn key(sent: &[u8]) -> String {
    digest("key", sent)
}

/// Sixty-four bits are enough to tell apart what one configuration holds.
fn digest(kind: &str, bytes: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    for part in [b"vx11 switch ", kind.as_bytes(), b"\0", bytes] {
        context.update(part);
    }
    context.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_address_is_another_provider() {
        let at = |url: &str| provider("groq", &url.parse().expect("a URL"));
        assert_eq!(at("http://a.test/v1"), at("http://a.test/v1"));
        assert_ne!(at("http://a.test/v1"), at("http://b.test/v1"));
        assert_ne!(at("http://a.test/v1"), provider("other", &"http://a.test/v1".parse().expect("a URL")));
    }

    #[test]
    fn a_key_is_not_in_its_name() {
        let name = key(b"Bearer sk-secret");
        assert_eq!((name.len(), name.contains("secret")), (16, false));
        assert_ne!(name, key(b"Bearer sk-other"));
    }
}
