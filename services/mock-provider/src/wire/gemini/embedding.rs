//! Embeddings as Gemini has them: one by one or in batches. Source: Google's Gemini API reference, "Embeddings".

use serde::Deserialize;
use serde_json::{Value, json};
use vx11_chassis::ApiError;

use super::request::Content;
use crate::domain::embedding::Wanted;
use crate::domain::tokens;

/// `POST /v1beta/models/{model}:embedContent`, and each request of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EmbedRequest {
    content: Content,
    #[serde(alias = "output_dimensionality")]
    output_dimensionality: Option<usize>,
}

/// `POST /v1beta/models/{model}:batchEmbedContents`.
#[derive(Debug, Deserialize)]
pub(crate) struct BatchEmbedRequest {
    requests: Vec<EmbedRequest>,
}

impl EmbedRequest {
    /// What is to be embedded.
    pub(crate) fn read(self, model: String) -> Wanted {
        let text = self.content.text();
        let tokens = tokens::count(&text);
        Wanted { model, items: vec![(text, tokens)], dimensions: self.output_dimensionality }
    }
}

impl BatchEmbedRequest {
    /// What is to be embedded, all of it in the size of the first.
    ///
    /// # Errors
    /// When there is too much of it, or nothing.
    pub(crate) fn read(self, model: String) -> Result<Wanted, ApiError> {
        const MOST: usize = 100;
        if !(1..=MOST).contains(&self.requests.len()) {
            let range = format!("BatchEmbedContentsRequest.requests: at most {MOST} requests can be in one batch");
            return Err(ApiError::invalid_field("requests", range));
        }
        let dimensions = self.requests[0].output_dimensionality;
        let items = self.requests.into_iter().flat_map(|request| request.read(String::new()).items).collect();
        Ok(Wanted { model, items, dimensions })
    }
}

/// The answer to one request.
pub(crate) fn one(vectors: &[Vec<f32>], tokens: Option<u64>) -> Value {
    with_usage(json!({ "embedding": vectors.first().map(|vector| json!({ "values": vector })) }), tokens)
}

/// The answer to a batch.
pub(crate) fn batch(vectors: &[Vec<f32>], tokens: Option<u64>) -> Value {
    let embeddings: Vec<Value> = vectors.iter().map(|vector| json!({ "values": vector })).collect();
    with_usage(json!({ "embeddings": embeddings }), tokens)
}

fn with_usage(mut answer: Value, tokens: Option<u64>) -> Value {
    if let Some(tokens) = tokens {
        answer["usageMetadata"] = json!({ "promptTokenCount": tokens });
    }
    answer
}
