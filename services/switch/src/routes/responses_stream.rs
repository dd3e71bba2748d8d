//! The streamed form of `POST /v1/responses`: the provider's chunks become events, and exactly one of them is the last.

use std::convert::Infallible;

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use vx11_chassis::sse;

use super::responses::unix_seconds;
use super::{events, refusal};
use crate::accounts::Bill;
use crate::domain::outcome::Outcome;
use crate::domain::responses::{Builder, Event};
use crate::gateway::{AnswerStream, Step};

/// The events that `stream` becomes.
pub(super) fn translate(
    mut stream: AnswerStream,
    bill: Bill,
    mut builder: Builder,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream! {
        let last = loop {
            match stream.next().await {
                // A comment.
                Step::Frame(frame) if frame.data().is_empty() => {}
                Step::Frame(frame) => match builder.add(frame.data()) {
                    Ok(events) => {
                        for event in events {
                            yield Ok(write(&event));
                        }
                    }
                    Err(_) => {
                        stream.reject();
                        break builder.fail(refusal::broken(Outcome::InvalidAnswer).detail());
                    }
                },
                Step::End => {
                    builder.estimate(stream.usage());
                    break builder.finish(unix_seconds(), bill.cost());
                }
                Step::Broken(outcome) => break builder.fail(refusal::broken(outcome).detail()),
            }
        };
        yield Ok(events::cost(bill));
        for event in last {
            yield Ok(write(&event));
        }
    }
}

fn write(event: &Event) -> Bytes {
    sse::event(None, Some(event.name), &event.data)
}
