//! Counting a prompt's tokens without having it answered.

use std::time::Duration;

use serde::Deserialize;

use super::{Call, Gateway, exchange};
use crate::domain::estimate;
use crate::domain::failover::Refusal;

/// Longest wait for a provider's count, which is only better than an estimate, not needed.
const LIMIT: Duration = Duration::from_secs(5);

impl Gateway {
    /// The tokens of a prompt: counted by the first provider that does that, else estimated.
    ///
    /// # Errors
    /// When that provider refuses the request as the caller's fault.
    pub(crate) async fn count_tokens(&self, call: &Call<'_>) -> Result<u64, Box<Refusal>> {
        match self.ask_for_count(call).await {
            Some(Ok(tokens)) => Ok(tokens),
            Some(Err(refusal)) => Err(refusal),
            None => Ok(estimate::prompt_tokens(call.request.body())),
        }
    }

    /// `None`: no provider counts, or the one that does could not be asked.
    async fn ask_for_count(&self, call: &Call<'_>) -> Option<Result<u64, Box<Refusal>>> {
        #[derive(Deserialize)]
        struct Count {
            input_tokens: u64,
        }
        let (provider, request) = call.targets.iter().find_map(|target| {
            let provider = self.shared.registry.get(target.provider);
            let http = &self.http[target.provider];
            Some((provider, provider.count_tokens(http, call.request, &target.model)?))
        })?;
        let request = vx11_chassis::client::propagate(request, call.context, &call.context.trace);
        let counted = async {
            let response = exchange::send(request, provider.wire()).await?;
            exchange::body(response).await
        };
        let limit = call.context.deadline.map_or(LIMIT, |deadline| deadline.remaining().min(LIMIT));
        match tokio::time::timeout(limit, counted).await.ok()? {
            Ok(body) => serde_json::from_slice::<Count>(&body).ok().map(|count| Ok(count.input_tokens)),
            Err(failure) if failure.outcome.is_callers_fault() => failure.refusal.map(Err),
            Err(failure) => {
                let (provider, outcome) = (&provider.name, failure.outcome.name());
                tracing::warn!(provider, outcome = &*outcome, "provider did not count; the count is estimated");
                None
            }
        }
    }
}
