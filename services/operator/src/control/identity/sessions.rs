//! Sessions: a login, and the refresh tokens that follow each other in it.

use std::time::Instant;

use diesel::prelude::*;
use jiff::{SignedDuration, Timestamp};
use vx11_contracts::audit::AuditOutcome;
use vx11_contracts::identity::{OrgId, Pilot};
use vx11_contracts::time;
use vx11_identity::refresh_token::{FAMILY_LIFETIME, present};
use vx11_identity::{NewRefreshToken, RefreshRow, RefreshVerdict, Sha256};
use vx11_store::{AnyConnection, Scope, StoreError};

use super::super::schema::{pilots, refresh_families, refresh_tokens};
use super::super::{Control, audit};
use super::orgs;
use super::pilots::{Entry, Row, find, held};
use crate::domain::audit::{Entry as AuditEntry, Origin};
use crate::domain::intervention::Actor;

/// How long a token is remembered after its time: whoever comes with it learns that the session is over.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What a login and its end are called in the audit log.
const LOGIN: &str = "pilot.login";
const LOGOUT: &str = "pilot.logout";

/// A session that has just begun, or goes on.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whose it is.
    pub(crate) pilot: Pilot,
    /// Whether this is the pilot's first login.
    pub(crate) is_new: bool,
    /// The refresh token to be given out; `None` where another tab has it already.
    pub(crate) refresh: Option<NewRefreshToken>,
    /// The earliest time that an access token may say it was made at: none of before counts.
    pub(crate) grants_from: Timestamp,
}

/// What came of a refresh token that was presented.
#[derive(Debug)]
pub(crate) enum Refreshed {
    /// The session goes on.
    On(Box<Session>),
    /// It does not, and why; whose it was, where that is known.
    Over(RefreshVerdict, Option<Owner>),
}

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The organisation.
    pub(crate) org: OrgId,
    /// The pilot.
    pub(crate) pilot_id: String,
}

impl Control {
    /// Follows a refresh token by the next one, whatever its organisation. Of two who come with one token, one gets the
    /// next; who comes long after ends the session, and with it every access token of the pilot.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn refresh(&self, token: Sha256, origin: Origin, now: Timestamp) -> Result<Refreshed, StoreError> {
        // Strangers may come with as many tokens as they like; what is known to be nothing costs no write.
        let look = move |conn: &mut AnyConnection| {
            let found = Found::of(conn, token)?;
            let verdict = present(found.as_ref().map(|found| &found.row), now);
            Ok::<_, StoreError>((verdict, found.and_then(|found| found.owner())))
        };
        match self.database.read(Scope::Platform, look).await? {
            (RefreshVerdict::Rotate | RefreshVerdict::AccessOnly | RefreshVerdict::ReuseRevokesFamily, _) => {
                let asked = Asked::at(now);
                self.database.write(Scope::Platform, move |conn| refresh(conn, token, origin, (now, asked))).await
            }
            (verdict, owner) => Ok(Refreshed::Over(verdict, owner)),
        }
    }

    /// Ends the session of a refresh token; whose it was, if there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn log_out(
        &self,
        token: Sha256,
        origin: Origin,
        now: Timestamp,
    ) -> Result<Option<Owner>, StoreError> {
        let look = move |conn: &mut AnyConnection| Ok::<_, StoreError>(Found::of(conn, token)?);
        let found = self.database.read(Scope::Platform, look).await?;
        let Some(found) = found.filter(|found| !found.row.family_revoked) else { return Ok(None) };
        let write = move |conn: &mut AnyConnection| {
            let at = time::render(now);
            found.revoke(conn, &at)?;
            audit::append(conn, &found.org, &found.entry(LOGOUT, origin, at))?;
            Ok::<_, StoreError>(found.owner())
        };
        self.database.write(Scope::Platform, write).await
    }
}

