//! Copies of requests that go to a shadow target, to see how it does.
//!
//! Nobody waits for one, and nothing of it is kept but how it went and what it cost, which is nobody's but the
//! operator's: not its answer, and neither breaker nor keys learn from it. There are never more than [`MOST`] at a
//! time; a copy that finds no place is not made.

use vx11_http_client::Request;

use super::progress::Progress;
use super::stream::{Opened, Translation};
use super::uncounted::{self, Uncounted, Wrote};
use super::{Call, Gateway, exchange};
use crate::domain::answer;
use crate::domain::failover::Failure;
use crate::domain::outcome::Outcome;
use crate::domain::request::ChatRequest;
use crate::providers::Limits;
use crate::tokenizer::Vocabulary;
use crate::wire::Wire;

/// Copies at a time.
pub(crate) const MOST: usize = 32;

impl Gateway {
    /// Sends a copy of `call` to the shadow target of `model`, where it has one and this request is drawn.
    pub(crate) fn cast_shadow(&self, call: &Call<'_>, model: &str) {
        let Some(target) = self.shared.routes.shadow(model, rand::random::<f64>) else { return };
        // What a provider keeps or does by itself must not be kept and done twice: a copy is a chat, or there is none.
        let of = match &call.request.as_chat {
            Some(chat) if call.request.wire == Wire::Responses => chat.as_deref().ok(),
            _ => Some(call.request),
        };
        let target = target.clone();
        let provider = self.shared.registry.get(target.provider);
        let place = self.shared.shadows.clone().try_acquire_owned();
        let key = provider.keys().map(|keys| keys.pick()).transpose();
        let http = self.client(target.provider).ok();
        let request = of.zip(key.ok().zip(http));
        let request = request.and_then(|(of, (key, http))| provider.chat(http, of, &target.model, key).ok());
        let of = of.filter(|of| provider.is_usable() && provider.can(of));
        let (Ok(place), Some(request), Some(of)) = (place, request, of) else {
            self.shared.metrics.shadow(&provider.name, "not_made");
            return;
        };
        let request = vx11_chassis::client::propagate(request, call.context, &call.context.trace);
        let wire = provider.wire_for(of);
        let copy = ShadowCall { of: of.clone(), request, wire, limits: provider.limits };
        let (shared, bill) = (self.shared.clone(), call.bill.of_shadow());
        tokio::spawn(async move {
            let _place = place;
            let keeps_written = Vocabulary::of(&target.model);
            let (outcome, progress, wrote) = copy.send(keeps_written.is_some()).await;
            shared.metrics.shadow(&shared.registry.get(target.provider).name, &outcome.name());
            let vocabulary = keeps_written.filter(|_| progress.reported.is_none());
            let uncounted = vocabulary
                .filter(|_| progress.has_worked(outcome.may_have_spent()))
                .map(|vocabulary| Uncounted { vocabulary, bill: bill.clone(), wrote });
            uncounted::charge(progress, uncounted, &bill, (&shared, &target), outcome.may_have_spent());
        });
    }
}

/// A request on its way to the shadow target.
struct ShadowCall {
    of: ChatRequest,
    request: Request,
    wire: Wire,
    limits: Limits,
}

impl ShadowCall {
    /// How it went, what was spent, and what was written.
    async fn send(self, keeps_written: bool) -> (Outcome, Progress, Wrote) {
        let limit = if self.of.stream { self.limits.stream } else { self.limits.answer };
        let (mut progress, mut wrote) = (Progress::default(), Wrote::Nothing);
        let answered = tokio::time::timeout(limit, self.answered(keeps_written, &mut progress, &mut wrote)).await;
        let outcome = match answered {
            Ok(Ok(())) => Outcome::Success,
            Ok(Err(failure)) => failure.outcome,
            Err(_) => Outcome::Timeout,
        };
        (outcome, progress, wrote)
    }

    async fn answered(self, keeps_written: bool, progress: &mut Progress, wrote: &mut Wrote) -> Result<(), Failure> {
        let Self { of, request, wire, limits } = self;
        let response = exchange::send(request, wire, |_| {}).await?;
        if of.stream {
            let translation = Translation::new(wire, Wire::OpenAi);
            let stream = Opened::read(response, of.choices, limits, translation, keeps_written).await?;
            let ended = stream.read_to_the_end(progress, wrote).await;
            return ended.map_err(|outcome| Failure::new(outcome, "the answer broke off"));
        }
        let body = exchange::body(response, of.operation.answer_limit()).await?;
        let completion = exchange::completion(&body, wire)?;
        let read = answer::check(&completion).ok_or_else(|| Failure::new(Outcome::InvalidAnswer, "no completion"))?;
        *progress = Progress::whole(read.usage.map(|reported| reported.tokens), || answer::written(&completion));
        *wrote = Wrote::Whole(completion);
        Ok(())
    }
}
