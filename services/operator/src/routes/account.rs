//! Who may call: organisations, pilots, API keys, the caller itself, whom another service asks about, and the public
//! keys of access tokens.

mod introspection;
mod keys;
mod orgs;
mod pilots;
mod whoami;

use actix_web::web;
use utoipa::OpenApi;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::event::Action;
use vx11_contracts::identity::Principal;
use vx11_contracts::time;

use crate::audit::outcome_of;
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;
use crate::domain::key_terms::Unfit;
use crate::routes::origin::CameFrom;
use crate::state::State;
use crate::store::{Record, action};
use crate::verifier::by;

pub(super) use whoami::{__path_well_known_keys, well_known_keys};

/// Adds the routes, within the scope that is asked for.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(orgs::create)
        .service(orgs::list)
        .service(orgs::close)
        .service(keys::create)
        .service(keys::list)
        .service(keys::revoke)
        .service(pilots::list)
        .service(pilots::change)
        .service(pilots::end_sessions)
        .service(introspection::introspect)
        .service(whoami::whoami)
        .service(whoami::jwks);
}

/// The document of the routes, as they stand within their scope.
#[derive(OpenApi)]
#[openapi(paths(
    orgs::create,
    orgs::list,
    orgs::close,
    keys::create,
    keys::list,
    keys::revoke,
    pilots::list,
    pilots::change,
    pilots::end_sessions,
    introspection::introspect,
    whoami::whoami,
    whoami::jwks
))]
pub(super) struct AccountApi;

/// A change that somebody wants to make.
struct Attempt<'a> {
    state: &'a State,
    context: &'a RequestContext,
    from: &'a CameFrom,
    principal: &'a Principal,
    /// What is to be done, such as `key_create`.
    action: &'static str,
}

impl Attempt<'_> {
    /// Who makes it.
    fn actor(&self) -> Actor {
        self.from.actor(self.principal)
    }

    /// Notes in the trail what came of it, to whatever it was done, and hands it on. What was done is in the audit log
    /// already; what was not is noted there too.
    async fn end<T>(&self, target: Option<String>, done: Result<T, ApiError>) -> Result<T, ApiError> {
        if let Err(error) = &done {
            let entry = Entry::done(&self.actor(), self.action.replacen('_', ".", 1), time::now());
            let (code, kind) = (error.code(), self.action.split('_').next().unwrap_or_default());
            let entry = match &target {
                Some(target) => entry.to(kind, target),
                None => entry,
            };
            self.state.audit.attempted(&self.principal.org, entry.ended(outcome_of(code.status()), code.as_str()));
        }
        let status = done.as_ref().map_or_else(|error| error.code().as_str(), |_| "ok");
        let row = Action {
            target,
            notes: Some(by(self.principal)),
            ..action(&*self.context.correlation_id, self.action, "identity", status)
        };
        if let Err(error) = self.state.store.writer.write(Record::Action(row)).await {
            tracing::warn!(%error, action = self.action, "its row in the trail is late");
        }
        done
    }
}

fn unfit(Unfit { field, detail }: Unfit) -> ApiError {
    ApiError::invalid_field(field, detail)
}
