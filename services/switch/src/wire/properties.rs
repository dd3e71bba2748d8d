//! What holds for every request and every answer, not only for those that somebody thought of.

mod answers;
mod gather;
mod gemini;
mod requests;
mod responses;
