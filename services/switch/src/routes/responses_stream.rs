//! The streamed form of `POST /v1/responses`: the provider's own events, or its chunks as such, and exactly one of them
//! is the last. Where a provider's own events break off, another one's chunks follow as such.

use std::convert::Infallible;

use async_stream::stream;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use vx11_chassis::sse;

use super::responses::{new_key, unix_seconds};
use super::{events, refusal};
use crate::accounts::Bill;
use crate::domain::outcome::Outcome;
use crate::domain::responses::{Builder, Event, Passed};
use crate::gateway::{AnswerStream, Step};

/// The events that `stream` becomes.
pub(super) fn write(
    stream: AnswerStream,
    bill: Bill,
    builder: Builder,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    match stream.is_native() {
        true => pass_on(stream, bill).left_stream(),
        false => translate(stream, None, bill, builder).right_stream(),
    }
}

/// The provider's events as they came, its last word included; where it says none, it is said in its place. What it has
/// cost is known only after the last of them.
fn pass_on(mut stream: AnswerStream, bill: Bill) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let mut passed = if stream.may_be_rescued() { Passed::keeping() } else { Passed::default() };
    stream! {
        let outcome = loop {
            let step = stream.next().await;
            if !stream.is_native() {
                let Some(builder) = passed.follow(new_key()) else {
                    stream.set_aside();
                    break Outcome::StreamCut;
                };
                // In a box, because it is seldom needed.
                let mut rest = Box::pin(translate(stream, Some(step), bill, builder));
                while let Some(event) = rest.next().await {
                    yield event;
                }
                return;
            }
            match step {
                Step::Frame(frame) => {
                    passed.note(frame.data());
                    yield Ok(frame.raw);
                }
                Step::End => {
                    yield Ok(events::cost(bill, &stream));
                    return;
                }
                Step::Broken(outcome) => break outcome,
            }
        };
        yield Ok(events::cost(bill, &stream));
        if let Some(frame) = stream.last_words() {
            let is_end = passed.note(frame.data());
            yield Ok(frame.raw.clone());
            if is_end {
                return;
            }
        }
        for event in passed.fail(refusal::broken(outcome).detail()) {
            yield Ok(write_event(&event));
        }
    }
}

/// The events of the gateway's own that the chunks become, beginning with the `first` step, where that was taken.
fn translate(
    mut stream: AnswerStream,
    mut first: Option<Step>,
    bill: Bill,
    mut builder: Builder,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream! {
        let last = loop {
            let step = match first.take() {
                Some(step) => step,
                None => stream.next().await,
            };
            match step {
                // A comment.
                Step::Frame(frame) if frame.data().is_empty() => {}
                Step::Frame(frame) => match builder.add(frame.data()) {
                    Ok(events) => {
                        for event in events {
                            yield Ok(write_event(&event));
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
        yield Ok(events::cost(bill, &stream));
        for event in last {
            yield Ok(write_event(&event));
        }
    }
}

pub(super) fn write_event(event: &Event) -> Bytes {
    sse::event(None, Some(event.name), &event.data)
}
