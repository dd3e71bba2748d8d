//! The streamed form of `POST /switch/chat`: the provider's chunks become [`SwitchFrame`]s.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpResponse;
use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use vx11_chassis::{RequestContext, sse};
use vx11_contracts::switch::{SwitchChatResponse, SwitchFrame};

use super::way::Way;
use super::{events, refusal};
use crate::accounts::Bill;
use crate::cache::Passage;
use crate::domain::delta::Delta;
use crate::domain::outcome::Outcome;
use crate::gateway::{AnswerStream, Step};

/// The response to a stream whose answer has begun; `draft` is completed by what the stream says.
pub(super) fn respond(
    stream: AnswerStream,
    way: Way<'_>,
    draft: SwitchChatResponse,
    context: &RequestContext,
) -> HttpResponse {
    let request_id = stream.request_id().map(str::to_owned);
    let writer = Writer { whole: draft, correlation_id: context.correlation_id.clone(), started: way.started };
    events::respond(way, request_id.as_deref(), writer.write(stream, way.bill.clone()))
}

/// Adds up the answer while it is written.
#[derive(Debug)]
struct Writer {
    whole: SwitchChatResponse,
    correlation_id: Arc<str>,
    started: Instant,
}

impl Writer {
    fn write(mut self, mut stream: AnswerStream, bill: Bill) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream! {
            loop {
                let last = match stream.next().await {
                    // A comment.
                    Step::Frame(frame) if frame.data().is_empty() => continue,
                    Step::Frame(frame) => match Delta::read(frame.data()) {
                        Ok(delta) => {
                            for frame in self.add(delta) {
                                yield Ok(event(&frame));
                            }
                            continue;
                        }
                        Err(_) => {
                            stream.reject();
                            self.error(Outcome::InvalidAnswer)
                        }
                    },
                    Step::End => self.done(&stream),
                    Step::Broken(outcome) => self.error(outcome),
                };
                yield Ok(events::cost(bill, &stream));
                yield Ok(event(&last));
                break;
            }
        }
    }

    /// Takes in what a chunk says; reasoning comes before the text.
    fn add(&mut self, delta: Delta) -> impl Iterator<Item = SwitchFrame> + use<> {
        if let Some(model) = delta.model {
            self.whole.engine_used = model;
        }
        if let Some(reasoning) = &delta.reasoning {
            self.whole.reasoning.get_or_insert_default().push_str(reasoning);
        }
        if let Some(content) = &delta.content {
            self.whole.reply.push_str(content);
        }
        let reasoning = delta.reasoning.map(|content| SwitchFrame::Reasoning { content });
        reasoning.into_iter().chain(delta.content.map(|content| SwitchFrame::Token { content }))
    }

    fn done(mut self, stream: &AnswerStream) -> SwitchFrame {
        if let Some((gateway, targets, tried, bill)) = stream.way() {
            let way = Way { gateway, targets, tried, started: self.started, bill, passage: &Passage::bypass() };
            let (provider, _) = way.last().unwrap_or_default();
            self.whole.provider = provider.to_owned();
            self.whole.fallback_reason = way.fallback_reason();
            self.whole.attempts = way.attempts();
        }
        let latency_ms = self.started.elapsed().as_millis() as u64;
        SwitchFrame::Done(SwitchChatResponse { usage: stream.usage(), latency_ms, ..self.whole })
    }

    fn error(&self, outcome: Outcome) -> SwitchFrame {
        SwitchFrame::Error(refusal::broken(outcome).body(&self.correlation_id))
    }
}

fn event(frame: &SwitchFrame) -> Bytes {
    sse::event(None, Some(frame.event()), frame)
}