/// Begins a session of the pilot of `row`, and forgets those that are long over.
pub(super) fn start(
    conn: &mut AnyConnection,
    row: Row,
    is_new: bool,
    origin: Origin,
    now: Timestamp,
) -> Result<Entry, StoreError> {
    let before = |age| time::render(now.saturating_sub(age).unwrap_or(now));
    let expired = refresh_tokens::expires_at.lt(before(REMEMBERED_FOR));
    diesel::delete(refresh_tokens::table.filter(expired)).execute(conn)?;
    let over = refresh_families::started_at.lt(before(FAMILY_LIFETIME.saturating_add(REMEMBERED_FOR)));
    diesel::delete(refresh_families::table.filter(over)).execute(conn)?;

    let family = uuid::Uuid::now_v7().to_string();
    let values = (
        refresh_families::org_id.eq(&row.org_id),
        refresh_families::family_id.eq(&family),
        refresh_families::pilot_id.eq(&row.pilot_id),
        refresh_families::started_at.eq(time::render(now)),
    );
    diesel::insert_into(refresh_families::table).values(values).execute(conn)?;
    let token = NewRefreshToken::make(now, now);
    insert(conn, &row.org_id, &family, &token)?;
    let org = row.org_id.clone();
    // None: a role that a newer version knows.
    let Some(session) = session(row, is_new, Some(token), now) else { return Ok(Entry::Unknown) };
    let Pilot { pilot_id, role, .. } = &session.pilot;
    let entry = AuditEntry::done(&Actor::new(pilot_id, *role).from(origin), LOGIN, time::render(now));
    audit::append(conn, &org, &entry.to("pilot", pilot_id).with("first", is_new))?;
    Ok(Entry::In(Box::new(session)))
}

/// When something was asked for, told on while it waits for others: what it ends may have begun meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    at: Timestamp,
    since: Instant,
}

impl Asked {
    pub(super) fn at(now: Timestamp) -> Self {
        Self { at: now, since: Instant::now() }
    }

    /// The time by now, as it is stored.
    pub(super) fn time(&self) -> String {
        time::render(self.at.saturating_add(self.since.elapsed()).unwrap_or(self.at))
    }
}

/// Ends every session of a pilot, who is held, and the access tokens that were made until now.
pub(super) fn end_all(conn: &mut AnyConnection, org: &str, pilot_id: &str, at: &str) -> QueryResult<()> {
    let live = refresh_families::table
        .filter(refresh_families::org_id.eq(org))
        .filter(refresh_families::pilot_id.eq(pilot_id))
        .filter(refresh_families::revoked_at.is_null());
    diesel::update(live).set(refresh_families::revoked_at.eq(at)).execute(conn)?;
    end_tokens(conn, org, pilot_id, at)
}

/// Ends the access tokens of a pilot that were made until now.
fn end_tokens(conn: &mut AnyConnection, org: &str, pilot_id: &str, at: &str) -> QueryResult<()> {
    diesel::update(pilots::table.find((org, pilot_id))).set(pilots::tokens_from.eq(at)).execute(conn).map(drop)
}

fn refresh(
    conn: &mut AnyConnection,
    token: Sha256,
    origin: Origin,
    (now, asked): (Timestamp, Asked),
) -> Result<Refreshed, StoreError> {
    if let Some(found) = Found::of(conn, token)? {
        held(conn, &found.org, &found.pilot_id)?;
    }
    let at = asked.time();
    loop {
        let found = Found::of(conn, token)?;
        let verdict = present(found.as_ref().map(|found| &found.row), now);
        let Some(found) = found else { return Ok(Refreshed::Over(verdict, None)) };
        let over = |verdict| Ok(Refreshed::Over(verdict, found.owner()));
        let next = match verdict {
            RefreshVerdict::Rotate => Some(NewRefreshToken::make(found.started_at, now)),
            RefreshVerdict::AccessOnly => None,
            RefreshVerdict::ReuseRevokesFamily => {
                found.revoke(conn, &at)?;
                end_tokens(conn, &found.org, &found.pilot_id, &at)?;
                let entry = found.entry("pilot.refresh", origin, at).ended(AuditOutcome::Refused, "reuse");
                audit::append(conn, &found.org, &entry)?;
                return over(verdict);
            }
            verdict => return over(verdict),
        };
        let pilot = find(conn, &found.org, &found.pilot_id)?.filter(|row| row.disabled_at.is_none());
        let Some(pilot) = pilot else { return over(RefreshVerdict::Revoked) };
        if !orgs::is_open(conn, &found.org)? {
            return over(RefreshVerdict::Revoked);
        }
        if let Some(next) = &next {
            let unused = refresh_tokens::table.find(token.to_string()).filter(refresh_tokens::replaced_at.is_null());
            if diesel::update(unused).set(refresh_tokens::replaced_at.eq(&at)).execute(conn)? == 0 {
                // Somebody was faster: it is replaced now, and looked at as such.
                continue;
            }
            insert(conn, &found.org, &found.family, next)?;
        }
        return match session(pilot, false, next, now) {
            Some(session) => Ok(Refreshed::On(Box::new(session))),
            None => over(RefreshVerdict::Revoked),
        };
    }
}

