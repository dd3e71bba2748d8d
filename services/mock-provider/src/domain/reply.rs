//! A whole reply, before a wire has written it: the answers and what they cost.

use super::answer::Answer;

/// The answers to one request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// Letters and digits that no other reply has; each wire puts its own prefix before them.
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) created: i64,
    /// As it was asked for, faults included.
    pub(crate) model: String,
    /// One for each choice; none where the prompt itself was refused.
    pub(crate) answers: Vec<Answer>,
    /// Absent where the plan says so.
    pub(crate) usage: Option<Usage>,
}

/// Tokens that were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Read, cached ones included.
    pub(crate) prompt: u64,
    /// Read from a cache.
    pub(crate) cached: u64,
    /// Written, reasoning included.
    pub(crate) completion: u64,
    /// Thought.
    pub(crate) reasoning: u64,
}

impl Usage {
    /// What `answers` to a prompt of `prompt` tokens cost.
    pub(crate) fn of(prompt: u64, cached: u64, answers: &[Answer]) -> Self {
        Self {
            prompt,
            cached: cached.min(prompt),
            completion: answers.iter().map(Answer::completion_tokens).sum(),
            reasoning: answers.iter().map(|answer| answer.reasoning.len() as u64).sum(),
        }
    }
}
