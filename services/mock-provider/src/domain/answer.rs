//! What the model says: a stable function of model, messages, seed and choice.

use serde_json::json;
use xxhash_rust::xxh3::Xxh3;

use super::conversation::{Conversation, Format};
use super::tools::{self, ToolCall};
use super::{models, tokens};

const WORDS: [&str; 32] = [
    "amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "jetty", "kelp", "lagoon",
    "meadow", "north", "ocean", "pine", "quartz", "river", "stone", "tide", "upland", "valley", "willow", "yarrow",
    "zenith", "bridge", "cloud", "dune", "field", "garden", "hollow", "ridge",
];

/// Tokens of a thought where the plan does not say.
const THOUGHT: u64 = 12;
/// Most tokens of a text or a thought.
const LONGEST: u64 = 100_000;

/// One choice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// Tokens of the text, in order.
    pub(crate) tokens: Vec<String>,
    /// Tokens of the reasoning, in order.
    pub(crate) reasoning: Vec<String>,
    /// What is to be called; then there is no text.
    pub(crate) tool_calls: Vec<ToolCall>,
    pub(crate) ending: Ending,
}

/// Why an answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is whole.
    Stop,
    /// It came to this stop sequence.
    Sequence(String),
    /// It reached its limit.
    Length,
    /// Something is to be called.
    ToolCalls,
    /// The model will not answer.
    Refused,
}

impl Answer {
    /// The answer of a model that will not answer.
    pub(crate) fn refused() -> Self {
        Self { tokens: Vec::new(), reasoning: Vec::new(), tool_calls: Vec::new(), ending: Ending::Refused }
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        self.tokens.concat()
    }

    /// Tokens written: text, reasoning and calls.
    pub(crate) fn completion_tokens(&self) -> u64 {
        let calls: u64 = self.tool_calls.iter().map(ToolCall::tokens).sum();
        self.tokens.len() as u64 + self.reasoning.len() as u64 + calls
    }
}

/// Tokens read.
pub(crate) fn prompt_tokens(conversation: &Conversation) -> u64 {
    conversation.messages.iter().map(|message| tokens::count(&message.text) + tokens::PER_MESSAGE).sum()
}

/// The answer of the choice `index`; `thought` says how many tokens it thinks first, where the plan does.
pub(crate) fn answer(conversation: &Conversation, model: &str, index: u32, thought: Option<u64>) -> Answer {
    let hash = hash(conversation, model, index);
    let thinks = conversation.prefill.is_none() && (conversation.thinks || models::reasons(model));
    let thought = thought.unwrap_or(if thinks { THOUGHT } else { 0 });
    let mut reasoning = owned(&phrase(hash ^ 1, thought));
    let tool_calls = tools::wanted(conversation, hash);
    if !tool_calls.is_empty() {
        return Answer { tokens: Vec::new(), reasoning, tool_calls, ending: Ending::ToolCalls };
    }
    let text = after_prefill(text(conversation, hash), conversation.prefill.as_deref());
    let (text, sequence) = until_stop(text, &conversation.stop);
    let mut words = owned(&text);
    // Thinking is paid for like speaking, and comes first.
    let limit = conversation.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let ending = match sequence {
        _ if reasoning.len() + words.len() > limit => Ending::Length,
        Some(sequence) => Ending::Sequence(sequence),
        None => Ending::Stop,
    };
    reasoning.truncate(limit);
    words.truncate(limit - reasoning.len());
    Answer { tokens: words, reasoning, tool_calls, ending }
}

fn owned(text: &str) -> Vec<String> {
    tokens::split(text).map(str::to_owned).collect()
}

/// What the model would say if nothing stopped it.
fn text(conversation: &Conversation, hash: u64) -> String {
    match &conversation.format {
        Format::Schema(schema) => return tools::example(schema, hash).to_string(),
        Format::Json => return json!({ "answer": phrase(hash, 4) }).to_string(),
        Format::Text => {}
    }
    let asked = conversation.asked();
    if let Some(echo) = after(asked, "echo:") {
        return echo.to_owned();
    }
    if let Some(count) = after(asked, "tokens:").and_then(|count| count.parse().ok()) {
        return phrase(hash, count);
    }
    format!("Mock answer {:08x}: {}.", hash as u32, phrase(hash, 8 + hash % 17))
}

/// What is still to be said after `prefill`. Where the model would have begun in other words (the beginning is another
/// model's), it goes on in its own from where the beginning ends.
fn after_prefill(text: String, prefill: Option<&str>) -> String {
    let Some(prefill) = prefill else { return text };
    match text.strip_prefix(prefill) {
        Some(rest) => rest.to_owned(),
        None => tokens::split(&text).skip(tokens::split(prefill).count()).collect(),
    }
}

