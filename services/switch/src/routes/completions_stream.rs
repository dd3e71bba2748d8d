//! A streamed chat completion on its way to a client of OpenAI's wire: the provider's events as they came, and an honest
//! end.

use std::convert::Infallible;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use vx11_chassis::sse;

use super::refusal;
use super::way::Way;
use crate::domain::outcome::Outcome;
use crate::gateway::{ChatStream, Step};

/// The mark at the end of a whole answer.
const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// The response to a stream whose first event is in.
pub(super) fn respond(stream: ChatStream, way: Way<'_>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    way.add_headers(&mut response, stream.request_id.as_deref());
    response
        .insert_header((CONTENT_TYPE, sse::CONTENT_TYPE))
        .insert_header((CACHE_CONTROL, "no-cache"))
        // Asks nginx not to collect it.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(forward(stream))
}

fn forward(mut stream: ChatStream) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream! {
        loop {
            match stream.next().await {
                Step::Frame(frame) => yield Ok(frame.raw),
                Step::End => {
                    yield Ok(DONE);
                    break;
                }
                Step::Broken(outcome) => {
                    yield Ok(error_event(outcome));
                    break;
                }
            }
        }
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
