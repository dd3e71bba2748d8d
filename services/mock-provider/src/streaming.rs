//! An answer as server-sent events, token by token, and how that goes wrong.

use std::time::Duration;

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Value, json};
use vx11_chassis::{Shutdown, sse};

use crate::domain::answer::Answer;
use crate::domain::fault::{FaultPlan, Kind};
use crate::ledger::Open;

/// The longest that a hanging or stalled request is held.
pub(crate) const LONGEST_HOLD: Duration = Duration::from_secs(600);

/// The connection is closed in the middle of the body.
#[derive(Debug, thiserror::Error)]
#[error("cut on request")]
pub(crate) struct Cut;

/// A streamed answer.
pub(crate) struct Streamed {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) created: i64,
    pub(crate) answers: Vec<Answer>,
    /// The usage, where the last chunk is to have it.
    pub(crate) usage: Option<Value>,
    pub(crate) plan: FaultPlan,
    pub(crate) shutdown: Shutdown,
}

/// What is sent, in order.
enum Piece {
    Token(Value),
    Other(Value),
}

impl Streamed {
    /// The body. `open` learns how it ended, also when the client goes away.
    pub(crate) fn body(
        self,
        mut open: Open,
        counted: prometheus::IntCounter,
    ) -> impl Stream<Item = Result<Bytes, Cut>> {
        open.status = 200;
        let mut broken = false;
        stream! {
            if let Some(wait) = self.plan.first_token { tokio::time::sleep(wait).await; }
            for piece in self.pieces() {
                let sent = open.tokens_sent;
                if self.plan.cut == Some(sent) {
                    // Lets what was written leave before the connection closes.
                    tokio::task::yield_now().await;
                    open.will_end("cut");
                    yield Err(Cut);
                    return;
                }
                if self.plan.stall == Some(sent) {
                    self.hold().await;
                    return;
                }
                if self.plan.malformed == Some(sent) {
                    broken = true;
                    yield Ok(Bytes::from_static(b"data: {\"id\":\"chatcmpl-broken\",\"choices\":[{\"del\n\n"));
                }
                if self.plan.error_frame == Some(sent) {
                    open.will_end("error");
                    yield Ok(sse::event(None, None, &error_frame()));
                    return;
                }
                let value = match piece {
                    Piece::Token(value) => {
                        if let Some(wait) = self.plan.drip { tokio::time::sleep(wait).await; }
                        open.tokens_sent += 1;
                        counted.inc();
                        value
                    }
                    Piece::Other(value) => value,
                };
                yield Ok(sse::event(None, None, &value));
            }
            if self.plan.kind != Some(Kind::NoDone) {
                yield Ok(Bytes::from_static(b"data: [DONE]\n\n"));
            }
            open.will_end(if broken { "malformed" } else { "completed" });
        }
    }

    async fn hold(&self) {
        tokio::select! {
            () = tokio::time::sleep(LONGEST_HOLD) => {}
            () = self.shutdown.begun() => {}
        }
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (index, answer) in self.answers.iter().enumerate() {
            pieces.push(Piece::Other(self.chunk(index, json!({ "role": "assistant", "content": "" }), None)));
            for token in &answer.reasoning {
                pieces.push(Piece::Token(self.chunk(index, json!({ "reasoning_content": token }), None)));
            }
            for token in &answer.tokens {
                pieces.push(Piece::Token(self.chunk(index, json!({ "content": token }), None)));
            }
            for (at, call) in answer.tool_calls.iter().enumerate() {
                let head = json!({ "index": at, "id": call.id, "type": "function",
                    "function": { "name": call.name, "arguments": "" } });
                pieces.push(Piece::Other(self.chunk(index, json!({ "tool_calls": [head] }), None)));
                for part in crate::domain::tokens::split(&call.arguments) {
                    let delta = json!({ "index": at, "function": { "arguments": part } });
                    pieces.push(Piece::Token(self.chunk(index, json!({ "tool_calls": [delta] }), None)));
                }
            }
            pieces.push(Piece::Other(self.chunk(index, json!({}), Some(answer.finish_reason))));
        }
        if let Some(usage) = &self.usage {
            let mut last = self.envelope();
            last["choices"] = json!([]);
            last["usage"] = usage.clone();
            pieces.push(Piece::Other(last));
        }
        pieces
    }

    fn chunk(&self, index: usize, delta: Value, finish_reason: Option<&str>) -> Value {
        let mut chunk = self.envelope();
        chunk["choices"] =
            json!([{ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]);
        if self.usage.is_some() {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn envelope(&self) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "fp_mock",
        })
    }
}

fn error_frame() -> Value {
    json!({ "error": { "message": "mock fault: error in the stream", "type": "server_error", "param": null, "code": "mock_fault" } })
}
