//! The signature of a thought inside the id of the tool call that it led to.
//!
//! Gemini wants the signature back along with the call, and neither Anthropic's wire nor OpenAI's Responses has a place
//! for it there. What every client does send back is the id: so it is carried in that, in letters that an id may have.
//! Providers that did not give the signature get the id without it: some of them take short ids only.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// What stands between id and signature.
const MARK: &str = "_thought_signature_";

/// `id` with `signature` inside.
pub(crate) fn join(id: &str, signature: &str) -> String {
    format!("{id}{MARK}{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// The id proper, and the signature that was put into it, if one was.
pub(crate) fn split(id: &str) -> (&str, Option<String>) {
    let parts = id.split_once(MARK).and_then(|(proper, encoded)| {
        let signature = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
        Some((proper, String::from_utf8(signature).ok()?))
    });
    match parts {
        Some((proper, signature)) => (proper, Some(signature)),
        None => (id, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_back_out_of_letters_that_an_id_may_have() {
        let signature = "CpQD+/w==_thought_signature_";
        let id = join("call_1", signature);
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')), "{id}");
        assert_eq!(split(&id), ("call_1", Some(signature.to_owned())));
    }

    #[test]
    fn other_ids_are_left_alone() {
        for id in ["call_1", "", "a_thought_signature_!", "a_thought_signature_gA"] {
            assert_eq!(split(id), (id, None));
        }
    }
}
