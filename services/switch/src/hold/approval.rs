//! A person's approval on its way to the first provider. It is taken when that is about to be sent the request, and not
//! before: of what is refused for want of a provider, a limit or time the approval is left, and its caller comes again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;
use vx11_chassis::client::CallError;
use vx11_contracts::intervention::Role;

use super::metrics::Ended;
use super::ticket::Ticket;

/// Longest wait for the operator. Meanwhile the provider keeps a place for the request, which others may wait for.
const LIMIT: Duration = Duration::from_secs(1);

/// An approval.
#[derive(Debug)]
pub(crate) struct Approval {
    ticket: Ticket,
    is_edited: bool,
    taken: OnceCell<Result<(), Untaken>>,
}

/// Why it could not be taken.
#[derive(Debug)]
pub(crate) enum Untaken {
    /// Another request has it.
    Used,
    /// The operator does not say whether it was taken.
    Away(CallError),
}

impl Approval {
    /// The one that `ticket` has got.
    pub(crate) fn new(ticket: Ticket, is_edited: bool) -> Self {
        Self { ticket, is_edited, taken: OnceCell::new() }
    }

    /// The intervention's id.
    pub(crate) fn id(&self) -> Arc<str> {
        self.ticket.id().into()
    }

    /// The role that its decision needed.
    pub(crate) fn role(&self) -> Role {
        self.ticket.role()
    }

    /// Takes it within this time, if that was not done before; whether this request has it.
    pub(crate) async fn take(&self, within: Duration) -> bool {
        let taken = self.taken.get_or_init(async || match timeout(within.min(LIMIT), self.ticket.redeem()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Untaken::Used),
            Ok(Err(error)) => Err(Untaken::Away(error)),
            Err(_) => Err(Untaken::Away(CallError::Timeout)),
        });
        taken.await.is_ok()
    }

    /// Why it could not be taken, if that was tried.
    pub(crate) fn untaken(&self) -> Option<&Untaken> {
        self.taken.get().and_then(|taken| taken.as_ref().err())
    }
}

impl Drop for Approval {
    fn drop(&mut self) {
        self.ticket.ended(match self.taken.get() {
            Some(Ok(())) if self.is_edited => Ended::Edited,
            Some(Ok(())) => Ended::Approved,
            Some(Err(Untaken::Used)) => Ended::Mismatched,
            Some(Err(Untaken::Away(_))) => Ended::Unavailable,
            // It was approved, and refused all the same: its model, a limit, a budget, no provider.
            None => Ended::Refused,
        });
    }
}
