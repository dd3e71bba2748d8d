//! Whoever comes with a key or a token: looked for before it is known of which organisation it is.

use std::sync::Arc;

use diesel::prelude::*;
use jiff::Timestamp;
use vx11_contracts::identity::{KeyLimits, Principal};
use vx11_contracts::time;
use vx11_identity::{ApiKeyTerms, Claimed};
use vx11_store::{AnyConnection, Scope, StoreError};

use super::super::Control;
use super::super::schema::{api_keys, revoked_tokens};
use super::keys::Row;
use super::{key_limits, orgs, pilots};

/// A key of an organisation that is open.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    /// What the key is worth.
    pub(crate) terms: ApiKeyTerms,
    /// Who acts with it.
    pub(crate) subject: Arc<str>,
    /// When it was last used, to the minute.
    pub(crate) last_used_at: Option<Timestamp>,
    /// What it may ask of the gateway, and spend there.
    pub(crate) limits: Option<KeyLimits>,
}

/// Whether an access token counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It does.
    Good,
    /// It was good until the pilot's role changed, or its sessions were ended: another one may be had for it.
    Overtaken,
    /// It lets nobody in.
    Out,
}

impl Control {
    /// The key of this id, whatever its organisation; none of one that is closed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn bearer(&self, key_id: &str) -> Result<Option<Bearer>, StoreError> {
        let id = key_id.to_owned();
        let read = move |conn: &mut AnyConnection| {
            let row: Option<Row> = api_keys::table.find(id).select(Row::as_select()).first(conn).optional()?;
            let Some(row) = row else { return Ok(None) };
            Ok::<_, StoreError>(if orgs::is_open(conn, &row.org_id)? { bearer(row) } else { None })
        };
        self.database.read(Scope::Platform, read).await
    }

    /// Notes that a key was used.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn note_use(&self, key_id: &str, now: Timestamp) -> Result<(), StoreError> {
        let (id, at) = (key_id.to_owned(), time::render(now));
        let write = move |conn: &mut AnyConnection| {
            let earlier = api_keys::last_used_at.is_null().or(api_keys::last_used_at.lt(at.clone()));
            let key = api_keys::table.find(id).filter(earlier);
            diesel::update(key).set(api_keys::last_used_at.eq(at)).execute(conn)?;
            Ok::<_, StoreError>(())
        };
        self.database.write(Scope::Platform, write).await
    }

    /// Whether the access token `id`, whose signature is right, still counts: it was not revoked, its organisation is
    /// open, and its pilot may still come in, as what the token says. Without an `id` it is asked of the pilot alone, and of
    /// the time that its token was made at.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn stands(
        &self,
        principal: &Principal,
        id: &str,
        issued_at: Timestamp,
    ) -> Result<Standing, StoreError> {
        let (org, id) = (principal.org.as_str().to_owned(), id.to_owned());
        let (subject, role) = (principal.subject.as_ref().to_owned(), principal.role);
        let read = move |conn: &mut AnyConnection| {
            let revoked = revoked_tokens::table.find((&org, id)).select(revoked_tokens::jti);
            if revoked.first::<String>(conn).optional()?.is_some() || !orgs::is_open(conn, &org)? {
                return Ok(Standing::Out);
            }
            let Some(pilot) = pilots::find(conn, &org, &subject)? else {
                // What is no pilot, such as a service that shares the secret, is known by its token alone.
                return Ok(Standing::Good);
            };
            let ended: Option<Timestamp> = pilot.tokens_from.as_deref().and_then(|text| text.parse().ok());
            let is_of_before = ended.is_some_and(|ended| issued_at <= ended);
            Ok::<_, StoreError>(match pilot.disabled_at {
                Some(_) => Standing::Out,
                None if is_of_before || pilot.role != role.as_str() => Standing::Overtaken,
                None => Standing::Good,
            })
        };
        self.database.read(Scope::Platform, read).await
    }

    /// Revokes an access token, and forgets those that have expired meanwhile.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn revoke_token(&self, token: &Claimed, now: Timestamp) -> Result<(), StoreError> {
        let (org, id) = (token.principal.org.as_str().to_owned(), token.id.clone());
        let (until, now) = (time::render(token.expires_at), time::render(now));
        let write = move |conn: &mut AnyConnection| {
            diesel::delete(revoked_tokens::table.filter(revoked_tokens::good_until.lt(now))).execute(conn)?;
            let known = revoked_tokens::table.find((&org, &id)).select(revoked_tokens::jti);
            if known.first::<String>(conn).optional()?.is_none() {
                let row = (
                    revoked_tokens::org_id.eq(&org),
                    revoked_tokens::jti.eq(&id),
                    revoked_tokens::good_until.eq(until),
                );
                diesel::insert_into(revoked_tokens::table).values(row).execute(conn)?;
            }
            Ok::<_, StoreError>(())
        };
        self.database.write(Scope::Platform, write).await
    }
}

fn bearer(row: Row) -> Option<Bearer> {
    let last_used_at = row.last_used_at.as_deref().and_then(|text| text.parse().ok());
    let (terms, limits) = (row.terms()?, key_limits::read(row.limits.as_deref())?);
    Some(Bearer { terms, subject: row.subject.into(), last_used_at, limits })
}
