//! The answer to whoever waits, in the shape in which they asked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AnswerFormat, HumanResponse, Intervention};

/// A request as its author is answered: in the contract's shape, in LangChain's, or as a list of one of LangChain's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterventionAnswer)]
#[serde(untagged)]
pub enum Answer {
    /// The contract's shape, and every request that nobody has decided yet.
    Request(Box<Intervention>),
    /// LangChain's shape.
    Response(HumanResponse),
    /// LangChain's shape, as its agent inbox sends it.
    List([HumanResponse; 1]),
}

impl From<Intervention> for Answer {
    fn from(request: Intervention) -> Self {
        match (request.format, HumanResponse::of(&request)) {
            (AnswerFormat::Langchain, Some(response)) => Self::Response(response),
            (AnswerFormat::LangchainList, Some(response)) => Self::List([response]),
            (AnswerFormat::Vx11, _) | (_, None) => Self::Request(Box::new(request)),
        }
    }
}
