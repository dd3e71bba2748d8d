//! A provider's whole answer: is it one, what did it cost, and what does it say.

use serde::Deserialize;
use serde::de::IgnoredAny;
use vx11_contracts::chat::Usage;

/// Token counts as providers report them; some leave one out, or say null.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct ReportedUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

impl From<ReportedUsage> for Usage {
    fn from(reported: ReportedUsage) -> Self {
        let prompt_tokens = reported.prompt_tokens.unwrap_or_default();
        let completion_tokens = reported.completion_tokens.unwrap_or_default();
        let total_tokens = reported.total_tokens.unwrap_or(prompt_tokens.saturating_add(completion_tokens));
        Self { prompt_tokens, completion_tokens, total_tokens }
    }
}

/// What the gateway keeps of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Read<T> {
    /// The answer in the caller's terms.
    pub(crate) answer: T,
    /// What it cost, where the provider said so.
    pub(crate) usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Completion<Choice> {
    choices: Vec<Choice>,
    usage: Option<ReportedUsage>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct ReplyChoice {
    message: ReplyMessage,
}

#[derive(Deserialize)]
struct ReplyMessage {
    content: Option<String>,
    reasoning_content: Option<String>,
    /// The other name that servers have for it; some send both.
    reasoning: Option<String>,
}

/// The text of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// What was said; may be empty.
    pub(crate) content: String,
    /// The reasoning, where there is some.
    pub(crate) reasoning: Option<String>,
    /// The model as the provider calls it.
    pub(crate) model: Option<String>,
}

/// Looks whether `body` is a chat completion, without reading what it says. `None`: it is not.
pub(crate) fn check(body: &[u8]) -> Option<Read<()>> {
    #[derive(Deserialize)]
    struct Checked {
        choices: Vec<IgnoredAny>,
        usage: Option<ReportedUsage>,
    }
    let completion: Checked = serde_json::from_slice(body).ok()?;
    let usage = completion.usage.map(Usage::from);
    (!completion.choices.is_empty()).then_some(Read { answer: (), usage })
}

/// Looks whether `body` has embeddings. `None`: it has none.
pub(crate) fn embeddings(body: &[u8]) -> Option<Read<()>> {
    #[derive(Deserialize)]
    struct Embeddings {
        data: Vec<IgnoredAny>,
        usage: Option<ReportedUsage>,
    }
    let embeddings: Embeddings = serde_json::from_slice(body).ok()?;
    let usage = embeddings.usage.map(Usage::from);
    (!embeddings.data.is_empty()).then_some(Read { answer: (), usage })
}

/// Reads what a chat completion says. `None`: it is none.
pub(crate) fn reply(body: &[u8]) -> Option<Read<Reply>> {
    let completion: Completion<ReplyChoice> = serde_json::from_slice(body).ok()?;
    let message = completion.choices.into_iter().next()?.message;
    let reasoning = message.reasoning_content.or(message.reasoning).filter(|text| !text.is_empty());
    let answer = Reply { content: message.content.unwrap_or_default(), reasoning, model: completion.model };
    Some(Read { answer, usage: completion.usage.map(Usage::from) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_may_be_empty_and_reasoning_is_kept() {
        let body = br#"{"model": "r1", "choices": [{"message": {"content": null, "reasoning_content": "hm"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": null}}"#;
        let read = reply(body).expect("a completion");
        let expected = Reply { content: String::new(), reasoning: Some("hm".to_owned()), model: Some("r1".to_owned()) };
        assert_eq!(read.answer, expected);
        assert_eq!(read.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }));
    }

    #[test]
    fn what_is_off_the_schema_is_no_answer() {
        for body in ["", "<html>", "{}", r#"{"choices": []}"#, r#"{"choices": "x"}"#, r#"{"choices": [{"message"#] {
            assert!(check(body.as_bytes()).is_none(), "{body}");
            assert!(reply(body.as_bytes()).is_none(), "{body}");
        }
        let no_message = br#"{"choices": [{"text": "an older API"}]}"#;
        assert!(check(no_message).is_some() && reply(no_message).is_none());
    }
}
