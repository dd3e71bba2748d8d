//! A streamed completion on its way to a client of OpenAI's wire: the provider's events as they came, and an honest
//! end.

use std::convert::Infallible;

use actix_web::HttpResponse;
use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use vx11_chassis::ApiError;
use vx11_chassis::sse::{self, Frame};

use super::order::Order;
use super::{events, refusal};
use crate::accounts::Bill;
use crate::domain::manners::{Manners, Passed};
use crate::domain::outcome::Outcome;
use crate::domain::text_completion::{self, Chunk};
use crate::gateway::{AnswerStream, Step};

/// The mark at the end of a whole answer.
const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// What the chunks are for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Chat completions.
    Chat,
    /// Text completions, into which the chunks of providers that only chat are turned.
    Text,
}

impl Shape {
    /// What a chunk calls itself.
    const fn object(self) -> &'static str {
        match self {
            Self::Chat => "chat.completion.chunk",
            Self::Text => "text_completion",
        }
    }
}

/// Answers `order` with a stream, once its answer has begun.
pub(super) async fn answer(order: &Order, shape: Shape) -> Result<HttpResponse, ApiError> {
    let manners = Manners::new(order.request().wants_usage(), shape.object());
    order.stream(|stream, bill| forward(stream, bill, manners, shape)).await
}

fn forward(
    mut stream: AnswerStream,
    bill: Bill,
    mut manners: Manners,
    shape: Shape,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream! {
        loop {
            match stream.next().await {
                Step::Frame(frame) => {
                    let usage_is_reported = stream.usage().is_some();
                    let passed = pass(frame, &mut manners, shape, usage_is_reported);
                    if let Some(chunk) = manners.held() {
                        yield Ok(events::data(&chunk));
                    }
                    if let Some(bytes) = passed {
                        yield Ok(bytes);
                    }
                }
                Step::End => {
                    if let Some(chunk) = manners.last(stream.usage(), bill.cost()) {
                        yield Ok(events::data(&chunk));
                    }
                    yield Ok(events::cost(bill, &stream));
                    yield Ok(DONE);
                    break;
                }
                Step::Broken(outcome) => {
                    yield Ok(events::cost(bill, &stream));
                    yield Ok(error_event(outcome));
                    break;
                }
            }
        }
    }
}

/// What the caller gets for one event; as a rule its very bytes.
fn pass(frame: Frame, manners: &mut Manners, shape: Shape, usage_is_reported: bool) -> Option<Bytes> {
    let turned = match shape {
        Shape::Chat => Chunk::AsItCame,
        Shape::Text => text_completion::from_chunk(frame.data()),
    };
    let data = match &turned {
        Chunk::AsItCame => frame.data(),
        Chunk::Instead(chunk) => chunk,
        Chunk::Nothing => return None,
    };
    match (manners.pass(data, usage_is_reported), turned) {
        (Passed::Hidden, _) => None,
        (Passed::Instead(chunk), _) | (Passed::AsItCame, Chunk::Instead(chunk)) => Some(events::data(&chunk)),
        (Passed::AsItCame, _) => Some(frame.raw),
    }
}

/// The event that tells OpenAI's clients that the answer will not be finished; no `[DONE]` follows it.
fn error_event(outcome: Outcome) -> Bytes {
    let (_, body) = refusal::broken(outcome).openai_body();
    sse::event(None, None, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_stream_ends_with_an_error_that_clients_recognise() {
        let event = error_event(Outcome::StreamCut);
        let event = std::str::from_utf8(&event).expect("text");
        assert!(event.starts_with(r#"data: {"error":{"message":""#), "{event}");
        assert!(event.contains(r#""code":"upstream_error""#) && event.ends_with("}}\n\n"), "{event}");
    }
}
