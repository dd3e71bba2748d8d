//! The response object.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::chunk::Usage;
use super::item::{Item, Status};
use super::request::Fields;
use crate::domain::fields;

/// The fields of a request that its response repeats, with what stands for an absent one.
const REPEATED: [(&str, &str); 17] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", "null"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

/// What a response repeats of its request.
#[derive(Clone, Debug)]
pub(crate) struct Echo(Vec<(&'static str, Box<RawValue>)>);

impl Echo {
    pub(super) fn of(fields: &Fields<'_>) -> Self {
        let repeated = REPEATED.iter().filter_map(|(name, absent)| {
            let value = match fields.get(*name) {
                Some(value) => (*value).to_owned(),
                None => RawValue::from_string((*absent).to_owned()).ok()?,
            };
            Some((*name, value))
        });
        Self(repeated.collect())
    }
}

impl Serialize for Echo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A response, of which all or only the rest is written here.
#[derive(Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one, and must cost no allocation")]
pub(super) enum Told<'a> {
    Own(Response<'a>),
    Begun(fields::Fields),
}

/// A response, as far as it has got.
#[derive(Serialize)]
pub(super) struct Response<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    /// Unix seconds.
    pub(super) created_at: i64,
    /// Unix seconds.
    pub(super) completed_at: Option<i64>,
    pub(super) status: Status,
    pub(super) background: bool,
    pub(super) error: Option<ErrorInfo<'a>>,
    pub(super) incomplete_details: Option<IncompleteDetails>,
    pub(super) model: &'a str,
    pub(super) output: &'a [Item],
    pub(super) previous_response_id: Option<&'a str>,
    pub(super) store: bool,
    pub(super) usage: Option<Usage>,
    #[serde(flatten)]
    pub(super) echo: &'a Echo,
}

/// Why a response failed.
#[derive(Clone, Copy, Serialize)]
pub(super) struct ErrorInfo<'a> {
    pub(super) code: &'static str,
    pub(super) message: &'a str,
}

/// Why a response is not complete.
#[derive(Clone, Copy, Serialize)]
pub(super) struct IncompleteDetails {
    pub(super) reason: &'static str,
}
