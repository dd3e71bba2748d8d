//! The way to an answer, as callers are told of it: in headers, in `attempts`, in sentences.

use std::time::{Duration, Instant};

use actix_web::http::header::{AGE, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use vx11_chassis::header_names;
use vx11_contracts::switch::Attempt;

use crate::accounts::Bill;
use crate::cache::Passage;
use crate::domain::failover::{Tried, time_of};
use crate::domain::routing::Target;
use crate::gateway::{Call, Gateway};

/// The provider that the caller's header allows, where it names one.
pub(super) fn pinned_provider(request: &HttpRequest) -> Option<&str> {
    // What is no text is no provider's name either, and is refused as such.
    request.headers().get(header_names::PROVIDER).map(|value| value.to_str().unwrap_or_default())
}

/// Every target that was tried for one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) targets: &'a [Target],
    pub(super) tried: &'a [Tried],
    /// When the request came in.
    pub(super) started: Instant,
    /// What it has cost.
    pub(super) bill: &'a Bill,
    /// Its dealings with the cache.
    pub(super) passage: &'a Passage,
}

impl<'a> Way<'a> {
    /// The way that `call` took.
    pub(super) fn of(gateway: &'a Gateway, call: &Call<'a>, tried: &'a [Tried]) -> Self {
        Self { gateway, targets: call.targets, tried, started: call.started, bill: call.bill, passage: call.passage }
    }

    /// The response with a whole answer in JSON.
    pub(super) fn whole(self, request_id: Option<&str>, body: Bytes) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.insert_header((header_names::COST_USD, self.bill.cost().to_string()));
        let response = response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json"))).body(body);
        self.tell(response, request_id)
    }

    /// The target that was tried last: the one that answered, where one did; or whose answer was kept.
    pub(super) fn last(self) -> Option<(&'a str, &'a str)> {
        let kept = || self.passage.origin().map(|origin| (&*origin.provider, &*origin.model));
        self.tried.last().map(|tried| self.name(tried)).or_else(kept)
    }

    /// Why the first choice did not answer, where another one did.
    pub(super) fn fallback_reason(self) -> Option<String> {
        match self.tried {
            [first, .., last] if first.target != last.target => Some(first.outcome.name().into_owned()),
            _ => None,
        }
    }

    /// Every target that was tried, for a body.
    pub(super) fn attempts(self) -> Vec<Attempt> {
        let attempt = |tried: &Tried| {
            let (provider, model) = self.name(tried);
            Attempt {
                provider: provider.to_owned(),
                model: model.to_owned(),
                outcome: tried.outcome.name().into_owned(),
                latency_ms: tried.elapsed.as_millis() as u64,
            }
        };
        self.tried.iter().map(attempt).collect()
    }

    /// Every target that was tried, for a sentence.
    pub(super) fn sentence(self) -> String {
        let attempt = |tried: &Tried| {
            let (provider, model) = self.name(tried);
            format!("{provider}/{model}: {}", tried.outcome)
        };
        self.tried.iter().map(attempt).collect::<Vec<_>>().join(", ")
    }

    /// `response`, telling who answered, after how many calls, and what the gateway itself took until now.
    pub(super) fn tell(self, mut response: HttpResponse, request_id: Option<&str>) -> HttpResponse {
        let headers = response.headers_mut();
        // What a caller or a provider named may not fit into a header; it is left out then.
        let mut add = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if let Some((provider, model)) = self.last() {
            add(header_names::PROVIDER, provider);
            add(header_names::MODEL, model);
        }
        if let Some(request_id) = request_id {
            add(header_names::REQUEST_ID, request_id);
        }
        let origin = self.passage.origin();
        let waited = time_of(self.tried) + origin.map_or(Duration::ZERO, |origin| origin.waited);
        let overhead = self.started.elapsed().saturating_sub(waited);
        let micros = overhead.as_micros() as u64;
        add(header_names::OVERHEAD_MS, &thousandths(micros));
        if self.gateway.shared.cache.is_some() {
            add(header_names::CACHE, self.passage.status().as_str());
        }
        let calls = self.tried.iter().filter(|tried| tried.outcome.was_asked()).count();
        headers.insert(header_names::ATTEMPTS, calls.into());
        if let Some(origin) = origin {
            headers.insert(AGE, origin.age.as_secs().into());
        }
        response
    }

    fn name(self, tried: &Tried) -> (&'a str, &'a str) {
        let target = &self.targets[tried.target];
        (&self.gateway.shared.registry.get(target.provider).name, &target.model)
    }
}

/// `number` thousandths as a decimal fraction.
fn thousandths(number: u64) -> String {
    let digit = |place: u64| char::from(b'0' + (number / place % 10) as u8);
    let mut text = String::with_capacity("00000.000".len());
    text.push_str(itoa::Buffer::new().format(number / 1000));
    text.push('.');
    text.extend([digit(100), digit(10), digit(1)]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_keeps_its_zeros() {
        for (number, text) in [(0, "0.000"), (7, "0.007"), (1050, "1.050"), (123_456, "123.456")] {
            assert_eq!(thousandths(number), text);
        }
    }
}
