//! The switch, as operator calls it: gated by its health, guarded by a breaker, bounded by a limit.

use std::pin::{Pin, pin};
use std::sync::Arc;

use vx11_chassis::RequestContext;
use vx11_chassis::client::{CallError, ServiceClient};
use vx11_contracts::ErrorCode;
use vx11_contracts::switch::{SwitchChatRequest, SwitchChatResponse};
use vx11_http_client::Response;
use vx11_resilience::Breaker;

use super::HealthGate;
use super::limit::{Limit, Verdict, verdict};

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

    /// The envelope of an answer that is the caller's to mend, such as an unknown provider: no other engine can help.
    pub(crate) fn callers_fault(&self) -> Option<&vx11_contracts::ErrorBody> {
        match self {
            Self::Failed(CallError::Status { body: Some(body), .. }) => {
                matches!(body.error.code, ErrorCode::UnknownProvider | ErrorCode::ModelNotFound).then_some(&**body)
            }
            _ => None,
        }
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

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// When it is not worth asking, or the call fails.
    pub(crate) async fn chat(
        &self,
        request: &SwitchChatRequest,
        context: &RequestContext,
        limit: Limit,
    ) -> Result<SwitchChatResponse, SwitchError> {
        let call = pin!(async {
            let answer: SwitchChatResponse = self.client.post("/switch/chat", request, context, limit.wait).await?;
            match answer.status.as_str() {
                "ok" => Ok(answer),
                other => Err(CallError::Schema(format!("status is `{other}`"))),
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
        limit: Limit,
    ) -> Result<Response, SwitchError> {
        let call = pin!(self.client.post_stream("/switch/chat", request, context, limit.wait));
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
                match verdict(&error, limit) {
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
