//! The switch, as operator calls it: gated by its health, guarded by a breaker, bounded by a limit.

use std::pin::{Pin, pin};
use std::sync::Arc;

use vx11_chassis::RequestContext;
use vx11_chassis::client::{Accepted, CallError, ServiceClient};
use vx11_contracts::ErrorCode;
use vx11_contracts::intervention::Held;
use vx11_contracts::switch::{SwitchChatRequest, SwitchChatResponse};
use vx11_http_client::Response;
use vx11_resilience::Breaker;

use super::limit::{Limit, Verdict, verdict};
use super::{CallHeaders, HealthGate};

const CHAT: &str = "/switch/chat";

/// The switch. Cheap to clone; clones share gate and breaker.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    client: ServiceClient,
    gate: Arc<HealthGate>,
    breaker: Arc<Breaker>,
}

/// Why the switch gave no answer.
#[derive(Debug)]
pub(crate) enum SwitchError {
    /// It was not asked: it is known not to answer. Why, in a word.
    Skipped(&'static str),
    /// It was asked, and the call failed.
    Failed(CallError),
}

impl SwitchError {
    /// A short stable name for `fallback_source`.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Skipped(why) => (*why).to_owned(),
            Self::Failed(error) => error.kind(),
        }
    }

    /// The envelope of an answer that no other engine may give another one in place of: one that is the caller's to mend,
    /// such as an unknown provider, one of a rule that wants a person's approval first, or of its organisation's limits.
    pub(crate) fn is_final(&self) -> Option<&vx11_contracts::ErrorBody> {
        use ErrorCode as E;
        self.body().filter(|body| {
            let code = body.error.code;
            let is_to_be_mended = matches!(code, E::UnknownProvider | E::ModelNotFound | E::ModelNotAllowed);
            is_to_be_mended || is_of_a_rule(code) || body.error.limit_of.is_some()
        })
    }

    /// The envelope of what it answered, where it did.
    pub(crate) fn body(&self) -> Option<&vx11_contracts::ErrorBody> {
        match self {
            Self::Failed(CallError::Status { body, .. }) => body.as_deref(),
            _ => None,
        }
    }
}

/// Whether a rule of the gateway keeps the request from being answered.
pub(crate) fn is_of_a_rule(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(code, E::HeldRejected | E::HeldExpired | E::HeldPending | E::HoldUnavailable)
}

/// What a failed call says about the switch. A rule's refusal, or a limit's, is its daily work, whatever its status.
fn judge(error: &CallError, limit: Limit) -> Verdict {
    match error {
        CallError::Status { body: Some(body), .. }
            if is_of_a_rule(body.error.code) || body.error.limit_of.is_some() =>
        {
            Verdict::Well
        }
        error => verdict(error, limit),
    }
}

impl Switch {
    /// The switch behind `client`.
    pub(crate) fn new(client: ServiceClient, gate: Arc<HealthGate>, breaker: Arc<Breaker>) -> Self {
        Self { client, gate, breaker }
    }

    /// The breaker of calls to it.
    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Whether it is believed to answer.
    pub(crate) fn is_healthy(&self) -> bool {
        self.gate.is_healthy()
    }

    /// Asks for a whole answer, or hears that a person looks at the request first.
    ///
    /// # Errors
    /// When it is not worth asking, or the call fails.
    pub(crate) async fn chat(
        &self,
        request: &SwitchChatRequest,
        context: &RequestContext,
        on_behalf: CallHeaders<'_>,
        limit: Limit,
    ) -> Result<Accepted<SwitchChatResponse, Held>, SwitchError> {
        let client = on_behalf.on(&self.client);
        let call = pin!(async {
            let answer = client.post_or_later::<SwitchChatResponse, Held>(CHAT, request, context, limit.wait).await?;
            match &answer {
                Accepted::Answer(answer) if answer.status != "ok" => {
                    Err(CallError::Schema(format!("status is `{}`", answer.status)))
                }
                _ => Ok(answer),
            }
        });
        self.guarded(call, limit, request.provider.is_some()).await
    }

    /// Asks for a streamed answer; its head is in when this returns. Its body says later how it ended: tell
    /// [`Switch::stream_failed`] when it broke off.
    ///
    /// # Errors
    /// When it is not worth asking, or the call fails.
    pub(crate) async fn chat_stream(
        &self,
        request: &SwitchChatRequest,
        context: &RequestContext,
        on_behalf: CallHeaders<'_>,
        limit: Limit,
    ) -> Result<Response, SwitchError> {
        let client = on_behalf.on(&self.client);
        let call = pin!(client.post_stream(CHAT, request, context, limit.wait));
        self.guarded(call, limit, request.provider.is_some()).await
    }

    /// A stream of the switch's broke off without a word.
    pub(crate) fn stream_failed(&self) {
        self.note_unreachable();
    }

    /// Makes the call where it is worth it, and remembers how it went. That a `pinned` provider failed says nothing
    /// about the others.
    async fn guarded<T>(
        &self,
        call: Pin<&mut impl Future<Output = Result<T, CallError>>>,
        limit: Limit,
        pinned: bool,
    ) -> Result<T, SwitchError> {
        if !self.gate.is_healthy() {
            return Err(SwitchError::Skipped("switch_unhealthy"));
        }
        let permit = self.breaker.try_acquire().map_err(|_| SwitchError::Skipped("circuit_open"))?;
        match call.await {
            Ok(answer) => {
                permit.success();
                Ok(answer)
            }
            Err(error) => {
                match judge(&error, limit) {
                    Verdict::Well => _ = permit.success(),
                    Verdict::Unwell if pinned => {}
                    Verdict::Unwell => _ = permit.failure(),
                    Verdict::Gone => {
                        permit.failure();
                        self.note_unreachable();
                    }
                    Verdict::Unknown => {}
                }
                Err(SwitchError::Failed(error))
            }
        }
    }

    fn note_unreachable(&self) {
        if self.gate.mark_unhealthy() {
            tracing::warn!(target_service = "switch", "no answer; chats go to madre until its health is checked again");
        }
    }
}
