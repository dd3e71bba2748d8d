//! What every streamed answer has: its head, its pings, and before its end a comment on what it has cost, which a head
//! could not tell. Readers of events skip comments.

use std::convert::Infallible;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::Stream;
use vx11_chassis::{header_names, sse};
use vx11_contracts::headers;

use super::pings::Pinged;
use super::way::Way;
use crate::accounts::Bill;
use crate::gateway::AnswerStream;

/// The response whose body is `events`.
pub(super) fn respond(
    way: Way<'_>,
    request_id: Option<&str>,
    events: impl Stream<Item = Result<Bytes, Infallible>> + 'static,
) -> HttpResponse {
    let response = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, sse::CONTENT_TYPE))
        .insert_header((CACHE_CONTROL, "no-cache"))
        // Asks nginx not to collect it.
        .insert_header((headers::ACCEL_BUFFERING, "no"))
        .streaming(Pinged::new(events, way.gateway.shared.ping_interval));
    way.tell(response, request_id)
}

/// The comment on what the answer that `bill` is for has cost, calls that came to nothing included. It is given up with
/// that: who hears of the end shall find the bill settled. A `stream` that goes on for others has cost nobody knows what.
pub(super) fn cost(bill: Bill, stream: &AnswerStream) -> Bytes {
    if stream.goes_on_for_others() {
        return Bytes::from_static(b": what it costs is not known yet\n\n");
    }
    format!(": {} {}\n\n", header_names::COST_USD, bill.cost()).into()
}

/// An event with nothing but JSON in it.
pub(super) fn data(json: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(json.len() + 8);
    event.extend_from_slice(b"data: ");
    // A line break, which JSON has between its tokens only, would end the field.
    event.extend(json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    event.extend_from_slice(b"\n\n");
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        assert_eq!(data(b"{\n\"a\": \"\\n\"\r\n}"), "data: { \"a\": \"\\n\"  }\n\n");
    }
}
