//! The streamed form of `POST /v1/responses`: the provider's chunks become events, and exactly one of them is the last.

use std::convert::Infallible;

use actix_web::HttpResponse;
use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use vx11_chassis::{ApiError, sse};

use super::responses::unix_seconds;
use super::way::Way;
use super::{events, refusal};
use crate::domain::outcome::Outcome;
use crate::domain::responses::{Builder, Event};
use crate::gateway::{AnswerStream, Call, Gateway, Step};

/// Answers `call` with a stream, once its first event is in.
pub(super) async fn answer(gateway: &Gateway, call: &Call<'_>, builder: Builder) -> Result<HttpResponse, ApiError> {
    match gateway.stream(call).await {
        Ok(answered) => {
            let request_id = answered.answer.request_id().map(str::to_owned);
            let way = Way::of(gateway, call, &answered.tried);
            Ok(events::respond(way, request_id.as_deref(), translate(answered.answer, builder)))
        }
        Err(unanswered) => refusal::openai(&unanswered, Way::of(gateway, call, &unanswered.tried)),
    }
}

fn translate(mut stream: AnswerStream, mut builder: Builder) -> impl Stream<Item = Result<Bytes, Infallible>> {
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
                Step::End => break builder.finish(unix_seconds()),
                Step::Broken(outcome) => break builder.fail(refusal::broken(outcome).detail()),
            }
        };
        for event in last {
            yield Ok(write(&event));
        }
    }
}

fn write(event: &Event) -> Bytes {
    sse::event(None, Some(event.name), &event.data)
}
