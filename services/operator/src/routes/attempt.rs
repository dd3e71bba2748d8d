//! What callers want to do that the audit log tells of, whatever comes of it.

use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_contracts::event::Action;
use vx11_contracts::identity::Principal;
use vx11_contracts::time;

use super::origin::CameFrom;
use crate::audit::outcome_of;
use crate::desk::tried;
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;
use crate::state::State;
use crate::store::Record;

/// Something that a caller wants to do.
pub(super) struct Attempt<'a> {
    pub(super) state: &'a State,
    pub(super) from: &'a CameFrom,
    pub(super) principal: &'a Principal,
    /// On what sort of thing, and what, such as `key.create`.
    pub(super) action: &'static str,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(state: &'a State, caller: &'a Caller, from: &'a CameFrom, action: &'static str) -> Self {
        Self { state, from, principal: &caller.0, action }
    }

    /// Who wants it.
    pub(super) fn actor(&self) -> Actor {
        self.from.actor(self.principal)
    }

    /// Notes what came of it, to what has the id `target`, and hands it on. What was done is in the audit log already;
    /// what was not is noted there too. The trail has both.
    pub(super) async fn end<T>(&self, target: Option<&str>, done: Result<T, ApiError>) -> Result<T, ApiError> {
        let name = self.action.replacen('.', "_", 1);
        let sort = self.action.split('.').next().unwrap_or_default();
        let status = done.as_ref().map_or_else(|error| error.code().as_str(), |_| "ok");
        let row = tried(self.principal, &self.from.0, (sort, &name, target), status);
        let Err(error) = &done else {
            self.leave(row).await;
            return done;
        };
        let code = error.code();
        self.state.desk.refused(self.principal, row);
        let entry = Entry::done(&self.actor(), self.action, time::now());
        let entry = match target {
            Some(target) => entry.to(sort, target),
            None => entry,
        };
        self.state.audit.attempted(&self.principal.org, entry.ended(outcome_of(code.status()), code.as_str()));
        done
    }

    async fn leave(&self, row: Action) {
        if let Err(error) = self.state.store.writer.write(Record::Action(row)).await {
            tracing::warn!(%error, action = self.action, "its row in the trail is late");
        }
    }
}
