//! What is answered, and what goes wrong: rules on plain data.

pub(crate) mod answer;
pub(crate) mod embedding;
pub(crate) mod fault;
pub(crate) mod models;
pub(crate) mod request;
pub(crate) mod tokens;
pub(crate) mod tools;
