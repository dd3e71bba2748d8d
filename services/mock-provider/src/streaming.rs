//! An answer as server-sent events, token by token, and how that goes wrong.

use std::time::Duration;

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Value, json};
use vx11_chassis::{Shutdown, sse};

use crate::domain::answer::Answer;
use crate::domain::fault::{FaultPlan, Kind};
use crate::domain::tokens;
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

/// A chunk, and how many tokens it carries.
struct Piece {
    value: Value,
    tokens: u64,
}

/// Keeps a request waiting for as long as any is held, or until the service stops.
pub(crate) async fn hold(shutdown: &Shutdown) {
    tokio::select! {
        () = tokio::time::sleep(LONGEST_HOLD) => {}
        () = shutdown.begun() => {}
    }
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
            for Piece { value, tokens } in self.pieces() {
                let reached = |at: Option<u64>| at.is_some_and(|at| open.tokens_sent >= at);
                if reached(self.plan.cut) {
                    // Lets what was written leave before the connection closes.
                    tokio::task::yield_now().await;
                    open.will_end("cut");
                    yield Err(Cut);
                    return;
                }
                if reached(self.plan.stall) {
                    hold(&self.shutdown).await;
                    open.will_end("hung");
                    yield Err(Cut);
                    return;
                }
                if reached(self.plan.malformed) && !broken {
                    broken = true;
                    yield Ok(Bytes::from_static(b"data: {\"id\":\"chatcmpl-broken\",\"choices\":[{\"del\n\n"));
                }
                if reached(self.plan.error_frame) {
                    open.will_end("error");
                    yield Ok(sse::event(None, None, &error_frame()));
                    return;
                }
                if tokens > 0 {
                    if let Some(wait) = self.plan.drip { tokio::time::sleep(wait).await; }
                    open.tokens_sent += tokens;
                    counted.inc_by(tokens);
                }
                yield Ok(sse::event(None, None, &value));
            }
            if self.plan.kind != Some(Kind::NoDone) {
                yield Ok(Bytes::from_static(b"data: [DONE]\n\n"));
            }
            open.will_end(if broken { "malformed" } else { "completed" });
        }
    }

    /// What is sent, in order; each chunk is made when its turn has come.
    fn pieces(&self) -> impl Iterator<Item = Piece> {
        let answers = self.answers.iter().enumerate().flat_map(|(index, answer)| self.pieces_of(index, answer));
        let last = self.usage.iter().map(|usage| {
            let mut value = self.envelope();
            value["choices"] = json!([]);
            value["usage"] = usage.clone();
            Piece { value, tokens: 0 }
        });
        answers.chain(last)
    }

    fn pieces_of<'s>(&'s self, index: usize, answer: &'s Answer) -> impl Iterator<Item = Piece> + 's {
        let piece = move |tokens, delta| Piece { value: self.chunk(index, delta, None), tokens };
        let role = std::iter::once_with(move || piece(0, json!({ "role": "assistant", "content": "" })));
        let reasoning = answer.reasoning.iter().map(move |token| piece(1, json!({ "reasoning_content": token })));
        let text = answer.tokens.iter().map(move |token| piece(1, json!({ "content": token })));
        let calls = answer.tool_calls.iter().enumerate().flat_map(move |(at, call)| {
            let head = json!({ "index": at, "id": call.id, "type": "function",
                "function": { "name": call.name, "arguments": "" } });
            let head = piece(tokens::count(&call.name), json!({ "tool_calls": [head] }));
            let arguments = tokens::split(&call.arguments).map(move |part| {
                let delta = json!({ "index": at, "function": { "arguments": part } });
                piece(1, json!({ "tool_calls": [delta] }))
            });
            std::iter::once(head).chain(arguments)
        });
        let end = std::iter::once_with(move || Piece {
            value: self.chunk(index, json!({}), Some(answer.finish_reason)),
            tokens: 0,
        });
        role.chain(reasoning).chain(text).chain(calls).chain(end)
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
