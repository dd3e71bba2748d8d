//! What routing needs of a body, and nothing else of it.

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::stream_options::{self, UsageWish};
use super::{BadRequest, MAX_MODEL};
use crate::domain::edit::span_of;
use crate::domain::operation::Operation;
use crate::wire::Wire;

/// The fields that are looked at. Each is kept as it stands, so that a wrong one can be named. A field that comes twice
/// is refused: what is routed by must be what the provider reads.
#[derive(Deserialize)]
pub(super) struct Peek<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "stream_options::even_null")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
    #[serde(borrow)]
    best_of: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) user: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
}

/// What a request says about the answers it wants.
pub(super) struct Answers {
    pub(super) stream: bool,
    pub(super) choices: u32,
    pub(super) candidates: u32,
    pub(super) usage: UsageWish,
    pub(super) max_output: Option<u64>,
}

impl<'a> Peek<'a> {
    /// Looks at the `text` of a body in `wire`.
    pub(super) fn at(text: &'a str, wire: Wire) -> Result<Self, BadRequest> {
        // serde would take an array for a struct.
        if !matches!(text.trim_ascii_start().as_bytes().first(), None | Some(b'{')) {
            return Err(BadRequest::Malformed("the body is not a JSON object".to_owned()));
        }
        let mut peek: Self = serde_json::from_str(text).map_err(|error| BadRequest::Malformed(error.to_string()))?;
        if matches!(wire, Wire::Anthropic | Wire::Responses) {
            // They are no fields of this wire, or mean something else there.
            (peek.n, peek.best_of, peek.stream_options) = (None, None, None);
        }
        if wire == Wire::Responses {
            (peek.max_tokens, peek.max_completion_tokens) = (None, None);
        } else {
            peek.max_output_tokens = None;
        }
        Ok(peek)
    }

    /// The model's value as it stands, and what it says.
    pub(super) fn model(&self) -> Result<(&'a RawValue, String), BadRequest> {
        let Some(raw) = self.model else { return Err(field("model", "you must provide a model parameter")) };
        let model: String = value("model", raw, "must be a string")?;
        if model.len() > MAX_MODEL {
            return Err(field("model", &format!("must have at most {MAX_MODEL} bytes")));
        }
        Ok((raw, model))
    }

    /// Whether that which the model is to read is there.
    pub(super) fn check_content(&self, operation: Operation) -> Result<(), BadRequest> {
        let (name, content) = match operation {
            Operation::Chat => ("messages", self.messages),
            Operation::TextCompletion => ("prompt", self.prompt),
            Operation::Embeddings => ("input", self.input),
        };
        match content.and_then(|content| content.get().as_bytes().first()) {
            None => Err(field(name, "is required")),
            Some(b'[') => Ok(()),
            Some(b'"') if operation != Operation::Chat => Ok(()),
            Some(_) if operation == Operation::Chat => Err(field(name, "must be an array of messages")),
            Some(_) => Err(field(name, "must be a text, texts, or tokens")),
        }
    }

    /// `text` is the body, in which the model ends at `model_end`.
    pub(super) fn answers(&self, text: &str, model_end: usize) -> Result<Answers, BadRequest> {
        let stream: Option<bool> =
            self.stream.map(|raw| value("stream", raw, "must be true or false")).transpose()?.flatten();
        let choices: Option<u32> = self.n.map(|raw| value("n", raw, "must be a whole number")).transpose()?.flatten();
        let stream = stream.unwrap_or(false);
        let options = self.stream_options.map(|raw| (raw, span_of(text, raw.get())));
        let usage = match stream {
            true => UsageWish::read(options, model_end),
            // Without a stream its options are the provider's to judge.
            false => Some(UsageWish::default()),
        };
        let usage = usage.ok_or_else(|| field("stream_options", "must be an object as in OpenAI's API reference"))?;
        // Servers differ in which of the two they heed.
        let max_output = most("max_completion_tokens", self.max_completion_tokens)?
            .max(most("max_tokens", self.max_tokens)?)
            .max(most("max_output_tokens", self.max_output_tokens)?);
        let choices = choices.unwrap_or(1);
        let best_of = most("best_of", self.best_of)?.map_or(0, |best_of| best_of.try_into().unwrap_or(u32::MAX));
        Ok(Answers { stream, choices, candidates: choices.max(best_of), usage, max_output })
    }
}

/// The limit that the field `name` sets. By it is reserved what the answer may cost: `1e5` or `"100000"`, which some
/// providers would read and the gateway would not, are refused. Below 0 stands for none where servers take it.
fn most(name: &'static str, raw: Option<&RawValue>) -> Result<Option<u64>, BadRequest> {
    const PROBLEM: &str = "must be a whole number, written without a point, an exponent or quotes";
    let Some(raw) = raw else { return Ok(None) };
    let number: Option<Number> = value(name, raw, PROBLEM)?;
    match number {
        Some(number) if number.is_f64() => Err(field(name, PROBLEM)),
        number => Ok(number.and_then(|number| number.as_u64())),
    }
}

fn value<'a, T: Deserialize<'a>>(name: &'static str, raw: &'a RawValue, problem: &str) -> Result<T, BadRequest> {
    serde_json::from_str(raw.get()).map_err(|_| field(name, problem))
}

fn field(name: &'static str, problem: &str) -> BadRequest {
    BadRequest::Field { name: name.into(), problem: problem.to_owned() }
}
