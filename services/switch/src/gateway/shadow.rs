//! Copies of requests that go to a shadow target, to see how it does.
//!
//! Nobody waits for one, and nothing of it is kept but how it went: not its answer, not its tokens, and neither breaker nor
//! keys learn from it. There are never more than [`MOST`] at a time; a copy that finds no place is not made.

use vx11_http_client::Response;

use super::{Call, Gateway, exchange};
use crate::domain::failover::Failure;
use crate::domain::outcome::Outcome;

/// Copies at a time.
pub(crate) const MOST: usize = 32;

impl Gateway {
    /// Sends a copy of `call` to the shadow target of `model`, where it has one and this request is drawn.
    pub(crate) fn cast_shadow(&self, call: &Call<'_>, model: &str) {
        let Some(target) = self.shared.routes.shadow(model, rand::random::<f64>) else { return };
        let provider = self.shared.registry.get(target.provider);
        let place = self.shared.shadows.clone().try_acquire_owned();
        let key = provider.keys().map(|keys| keys.pick()).transpose();
        let http = self.client(target.provider).ok();
        let request = key.ok().zip(http);
        let request = request.and_then(|(key, http)| provider.chat(http, call.request, &target.model, key).ok());
        let (Ok(place), Some(request), true) = (place, request, provider.is_usable()) else {
            self.shared.metrics.shadow(&provider.name, "not_made");
            return;
        };
        let wire = provider.wire();
        let request = vx11_chassis::client::propagate(request, call.context, &call.context.trace);
        let (name, metrics, limits) = (provider.name.clone(), self.shared.metrics.clone(), provider.limits);
        let limit = if call.request.stream { limits.stream } else { limits.answer };
        tokio::spawn(async move {
            let _place = place;
            let answered =
                tokio::time::timeout(limit, async { read_to_the_end(exchange::send(request, wire).await?).await });
            let outcome = match answered.await {
                Ok(Ok(())) => Outcome::Success,
                Ok(Err(failure)) => failure.outcome,
                Err(_) => Outcome::Timeout,
            };
            metrics.shadow(&name, &outcome.name());
        });
    }
}

async fn read_to_the_end(mut response: Response) -> Result<(), Failure> {
    loop {
        match response.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(_) => return Err(Failure::new(Outcome::AnswerCut, "the answer broke off")),
        }
    }
}