fn insert(conn: &mut AnyConnection, org: &str, family: &str, token: &NewRefreshToken) -> QueryResult<()> {
    let values = (
        refresh_tokens::hash.eq(token.hash.to_string()),
        refresh_tokens::org_id.eq(org),
        refresh_tokens::family_id.eq(family),
        refresh_tokens::expires_at.eq(time::render(token.expires_at)),
    );
    diesel::insert_into(refresh_tokens::table).values(values).execute(conn).map(drop)
}

fn session(row: Row, is_new: bool, refresh: Option<NewRefreshToken>, now: Timestamp) -> Option<Session> {
    let ended: Option<Timestamp> = row.tokens_from.as_deref().and_then(|text| text.parse().ok());
    // Tokens say the second that they were made in; one of the same second would count as one of before.
    let grants_from = match ended {
        Some(ended) if ended.as_second() >= now.as_second() => Timestamp::from_second(ended.as_second() + 1).ok()?,
        _ => now,
    };
    Some(Session { pilot: row.shown()?, is_new, refresh, grants_from })
}

/// A token that the database knows, with its session.
struct Found {
    org: String,
    family: String,
    pilot_id: String,
    started_at: Timestamp,
    row: RefreshRow,
}

impl Found {
    fn of(conn: &mut AnyConnection, token: Sha256) -> QueryResult<Option<Self>> {
        let stored = refresh_tokens::table.find(token.to_string()).select((
            refresh_tokens::org_id,
            refresh_tokens::family_id,
            refresh_tokens::expires_at,
            refresh_tokens::replaced_at,
        ));
        let stored: Option<(String, String, String, Option<String>)> = stored.first(conn).optional()?;
        let Some((org, family, expires_at, replaced_at)) = stored else { return Ok(None) };
        let of_family = refresh_families::table.find((&org, &family)).select((
            refresh_families::pilot_id,
            refresh_families::started_at,
            refresh_families::revoked_at,
        ));
        let of_family: Option<(String, String, Option<String>)> = of_family.first(conn).optional()?;
        let Some((pilot_id, started_at, revoked_at)) = of_family else { return Ok(None) };
        let read = || {
            let replaced_at = replaced_at.as_deref().map(str::parse).transpose().ok()?;
            let family_revoked = revoked_at.is_some();
            Some((
                started_at.parse().ok()?,
                RefreshRow { expires_at: expires_at.parse().ok()?, replaced_at, family_revoked },
            ))
        };
        Ok(read().map(|(started_at, row)| Self { org, family, pilot_id, started_at, row }))
    }

    fn revoke(&self, conn: &mut AnyConnection, at: &str) -> QueryResult<()> {
        let live =
            refresh_families::table.find((&self.org, &self.family)).filter(refresh_families::revoked_at.is_null());
        diesel::update(live).set(refresh_families::revoked_at.eq(at)).execute(conn).map(drop)
    }

    /// What somebody did who holds the token.
    fn entry(&self, action: &str, origin: Origin, at: String) -> AuditEntry {
        AuditEntry::unproven(&self.pilot_id, origin, action, at).to("pilot", &self.pilot_id)
    }

    fn owner(&self) -> Option<Owner> {
        Some(Owner { org: self.org.parse().ok()?, pilot_id: self.pilot_id.clone() })
    }
}
