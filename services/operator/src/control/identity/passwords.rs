//! Passwords of pilots who have one here, as hashes.

use diesel::prelude::*;
use jiff::Timestamp;
use vx11_contracts::identity::{Pilot, Role};
use vx11_contracts::time;
use vx11_store::{AnyConnection, StoreError};

use super::super::audit;
use super::super::schema::{pilot_passwords, pilots};
use super::pilots::{Entry, Pilots, Row, find, held};
use super::sessions::Asked;
use super::{PASSWORD_PROVIDER, orgs, sessions};
use crate::domain::audit::{Entry as AuditEntry, Origin};
use crate::domain::intervention::Actor;

impl Pilots {
    /// Makes a pilot who comes with a password, of which `hash` was made; or gives one who does another password.
    /// `None`: there is no such organisation, or it is closed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn set_password(
        &self,
        login: &str,
        role: Role,
        hash: String,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Option<Pilot>, StoreError> {
        let (org, asked) = (self.org.as_str().to_owned(), Asked::at(now));
        let (id, name) = (local_id(login), login.to_owned());
        let entry = AuditEntry::done(by, "pilot.set_password", time::render(now)).to("pilot", &id);
        let entry = entry.with("role_now", role.as_str());
        let write = move |conn: &mut AnyConnection| {
            if !orgs::is_open(conn, &org)? {
                return Ok(None);
            }
            let (is_known, at) = (held(conn, &org, &id)?.is_some(), asked.time());
            if is_known {
                // Whoever knew the password of before is out with it.
                sessions::end_all(conn, &org, &id, &at)?;
                diesel::update(pilots::table.find((&org, &id))).set(pilots::role.eq(role.as_str())).execute(conn)?;
            } else {
                diesel::insert_into(pilots::table).values(Row::new(&org, &id, &name, role, &at)).execute(conn)?;
            }
            diesel::delete(pilot_passwords::table.find((&org, &id))).execute(conn)?;
            let row = (
                pilot_passwords::org_id.eq(&org),
                pilot_passwords::pilot_id.eq(&id),
                pilot_passwords::hash.eq(&hash),
                pilot_passwords::set_at.eq(&at),
            );
            diesel::insert_into(pilot_passwords::table).values(row).execute(conn)?;
            audit::append(conn, &org, &entry)?;
            Ok::<_, StoreError>(find(conn, &org, &id)?.and_then(|row| row.shown()))
        };
        self.database.write(self.scope(), write).await
    }

    /// Begins a session of `login`, whose password was found to be the one of `verified`, a hash that was read before:
    /// no password that was replaced meanwhile lets anybody in.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn open(
        &self,
        login: &str,
        verified: String,
        origin: Origin,
        now: Timestamp,
    ) -> Result<Entry, StoreError> {
        let (org, id) = (self.org.as_str().to_owned(), local_id(login));
        let write = move |conn: &mut AnyConnection| {
            if !orgs::is_open(conn, &org)? {
                return Ok(Entry::NoOrg);
            }
            let Some(mut row) = held(conn, &org, &id)? else { return Ok(Entry::Unknown) };
            let hash = pilot_passwords::table.find((&org, &id)).select(pilot_passwords::hash);
            if hash.first::<String>(conn).optional()? != Some(verified) {
                return Ok(Entry::OtherPassword);
            }
            if row.disabled_at.is_some() {
                return Ok(Entry::Disabled);
            }
            row.last_login = Some(time::render(now));
            let pilot = pilots::table.find((&org, &id));
            diesel::update(pilot).set(pilots::last_login.eq(&row.last_login)).execute(conn)?;
            sessions::start(conn, row, false, origin, now)
        };
        self.database.write(self.scope(), write).await
    }

    /// The hash of the password of `login`; `None` for who has none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn password(&self, login: &str) -> Result<Option<String>, StoreError> {
        let key = (self.org.as_str().to_owned(), local_id(login));
        let read = move |conn: &mut AnyConnection| {
            let hash = pilot_passwords::table.find(key).select(pilot_passwords::hash);
            Ok::<_, StoreError>(hash.first(conn).optional()?)
        };
        self.database.read(self.scope(), read).await
    }
}

/// The id of a pilot who comes with a password.
pub(crate) fn local_id(login: &str) -> String {
    format!("{PASSWORD_PROVIDER}:{login}")
}
