//! What the model says: a stable function of model, messages, seed and choice.

use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

use super::request::ChatRequest;
use super::tools::{self, ToolCall};
use super::{models, tokens};

const WORDS: [&str; 32] = [
    "amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "jetty", "kelp", "lagoon",
    "meadow", "north", "ocean", "pine", "quartz", "river", "stone", "tide", "upland", "valley", "willow", "yarrow",
    "zenith", "bridge", "cloud", "dune", "field", "garden", "hollow", "ridge",
];

/// One choice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// Tokens of the text, in order.
    pub(crate) tokens: Vec<String>,
    /// Tokens of the reasoning, in order.
    pub(crate) reasoning: Vec<String>,
    /// What is to be called; then there is no text.
    pub(crate) tool_calls: Vec<ToolCall>,
    /// `stop`, `length` or `tool_calls`.
    pub(crate) finish_reason: &'static str,
}

impl Answer {
    /// The text.
    pub(crate) fn text(&self) -> String {
        self.tokens.concat()
    }

    /// Tokens written: text, reasoning and calls.
    pub(crate) fn completion_tokens(&self) -> u64 {
        let calls: u64 =
            self.tool_calls.iter().map(|call| tokens::count(&call.name) + tokens::count(&call.arguments)).sum();
        self.tokens.len() as u64 + self.reasoning.len() as u64 + calls
    }
}

/// Tokens read.
pub(crate) fn prompt_tokens(request: &ChatRequest) -> u64 {
    request.messages.iter().map(|message| tokens::count(&message.text()) + tokens::PER_MESSAGE).sum()
}

/// The answer of the choice `index`.
pub(crate) fn answer(request: &ChatRequest, model: &str, index: u32) -> Answer {
    let asked = request.last_user_text();
    let hash = hash(request, model, index);
    let tool_calls = tools::wanted(request, &asked, hash);
    if !tool_calls.is_empty() {
        return Answer { tokens: Vec::new(), reasoning: Vec::new(), tool_calls, finish_reason: "tool_calls" };
    }
    let text = until_stop(text(request, &asked, hash), request.stop.sequences());
    let thought = if models::reasons(model) { phrase(hash ^ 1, 12) } else { String::new() };
    let owned = |text: &str| tokens::split(text).map(str::to_owned).collect::<Vec<String>>();
    let (mut reasoning, mut words) = (owned(&thought), owned(&text));
    // Thinking is paid for like speaking, and comes first.
    let limit = request.token_limit().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let finish_reason = if reasoning.len() + words.len() > limit { "length" } else { "stop" };
    reasoning.truncate(limit);
    words.truncate(limit - reasoning.len());
    Answer { tokens: words, reasoning, tool_calls, finish_reason }
}

/// What the model would say if nothing stopped it.
fn text(request: &ChatRequest, asked: &str, hash: u64) -> String {
    if matches!(request.response_format.kind.as_str(), "json_object" | "json_schema") {
        let schema = request.response_format.json_schema.as_ref().map_or(&Value::Null, |format| &format["schema"]);
        let value =
            if schema.is_object() { tools::example(schema, hash) } else { json!({ "answer": phrase(hash, 4) }) };
        return value.to_string();
    }
    if let Some(echo) = after(asked, "echo:") {
        return echo.to_owned();
    }
    if let Some(count) = after(asked, "tokens:").and_then(|count| count.parse().ok()) {
        return phrase(hash, usize::min(count, 100_000));
    }
    format!("Mock answer {:08x}: {}.", hash as u32, phrase(hash, 8 + (hash % 17) as usize))
}

/// `count` words, and so `count` tokens.
fn phrase(hash: u64, count: usize) -> String {
    let mut state = hash;
    let words = (0..count).map(|_| {
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

/// Cuts `text` before the first stop sequence.
fn until_stop(mut text: String, sequences: &[String]) -> String {
    let sequences = sequences.iter().filter(|sequence| !sequence.is_empty());
    if let Some(found) = sequences.filter_map(|sequence| text.find(sequence.as_str())).min() {
        text.truncate(found);
    }
    text
}

fn hash(request: &ChatRequest, model: &str, index: u32) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(model.as_bytes());
    for message in &request.messages {
        hasher.update(&[0]);
        hasher.update(message.role.as_bytes());
        hasher.update(&[1]);
        hasher.update(message.text().as_bytes());
    }
    hasher.update(&request.seed.unwrap_or(0).to_le_bytes());
    hasher.update(&index.to_le_bytes());
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: Value) -> ChatRequest {
        let mut whole = json!({ "model": "mock", "messages": [{ "role": "user", "content": "Hello" }] });
        for (name, value) in fields.as_object().expect("an object") {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).expect("a request")
    }

    fn saying(text: &str) -> ChatRequest {
        request(json!({ "messages": [{ "role": "user", "content": text }] }))
    }

    #[test]
    fn the_same_request_gets_the_same_answer_for_ever() {
        let text = answer(&saying("Hello"), "mock", 0).text();
        assert_eq!(text, answer(&saying("Hello"), "mock", 0).text());
        insta::assert_snapshot!(text);
        assert_ne!(text, answer(&saying("Hello"), "mock", 1).text());
        assert_ne!(text, answer(&saying("Hello"), "mock-large", 0).text());
        assert_ne!(text, answer(&request(json!({ "seed": 7 })), "mock", 0).text());
    }

    #[test]
    fn the_text_and_the_length_can_be_asked_for() {
        assert_eq!(answer(&saying("Echo: hello, world"), "mock", 0).text(), "hello, world");
        assert_eq!(answer(&saying("tokens: 50"), "mock", 0).completion_tokens(), 50);
    }

    #[test]
    fn limits_and_stops_end_an_answer() {
        let limited = answer(&request(json!({ "max_tokens": 3 })), "mock", 0);
        assert_eq!((limited.completion_tokens(), limited.finish_reason), (3, "length"));
        let echo = json!([{ "role": "user", "content": "echo: one two three" }]);
        let stopped = answer(&request(json!({ "messages": echo, "stop": [" three", " two"] })), "mock", 0);
        assert_eq!((stopped.text().as_str(), stopped.finish_reason), ("one", "stop"));
        let exact = answer(&request(json!({ "messages": echo, "max_completion_tokens": 3 })), "mock", 0);
        assert_eq!((exact.text().as_str(), exact.finish_reason), ("one two three", "stop"));
    }

    #[test]
    fn a_json_format_gives_json() {
        let object = answer(&request(json!({ "response_format": { "type": "json_object" } })), "mock", 0);
        assert!(serde_json::from_str::<Value>(&object.text()).expect("JSON").is_object());
    }

    #[test]
    fn a_reasoner_thinks_aloud() {
        assert!(!answer(&saying("Hello"), "deepseek-reasoner", 0).reasoning.is_empty());
        assert!(answer(&saying("Hello"), "mock", 0).reasoning.is_empty());
    }
}
