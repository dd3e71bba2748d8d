//! OpenAI's embeddings as `models/{model}:batchEmbedContents` has them: a request goes there, vectors come back.
//!
//! Source: Google's API reference, "Embeddings".

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::wire::json::get;
use crate::wire::{Malformed, Untranslatable};

/// How a vector is written for its caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors<'a> {
    #[serde(borrow)]
    embeddings: Vec<Vector<'a>>,
    usage_metadata: Option<UsageMetadata>,
}

#[derive(Deserialize)]
struct Vector<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: u64,
}

#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Entry<'a> {
    object: &'static str,
    index: usize,
    embedding: Embedding<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Embedding<'a> {
    /// The very numbers that came.
    Numbers(&'a RawValue),
    /// Floats of four bytes, the lowest first.
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Translates a request for `model`.
pub(crate) fn request(body: &[u8], model: &str) -> Result<Bytes, Untranslatable> {
    let asked: Value = serde_json::from_slice(body).map_err(|error| Untranslatable::new("", error.to_string()))?;
    encoding(body)?;
    let model = format!("models/{}", model.strip_prefix("models/").unwrap_or(model));
    let dimensions = get(&asked, "dimensions");
    let one = |text: &str| {
        let mut request = json!({"model": model, "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = dimensions {
            request["outputDimensionality"] = dimensions.clone();
        }
        request
    };
    let only_texts = || Untranslatable::new("input", "must be a text or texts: Gemini's wire has no tokens");
    let requests: Vec<Value> = match &asked["input"] {
        Value::String(text) => vec![one(text)],
        Value::Array(texts) => {
            let texts: Option<Vec<&str>> = texts.iter().map(Value::as_str).collect();
            texts.ok_or_else(only_texts)?.into_iter().map(one).collect()
        }
        _ => return Err(only_texts()),
    };
    Ok(json!({"requests": requests}).to_string().into())
}

/// The answer of `model` to the request in `asked`. Where Gemini does not say what was spent, it does not either.
pub(crate) fn answer(body: &[u8], asked: &[u8], model: &str) -> Result<Bytes, Malformed> {
    let vectors: Vectors<'_> = serde_json::from_slice(body).map_err(|_| Malformed)?;
    let encoding = encoding(asked).map_err(|_| Malformed)?;
    let mut data = Vec::with_capacity(vectors.embeddings.len());
    for (index, vector) in vectors.embeddings.iter().enumerate() {
        data.push(Entry { object: "embedding", index, embedding: encoding.write(vector.values)? });
    }
    let usage = vectors.usage_metadata.map(|metadata| metadata.prompt_token_count);
    let usage = usage.map(|tokens| Usage { prompt_tokens: tokens, total_tokens: tokens });
    let answer = Answer { object: "list", data, model, usage };
    serde_json::to_vec(&answer).map(Bytes::from).map_err(|_| Malformed)
}

fn encoding(asked: &[u8]) -> Result<Encoding, Untranslatable> {
    #[derive(Deserialize)]
    struct Asked {
        encoding_format: Option<Encoding>,
    }
    let asked: Result<Asked, _> = serde_json::from_slice(asked);
    let asked = asked.map_err(|_| Untranslatable::new("encoding_format", "must be `float` or `base64`"))?;
    Ok(asked.encoding_format.unwrap_or_default())
}

impl Encoding {
    fn write(self, values: &RawValue) -> Result<Embedding<'_>, Malformed> {
        if self == Self::Float {
            return Ok(Embedding::Numbers(values));
        }
        let numbers: Vec<f32> = serde_json::from_str(values.get()).map_err(|_| Malformed)?;
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Ok(Embedding::Base64(BASE64_STANDARD.encode(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(more: Value) -> Vec<u8> {
        let mut body = json!({"model": "m", "input": "a"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body.to_string().into_bytes()
    }

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn each_text_is_a_request_of_the_batch() {
        let one = |text: &str| json!({"model": "models/g", "content": {"parts": [{"text": text}]}, "outputDimensionality": 3});
        for model in ["g", "models/g"] {
            let body = asked(json!({"input": ["a", "b"], "dimensions": 3, "encoding_format": "base64", "user": "u"}));
            let got = request(&body, model).expect("translatable");
            assert_eq!(read(&got), json!({"requests": [one("a"), one("b")]}));
        }
        let got = read(&request(&asked(json!({"encoding_format": null})), "g").expect("translatable"));
        assert_eq!(got["requests"], json!([{"model": "models/g", "content": {"parts": [{"text": "a"}]}}]));
    }

    #[test]
    fn what_gemini_cannot_embed_is_refused_by_name() {
        for (more, field) in [
            (json!({"input": [1, 2]}), "input"),
            (json!({"input": [[1], [2]]}), "input"),
            (json!({"input": ["a", 1]}), "input"),
            (json!({"encoding_format": "hex"}), "encoding_format"),
        ] {
            assert_eq!(request(&asked(more), "g").expect_err("refused").field, field);
        }
    }

    #[test]
    fn vectors_come_back_in_the_encoding_that_was_asked_for() {
        let body = br#"{"embeddings":[{"values":[0.50,-2e0]},{"values":[1]}],"usageMetadata":{"promptTokenCount":4}}"#;
        let floats = answer(body, &asked(json!({})), "g").expect("an answer");
        let entry =
            |index: u64, embedding: Value| json!({"object": "embedding", "index": index, "embedding": embedding});
        let expected = json!({"object": "list", "model": "g", "usage": {"prompt_tokens": 4, "total_tokens": 4},
            "data": [entry(0, json!([0.5, -2.0])), entry(1, json!([1]))]});
        assert_eq!(read(&floats), expected);
        assert!(std::str::from_utf8(&floats).is_ok_and(|text| text.contains("[0.50,-2e0]")), "as they were written");
        let encoded = read(&answer(body, &asked(json!({"encoding_format": "base64"})), "g").expect("an answer"));
        assert_eq!(encoded["data"][0]["embedding"], "AAAAPwAAAMA=");
        let silent = read(&answer(br#"{"embeddings":[]}"#, &asked(json!({})), "g").expect("an answer"));
        assert_eq!(silent.get("usage"), None);
        assert_eq!(answer(b"{}", &asked(json!({})), "g"), Err(Malformed));
    }
}
