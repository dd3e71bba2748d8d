//! Whose rows a page shows: those of the caller's organisation; or of another one, where an ADMIN of the platform asks for
//! it by name. That stands in the audit logs of both before anything is shown.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_contracts::ErrorCode;
use vx11_contracts::audit::AuditOutcome;
use vx11_contracts::identity::{BadOrgId, OrgId, Permission};
use vx11_contracts::time;

use super::origin::{CameFrom, origin_of};
use super::store_error;
use crate::domain::audit::Entry;
use crate::state::State;

/// All organisations together, where a report can be of them.
pub(super) const ALL: &str = "*";

/// Who reads, and from where.
#[derive(Debug)]
pub(crate) struct Reader {
    caller: Caller,
    from: CameFrom,
}

impl Reader {
    /// The organisation whose `what` are shown, where the query asks for that of `asked`.
    ///
    /// # Errors
    /// `forbidden` for the rows of others, unless the caller may see reports across organisations; `not_found` where
    /// there is none of that name; `store_unavailable` where it cannot be noted.
    pub(super) async fn whose(
        &self,
        state: &State,
        asked: Option<&str>,
        what: &'static str,
    ) -> Result<OrgId, ApiError> {
        let own = &self.caller.0.org;
        let Some(asked) = asked.filter(|asked| *asked != own.as_str()) else { return Ok(own.clone()) };
        let entry = self.permit(state, asked, what)?;
        let org: OrgId = asked.parse().map_err(|error: BadOrgId| ApiError::invalid_field("org", error.to_string()))?;
        if !state.control.has_org(&org).await.map_err(store_error)? {
            return Err(ApiError::not_found("organisation"));
        }
        for log in [own, &org] {
            let noted = state.control.audit_log(log).append(vec![entry.clone().within(log)]).await;
            noted.map_err(store_error)?;
        }
        Ok(org)
    }

    /// Lets the caller see `what` of all organisations.
    ///
    /// # Errors
    /// As [`Reader::whose`].
    pub(super) async fn see_all(&self, state: &State, what: &'static str) -> Result<(), ApiError> {
        let entry = self.permit(state, ALL, what)?;
        state.control.audit_log(&self.caller.0.org).append(vec![entry]).await.map_err(store_error)
    }

    /// What is to be noted, if the caller may.
    fn permit(&self, state: &State, asked: &str, what: &'static str) -> Result<Entry, ApiError> {
        let entry = Entry::done(&self.from.actor(&self.caller.0), "report.read", time::now());
        let entry = entry.to("org", asked).with("report", what);
        match self.caller.require(Permission::ReadPlatform) {
            Ok(_) => Ok(entry),
            Err(error) => {
                let refused = entry.ended(AuditOutcome::Refused, ErrorCode::Forbidden.as_str());
                state.audit.attempted(&self.caller.0.org, refused);
                Err(error)
            }
        }
    }
}

impl FromRequest for Reader {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload).into_inner();
        ready(caller.map(|caller| Self { caller, from: CameFrom(origin_of(request)) }))
    }
}
