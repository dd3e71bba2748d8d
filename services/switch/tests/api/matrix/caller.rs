//! A caller of one wire: how it asks, and what it makes of an answer.

use serde_json::{Value, json};
use vx11_contracts::anthropic::error_type;
use vx11_testing::Answer;

use super::PROMPT;

/// The wire that a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    OpenAi,
    Anthropic,
}

/// What a caller was told, in no wire.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) text: String,
    /// Why the answer ended; empty where it did not.
    pub(super) reason: String,
    /// Tokens read and written.
    pub(super) usage: (u64, u64),
    /// Dollars; empty for who is given no answer.
    pub(super) cost: String,
    /// The code of an error; on Anthropic's wire its type.
    pub(super) error: Option<String>,
}

impl Wire {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1/chat/completions",
            Self::Anthropic => "/v1/messages",
        }
    }

    pub(super) fn ask(self, model: &str, stream: bool) -> String {
        let messages = json!([{"role": "user", "content": PROMPT}]);
        let mut body = json!({"model": model, "max_tokens": 50, "messages": messages, "stream": stream});
        if self == Self::OpenAi && stream {
            body["stream_options"] = json!({"include_usage": true});
        }
        body.to_string()
    }

    /// What `got` tells. `Err`: what of it is not as it should be on this wire.
    pub(super) fn read(self, got: &Answer, stream: bool) -> Result<Told, String> {
        let told = match (got.status, self) {
            (200, _) if stream != got.header("content-type").starts_with("text/event-stream") => None,
            (200, Self::OpenAi) if stream => chunks(got),
            (200, Self::Anthropic) if stream => events(got),
            (200, Self::OpenAi) => Some(completion(&got.json())),
            (200, Self::Anthropic) => Some(message(&got.json())),
            _ => self.error(&got.json()).map(|error| Told { error: Some(error), ..Told::default() }),
        };
        let cost = if stream { cost_in(&got.body) } else { got.header("x-vx11-cost-usd") };
        let told = told.map(|told| Told { cost: cost.to_owned(), ..told });
        told.ok_or_else(|| format!("off its wire: {} {}", got.status, got.body))
    }

    /// The code of an error of this wire's shape.
    fn error(self, body: &Value) -> Option<String> {
        let error = &body["error"];
        error["message"].as_str().filter(|message| !message.is_empty())?;
        match self {
            Self::OpenAi => {
                error["type"].as_str()?;
                error.get("param")?;
                Some(error.get("code")?.as_str().unwrap_or_default().to_owned())
            }
            Self::Anthropic => (body["type"] == "error").then(|| error["type"].as_str().map(str::to_owned))?,
        }
    }

    /// How this wire says `code`, of an error with this status.
    pub(super) fn code(self, status: u16, code: &str) -> &str {
        match self {
            Self::OpenAi => code,
            Self::Anthropic => error_type(status),
        }
    }
}

/// What the comment at the end of a stream says that it has cost.
fn cost_in(stream: &str) -> &str {
    let mut costs = stream.lines().filter_map(|line| line.strip_prefix(": x-vx11-cost-usd "));
    let cost = costs.next().unwrap_or_default();
    if costs.next().is_none() { cost } else { "said twice" }
}

fn count(usage: &Value, name: &str) -> u64 {
    usage[name].as_u64().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn completion(body: &Value) -> Told {
    let (choice, usage) = (&body["choices"][0], &body["usage"]);
    Told {
        text: text(&choice["message"]["content"]),
        reason: text(&choice["finish_reason"]),
        usage: (count(usage, "prompt_tokens"), count(usage, "completion_tokens")),
        ..Told::default()
    }
}

fn message(body: &Value) -> Told {
    let usage = &body["usage"];
    Told {
        text: text(&body["content"][0]["text"]),
        reason: text(&body["stop_reason"]),
        usage: (count(usage, "input_tokens"), count(usage, "output_tokens")),
        ..Told::default()
    }
}

/// One id in all chunks; `[DONE]` or an error at the end, and nowhere else.
fn chunks(got: &Answer) -> Option<Told> {
    let data = got.events();
    let (last, chunks) = data.split_last()?;
    let mut told = Told::default();
    let mut id = Value::Null;
    for chunk in chunks {
        let chunk: Value = serde_json::from_str(chunk).ok()?;
        let choice = &chunk["choices"][0];
        told.text += &text(&choice["delta"]["content"]);
        told.reason += &text(&choice["finish_reason"]);
        if let Some(usage) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            told.usage = (count(usage, "prompt_tokens"), count(usage, "completion_tokens"));
        }
        if id.is_null() {
            id = chunk["id"].clone();
        }
        (id.is_string() && chunk["id"] == id && chunk.get("error").is_none()).then_some(())?;
    }
    if *last != "[DONE]" {
        told.error = Some(Wire::OpenAi.error(&serde_json::from_str(last).ok()?)?);
    }
    Some(told)
}

/// Events under their names, in the order of the wire, each block closed before the next; `message_stop` or an error at
/// the end, and nowhere else.
fn events(got: &Answer) -> Option<Told> {
    let mut told = Told::default();
    let (mut expected, mut blocks, mut open): (&[&str], _, _) = (&["message_start"], 0, false);
    for event in got.body.split_terminator("\n\n").filter(|event| !event.starts_with(':')) {
        let (name, data) = event.split_once("\ndata: ")?;
        let data: Value = serde_json::from_str(data).ok()?;
        let name = name.strip_prefix("event: ").filter(|name| data["type"] == *name)?;
        match name {
            "ping" => continue,
            "error" => told.error = Some(Wire::Anthropic.error(&data)?),
            _ => expected.contains(&name).then_some(())?,
        }
        let index = data["index"].as_u64();
        expected = match name {
            "message_start" => {
                told.usage.0 = count(&data["message"]["usage"], "input_tokens");
                &["content_block_start", "message_delta"]
            }
            "content_block_start" => {
                (!open && index == Some(blocks)).then_some(())?;
                open = true;
                &["content_block_delta", "content_block_stop"]
            }
            "content_block_delta" => {
                (index == Some(blocks)).then_some(())?;
                told.text += &text(&data["delta"]["text"]);
                &["content_block_delta", "content_block_stop"]
            }
            "content_block_stop" => {
                (index == Some(blocks)).then_some(())?;
                (open, blocks) = (false, blocks + 1);
                &["content_block_start", "message_delta"]
            }
            "message_delta" => {
                told.reason = text(&data["delta"]["stop_reason"]);
                let read = data["usage"]["input_tokens"].as_u64();
                told.usage = (read.unwrap_or(told.usage.0), count(&data["usage"], "output_tokens"));
                &["message_stop"]
            }
            // Nothing follows.
            _ => &[],
        };
    }
    expected.is_empty().then_some(told)
}
