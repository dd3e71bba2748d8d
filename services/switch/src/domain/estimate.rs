//! How many tokens a prompt has, where nobody counts them: about one for four bytes of what is said.

use serde_json::Value;

/// English text has about four bytes a token in the vocabularies in use.
const BYTES_PER_TOKEN: u64 = 4;
/// Images cost by their size, which is not known here; this is what a usual one costs.
const IMAGE_TOKENS: u64 = 1600;

/// Estimates the tokens of a request's system text, messages and tools, in whichever wire.
pub(crate) fn prompt_tokens(body: &[u8]) -> u64 {
    let Ok(request) = serde_json::from_slice::<Value>(body) else { return 0 };
    let said = ["system", "messages", "tools"].into_iter().filter_map(|field| request.get(field));
    let (mut bytes, mut images) = (0, 0);
    said.for_each(|value| add(value, &mut bytes, &mut images));
    bytes.div_ceil(BYTES_PER_TOKEN) + images * IMAGE_TOKENS
}

/// Adds up text and names of fields; an image's data is not text.
fn add(value: &Value, bytes: &mut u64, images: &mut u64) {
    match value {
        Value::String(text) => *bytes += text.len() as u64,
        Value::Array(list) => list.iter().for_each(|value| add(value, bytes, images)),
        Value::Object(fields) => match fields.get("type").and_then(Value::as_str) {
            Some("image" | "image_url" | "document") => *images += 1,
            _ => fields.iter().for_each(|(name, value)| {
                *bytes += name.len() as u64;
                add(value, bytes, images);
            }),
        },
        Value::Number(_) | Value::Bool(_) => *bytes += 1,
        Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_prompts_have_more_tokens_and_images_a_flat_price() {
        let tokens = |content: &str| {
            prompt_tokens(
                format!(r#"{{"max_tokens":9,"messages":[{{"role":"user","content":{content}}}]}}"#).as_bytes(),
            )
        };
        assert!(tokens("\"hello\"") < tokens("\"hello, and good day to you\""));
        let image = |data: &str| format!(r#"[{{"type":"image","source":{{"data":"{data}"}}}}]"#);
        assert_eq!(tokens(&image("aaaa")), tokens(&image(&"a".repeat(100_000))));
        assert_eq!(prompt_tokens(b"not JSON"), 0);
    }
}
