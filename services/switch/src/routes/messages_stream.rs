//! A streamed message on its way to a client of Anthropic's wire: the provider's own events, or its chunks as such, and
//! an honest end.

use std::convert::Infallible;

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use serde_json::Value;
use vx11_chassis::sse;

use super::{events as sent, refusal};
use crate::accounts::Bill;
use crate::domain::outcome::Outcome;
use crate::gateway::{AnswerStream, Step};
use crate::wire::anthropic::inbound;

/// The events that `stream` becomes. The last words of a message that is not the provider's own say what it has cost.
pub(super) fn write(mut stream: AnswerStream, bill: Bill) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let mut events = inbound::Stream::default();
    stream! {
        loop {
            match stream.next().await {
                // A comment.
                Step::Frame(frame) if frame.data().is_empty() => yield Ok(frame.raw),
                Step::Frame(frame) if stream.is_native() => {
                    events.passed(frame.event(), frame.data());
                    yield Ok(frame.raw);
                }
                Step::Frame(frame) => match serde_json::from_slice(frame.data()) {
                    Ok(chunk) => {
                        for event in events.push(&chunk) {
                            yield Ok(named(&event));
                        }
                    }
                    Err(_) => {
                        stream.reject();
                        yield Ok(sent::cost(bill, &stream));
                        yield Ok(error_event(Outcome::InvalidAnswer));
                        break;
                    }
                },
                Step::End if stream.is_native() => {
                    yield Ok(sent::cost(bill, &stream));
                    yield Ok(named(&inbound::Stream::stop()));
                    break;
                }
                Step::End => {
                    let last = events.finish(stream.usage(), bill.cost());
                    yield Ok(sent::cost(bill, &stream));
                    for event in last {
                        yield Ok(named(&event));
                    }
                    break;
                }
                Step::Broken(outcome) => {
                    yield Ok(sent::cost(bill, &stream));
                    yield Ok(error_event(outcome));
                    break;
                }
            }
        }
    }
}

/// An event under the name that is its type.
fn named(event: &Value) -> Bytes {
    sse::event(None, event["type"].as_str(), event)
}

/// The event that tells Anthropic's clients that the message will not be finished; no `message_stop` follows it.
fn error_event(outcome: Outcome) -> Bytes {
    let (_, body) = refusal::broken(outcome).anthropic_body();
    sse::event(None, Some("error"), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_stream_ends_with_an_error_that_clients_recognise() {
        let event = error_event(Outcome::StreamCut);
        let event = std::str::from_utf8(&event).expect("text");
        assert!(
            event.starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\","),
            "{event}"
        );
        assert!(event.ends_with("\"}}\n\n"), "{event}");
    }
}
