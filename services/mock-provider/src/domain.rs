//! What is answered, and what goes wrong: rules on plain data, the same for every wire.

pub(crate) mod answer;
pub(crate) mod conversation;
pub(crate) mod embedding;
pub(crate) mod fault;
pub(crate) mod models;
pub(crate) mod reply;
pub(crate) mod tokens;
pub(crate) mod tools;
