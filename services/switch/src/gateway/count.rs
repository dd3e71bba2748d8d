//! Counting a prompt's tokens without having it answered.

use std::pin::pin;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::oneshot;

use super::uncounted::{Uncounted, Wrote};
use super::{Call, Gateway, exchange};
use crate::accounts::Tokens;
use crate::domain::failover::{Failure, Refusal, Turn};
use crate::domain::outcome::{Health, Outcome};
use crate::domain::rejection::Rejection;
use crate::tokenizer::Vocabulary;

/// Longest wait for a provider's count, which is only better than an estimate, not needed.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for the gateway's own.
const PATIENCE: Duration = Duration::from_secs(2);

impl Gateway {
    /// The tokens of a prompt: counted by the first provider that does that, else in the vocabulary of the first model
    /// that is asked; estimated where that is not known.
    ///
    /// # Errors
    /// When that provider refuses the request as the caller's fault.
    pub(crate) async fn count_tokens(&self, call: &Call<'_>) -> Result<u64, Box<Refusal>> {
        let counted = tokio::time::timeout(LIMIT, self.ask_for_count(call)).await;
        match counted.ok().flatten() {
            Some(counted) => counted,
            None => Ok(prompt_tokens(call).await),
        }
    }

    /// The same of what nobody is to be asked about.
    pub(crate) async fn count_tokens_alone(call: &Call<'_>) -> u64 {
        prompt_tokens(call).await
    }

    /// `None`: no provider counts, or the one that does could not be asked.
    async fn ask_for_count(&self, call: &Call<'_>) -> Option<Result<u64, Box<Refusal>>> {
        let provider = |target: usize| self.shared.registry.get(target);
        let target = call.targets().iter().find(|target| provider(target.provider).counts(call.request))?;
        let mut attempt = self.begin(call, target, Turn::First).await.ok()?;
        // Counting costs nothing, however it ends.
        attempt.spent(Some(Tokens::default()), || 0);
        let (provider, http) = (provider(target.provider), self.client(target.provider).ok()?);
        let request = provider.count_tokens(http, call.request, &target.model, attempt.key()).ok()?;
        let request = request.connect_within(call.wishes.connect);
        let request = vx11_chassis::client::propagate(request, call.context, attempt.trace());
        let counted = pin!(async {
            let response = exchange::send(request, provider.wire_for(call.request), |_| {}).await?;
            read(&exchange::body(response, call.request.operation.answer_limit()).await?)
        });
        match attempt.bounded(provider.limits.first, call.left(), counted).await {
            Ok(tokens) => {
                attempt.succeeded();
                Some(Ok(tokens))
            }
            Err(mut failure) => {
                if failure.outcome == Outcome::Http(403) {
                    // No other key is asked, which would tell whether this one or the request is at fault.
                    (failure.rejection, failure.health) = (Some(Rejection::Forbidden), Health::Unknown);
                }
                attempt.failed(&mut failure);
                failure.refusal.filter(|_| failure.outcome.is_callers_fault()).map(Err)
            }
        }
    }
}

/// The tokens of a prompt, without asking anybody.
async fn prompt_tokens(call: &Call<'_>) -> u64 {
    let vocabulary = call.targets().first().and_then(|target| Vocabulary::of(&target.model));
    if let Some(vocabulary) = vocabulary {
        let uncounted = Uncounted { vocabulary, bill: call.bill.clone(), wrote: Wrote::Nothing };
        if uncounted.is_short() {
            uncounted.count();
        } else {
            let (tell, told) = oneshot::channel::<()>();
            let job = move || {
                // Who has left wants no count. Being dropped tells that it is over.
                if !tell.is_closed() {
                    uncounted.count();
                }
            };
            call.bill.later(call.bill.uncounted_bytes(vocabulary), Box::new(job));
            let _ = tokio::time::timeout(PATIENCE.min(call.left()), told).await;
        }
    }
    call.bill.prompt_tokens(vocabulary)
}

fn read(body: &[u8]) -> Result<u64, Failure> {
    #[derive(Deserialize)]
    struct Count {
        input_tokens: u64,
    }
    let count: Result<Count, _> = serde_json::from_slice(body);
    count.map(|count| count.input_tokens).map_err(|_| Failure::new(Outcome::InvalidAnswer, "not a count"))
}
