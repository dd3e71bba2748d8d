//! `POST /v1/embeddings`

use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse, post};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use vx11_chassis::ApiError;
use vx11_chassis::extract::{Body, parse};
use vx11_contracts::openai::OpenAiError;

use super::{check_key, fault, no_such_model};
use crate::State;
use crate::domain::embedding::{DEFAULT_DIMENSIONS, MAX_DIMENSIONS, Wanted, embed};
use crate::domain::{models, tokens};
use crate::ledger::Entry;
use crate::wire::{Refusal, Wire};

/// Most things to embed in one request, as OpenAI has it.
const MAX_INPUTS: usize = 2048;

/// What to embed.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EmbeddingsRequest {
    /// A model, with faults behind a `+`.
    model: String,
    /// A text, texts, tokens, or lists of tokens.
    input: Input,
    /// Numbers of a vector, 1 to 4096; 64 where absent.
    dimensions: Option<usize>,
    /// `float` or `base64`.
    #[serde(default)]
    encoding_format: Encoding,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

impl Encoding {
    /// One vector in the list of an answer.
    fn entry(self, (index, vector): (usize, &Vec<f32>)) -> Value {
        let embedding = match self {
            Self::Float => json!(vector),
            Self::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Value::String(BASE64_STANDARD.encode(bytes))
            }
        };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    }
}

impl Input {
    /// Each thing to embed, and how many tokens it has.
    fn items(&self) -> Vec<(String, u64)> {
        let text = |text: &String| (text.clone(), tokens::count(text));
        let numbers = |tokens: &Vec<u32>| (format!("{tokens:?}"), tokens.len() as u64);
        match self {
            Self::Text(one) => vec![text(one)],
            Self::Texts(many) => many.iter().map(text).collect(),
            Self::Tokens(one) => vec![numbers(one)],
            Self::ManyTokens(many) => many.iter().map(numbers).collect(),
        }
    }
}

/// Turn texts into vectors.
#[utoipa::path(tag = "openai", request_body = EmbeddingsRequest, responses(
    (status = 200, body = Object),
    (status = "4XX", body = OpenAiError),
))]
#[post("/v1/embeddings")]
pub(crate) async fn create(state: ThinData<State>, http: HttpRequest, body: Result<Body, ApiError>) -> HttpResponse {
    let answered = async {
        check_key(&state, &http, Wire::OpenAi)?;
        answer(&state, &http, &body?.0).await
    };
    answered.await.unwrap_or_else(|refusal| Wire::OpenAi.refuse(&refusal))
}

/// Answers `body`, whose sender was let in.
pub(super) async fn answer(state: &State, http: &HttpRequest, body: &Bytes) -> Result<HttpResponse, Refusal> {
    let EmbeddingsRequest { model, input, dimensions, encoding_format } = parse(body)?;
    let items = input.items();
    if !(1..=MAX_INPUTS).contains(&items.len()) {
        return Err(ApiError::invalid_field("input", format!("must be 1 to {MAX_INPUTS} texts")).into());
    }
    let name = model.clone();
    let write = |vectors: &[Vec<f32>], tokens: Option<u64>| {
        let data: Vec<Value> = vectors.iter().enumerate().map(|entry| encoding_format.entry(entry)).collect();
        let mut body = json!({ "object": "list", "data": data, "model": name });
        if let Some(tokens) = tokens {
            body["usage"] = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
        }
        body
    };
    reply(state, http, Wire::OpenAi, Wanted { model, items, dimensions }, write).await
}

/// The vectors of what is `wanted`, as `write` puts them, with the tokens where they are told.
pub(super) async fn reply(
    state: &State,
    http: &HttpRequest,
    wire: Wire,
    wanted: Wanted,
    write: impl FnOnce(&[Vec<f32>], Option<u64>) -> Value,
) -> Result<HttpResponse, Refusal> {
    let Wanted { model, items, dimensions } = wanted;
    let (name, _) = models::split_faults(&model);
    if !models::exists(name) {
        return Err(no_such_model(name).into());
    }
    let dimensions = dimensions.unwrap_or(DEFAULT_DIMENSIONS);
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(ApiError::invalid_field("dimensions", format!("must be 1 to {MAX_DIMENSIONS}")).into());
    }
    let applied = fault::plan(state, http, &model)?;
    let prompt_tokens: u64 = items.iter().map(|(_, tokens)| tokens).sum();
    let entry = Entry { model, fault: applied.plan.to_string(), prompt_tokens, ..Entry::default() };
    let open = state.ledger.open(http, wire, entry);
    let open = match fault::before(state, http, wire, &applied, open).await {
        Ok(open) => open,
        Err(instead) => return Ok(instead),
    };
    let vectors: Vec<Vec<f32>> = items.iter().map(|(text, _)| embed(text, dimensions)).collect();
    let body = write(&vectors, (!applied.plan.no_usage).then_some(prompt_tokens));
    Ok(fault::whole(state, wire, &applied.plan, open, &body))
}