/// `count` words, and so `count` tokens.
fn phrase(hash: u64, count: u64) -> String {
    let mut state = hash;
    let words = (0..count.min(LONGEST)).map(|_| {
        // splitmix64: a fixed, portable sequence.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        WORDS[(mixed >> 59) as usize]
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What stands behind `prefix`, which may be in any case.
fn after<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let text = text.trim();
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| rest.trim())
}

/// Cuts `text` before the first stop sequence, and says which it was.
fn until_stop(mut text: String, sequences: &[String]) -> (String, Option<String>) {
    let sequences = sequences.iter().filter(|sequence| !sequence.is_empty());
    let found = sequences.filter_map(|sequence| Some((text.find(sequence.as_str())?, sequence))).min();
    if let Some((at, _)) = found {
        text.truncate(at);
    }
    (text, found.map(|(_, sequence)| sequence.clone()))
}

fn hash(conversation: &Conversation, model: &str, index: u32) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(model.as_bytes());
    for message in &conversation.messages {
        hasher.update(&[0]);
        hasher.update(message.role.as_bytes());
        hasher.update(&[1]);
        hasher.update(message.text.as_bytes());
    }
    hasher.update(&conversation.seed.to_le_bytes());
    hasher.update(&index.to_le_bytes());
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::conversation::Message;
    use super::*;

    fn saying(text: &str) -> Conversation {
        Conversation { messages: vec![Message::new("user", text)], ..Conversation::default() }
    }

    fn hello() -> Conversation {
        saying("Hello")
    }

    fn ask(conversation: &Conversation) -> Answer {
        answer(conversation, "mock", 0, None)
    }

    #[test]
    fn the_same_request_gets_the_same_answer_for_ever() {
        let text = ask(&hello()).text();
        assert_eq!(text, ask(&hello()).text());
        insta::assert_snapshot!(text);
        assert_ne!(text, answer(&hello(), "mock", 1, None).text());
        assert_ne!(text, answer(&hello(), "mock-large", 0, None).text());
        assert_ne!(text, ask(&Conversation { seed: 7, ..hello() }).text());
    }

    #[test]
    fn the_text_and_the_length_can_be_asked_for() {
        assert_eq!(ask(&saying("Echo: hello, world")).text(), "hello, world");
        assert_eq!(ask(&saying("tokens: 50")).completion_tokens(), 50);
        assert_eq!(ask(&saying(&format!("tokens: {}", u64::MAX))).completion_tokens(), LONGEST);
    }

    #[test]
    fn limits_and_stops_end_an_answer() {
        let limited = ask(&Conversation { limit: Some(3), ..hello() });
        assert_eq!((limited.completion_tokens(), limited.ending), (3, Ending::Length));
        let echo = saying("echo: one two three");
        let stop = vec![" three".to_owned(), " two".to_owned()];
        let stopped = ask(&Conversation { stop, ..echo.clone() });
        assert_eq!((stopped.text().as_str(), stopped.ending), ("one", Ending::Sequence(" two".to_owned())));
        let exact = ask(&Conversation { limit: Some(3), ..echo });
        assert_eq!((exact.text().as_str(), exact.ending), ("one two three", Ending::Stop));
    }

    #[test]
    fn a_json_format_gives_json() {
        let object = ask(&Conversation { format: Format::Json, ..hello() });
        assert!(serde_json::from_str::<Value>(&object.text()).expect("JSON").is_object());
    }

    #[test]
    fn a_reasoner_thinks_aloud() {
        let thought = |conversation: &Conversation, model, asked| answer(conversation, model, 0, asked).reasoning.len();
        assert_eq!(thought(&hello(), "mock", None), 0);
        assert_eq!(thought(&hello(), "deepseek-reasoner", None), 12);
        assert_eq!(thought(&Conversation { thinks: true, ..hello() }, "mock", None), 12);
        assert_eq!(thought(&hello(), "mock", Some(5)), 5);
    }

    #[test]
    fn an_answer_that_was_begun_goes_on() {
        let begun = |text: &str, prefill: &str| {
            let mut conversation = saying(text);
            conversation.messages.push(Message::new("assistant", prefill));
            conversation.accept_prefill();
            ask(&conversation).text()
        };
        assert_eq!(begun("echo: one two three", "one two"), " three");
        assert_eq!(begun("echo: one two three", "one t"), "wo three");
        assert_eq!(begun("echo: one two three", "uno due"), " three", "another model's beginning");
        assert_eq!(begun("echo: one two three", "one two three"), "");
        let whole = ask(&hello()).text();
        let (head, tail) = whole.split_at(20);
        assert_eq!(begun("Hello", head), tail, "the answer is the one to the conversation without it");
    }
}
