//! The pilots of one organisation: people, who come in through a provider's login or with a password of their own.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use jiff::Timestamp;
use vx11_contracts::identity::{OrgId, Pilot, PilotChange, Role};
use vx11_contracts::time;
use vx11_store::{AnyConnection, Database, Scope, StoreError};

use super::super::audit;
use super::super::schema::pilots;
use super::orgs;
use super::sessions::{self, Asked, Session};
use crate::domain::audit::{Entry as AuditEntry, Origin};
use crate::domain::intervention::Actor;

/// The pilots of one organisation.
#[derive(Clone, Debug)]
pub(crate) struct Pilots {
    pub(super) database: Database,
    pub(super) org: OrgId,
}

/// Somebody, as a provider has proven who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// The provider's name in the configuration.
    pub(crate) provider: String,
    /// Whose word that is: the issuer, or where the GitHub is.
    pub(crate) issuer: String,
    /// Its id there: what it is known by again.
    pub(crate) oauth_id: String,
    /// What it is to be called here, at its first login.
    pub(crate) pilot_id: String,
    /// For people.
    pub(crate) name: String,
    /// The address that the provider vouches for.
    pub(crate) email: Option<String>,
}

/// Whether somebody who has proven who it is comes in.
#[derive(Debug)]
pub(crate) enum Entry {
    /// It does.
    In(Box<Session>),
    /// An ADMIN has shut it out.
    Disabled,
    /// Somebody else was here by this name before, or by this id at another issuer.
    NameTaken,
    /// The password that was looked at is another one by now.
    OtherPassword,
    /// The organisation isn't there, or is closed.
    NoOrg,
    /// There is no such pilot.
    Unknown,
}

/// Why a pilot is not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// It is the last ADMIN.
    #[error("the organisation would be left without an ADMIN")]
    LastAdmin,
    /// The database does not answer, or refuses a query.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for ChangeError {
    fn from(error: Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Clone, Debug, Insertable, Queryable, Selectable)]
#[diesel(table_name = pilots)]
pub(super) struct Row {
    pub(super) org_id: String,
    pub(super) pilot_id: String,
    name: String,
    email: Option<String>,
    pub(super) role: String,
    created_at: String,
    pub(super) last_login: Option<String>,
    oauth_provider: Option<String>,
    oauth_id: Option<String>,
    oauth_issuer: Option<String>,
    pub(super) disabled_at: Option<String>,
    pub(super) tokens_from: Option<String>,
}

impl Pilots {
    pub(super) fn new(database: Database, org: OrgId) -> Self {
        Self { database, org }
    }

    /// Lets `person` in, and begins a session. Who comes for the first time is made a pilot with `role`; who was here
    /// before keeps its role and its id, whatever it is called at the provider by now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn enter(
        &self,
        person: &Person,
        role: Role,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Entry, StoreError> {
        let attempt = async || {
            let (org, person, origin) = (self.org.as_str().to_owned(), person.clone(), origin.clone());
            self.database.write(self.scope(), move |conn| enter(conn, &org, (person, role), origin, now)).await
        };
        match attempt().await {
            // Both of somebody's first two logins at once: the other one has made it.
            Err(StoreError::Query(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))) => attempt().await,
            entered => entered,
        }
    }

    /// Up to `limit` pilots after the id `after`, in order of their ids.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn list(&self, after: Option<String>, limit: u32) -> Result<Vec<Pilot>, StoreError> {
        let org = self.org.as_str().to_owned();
        let read = move |conn: &mut AnyConnection| {
            let own = pilots::table.filter(pilots::org_id.eq(org)).select(Row::as_select());
            let later = own.filter(pilots::pilot_id.gt(after.unwrap_or_default())).order(pilots::pilot_id);
            let rows: Vec<Row> = later.limit(i64::from(limit)).load(conn)?;
            Ok::<_, StoreError>(rows.into_iter().filter_map(|row| row.shown()).collect())
        };
        self.database.read(self.scope(), read).await
    }

    /// Changes a pilot, the last ADMIN too: for who can make another one without any. Who is shut out loses its sessions,
    /// so that they don't come back with it. `None`: there is none of this id here.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn change(
        &self,
        pilot_id: &str,
        change: PilotChange,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Option<Pilot>, StoreError> {
        let (org, asked) = (self.org.as_str().to_owned(), Changing::new(pilot_id, change, by, now));
        self.database.write(self.scope(), move |conn| Ok::<_, StoreError>(asked.make(conn, &org)?)).await
    }

    /// Changes a pilot, unless it is the last ADMIN and would be none any more: nobody of the organisation could make
    /// another one then, whoever asked for it.
    ///
    /// # Errors
    /// That it is; or when the database does not answer.
    pub(crate) async fn change_unless_last(
        &self,
        pilot_id: &str,
        change: PilotChange,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Option<Pilot>, ChangeError> {
        let steps_down = change.disabled == Some(true) || change.role.is_some_and(|role| role != Role::Admin);
        let (org, asked) = (self.org.as_str().to_owned(), Changing::new(pilot_id, change, by, now));
        let write = move |conn: &mut AnyConnection| {
            if steps_down && is_last_admin(conn, &org, &asked.pilot_id)? {
                return Err(ChangeError::LastAdmin);
            }
            Ok(asked.make(conn, &org)?)
        };
        self.database.write(self.scope(), write).await
    }

    /// Ends all sessions of a pilot. `None`: there is none of this id here.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn end_sessions(
        &self,
        pilot_id: &str,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Option<Pilot>, StoreError> {
        let noted = AuditEntry::done(by, "pilot.end_sessions", time::render(now)).to("pilot", pilot_id);
        let (org, id, asked) = (self.org.as_str().to_owned(), pilot_id.to_owned(), Asked::at(now));
        let write = move |conn: &mut AnyConnection| {
            held(conn, &org, &id)?;
            sessions::end_all(conn, &org, &id, &asked.time())?;
            let ended = find(conn, &org, &id)?;
            if ended.is_some() {
                audit::append(conn, &org, &noted)?;
            }
            Ok::<_, StoreError>(ended.and_then(|row| row.shown()))
        };
        self.database.write(self.scope(), write).await
    }

    pub(super) fn scope(&self) -> Scope {
        Scope::Org(self.org.as_str().into())
    }
}

/// A change of a pilot that somebody asks for.
struct Changing {
    pilot_id: String,
    change: PilotChange,
    noted: AuditEntry,
    asked: Asked,
}

impl Changing {
    fn new(pilot_id: &str, change: PilotChange, by: &Actor, now: Timestamp) -> Self {
        let mut noted = AuditEntry::done(by, "pilot.change", time::render(now)).to("pilot", pilot_id);
        if let Some(role) = change.role {
            noted = noted.with("role_now", role.as_str());
        }
        if let Some(disabled) = change.disabled {
            noted = noted.with("disabled", disabled);
        }
        Self { pilot_id: pilot_id.to_owned(), change, noted, asked: Asked::at(now) }
    }

    fn make(&self, conn: &mut AnyConnection, org: &str) -> QueryResult<Option<Pilot>> {
        let id = &self.pilot_id;
        held(conn, org, id)?;
        let (pilot, at) = (|| pilots::table.find((org, id)), self.asked.time());
        if let Some(role) = self.change.role {
            diesel::update(pilot()).set(pilots::role.eq(role.as_str())).execute(conn)?;
        }
        match self.change.disabled {
            Some(true) => {
                let live = pilot().filter(pilots::disabled_at.is_null());
                diesel::update(live).set(pilots::disabled_at.eq(&at)).execute(conn)?;
                sessions::end_all(conn, org, id, &at)?;
            }
            Some(false) => {
                let none: Option<String> = None;
                diesel::update(pilot()).set(pilots::disabled_at.eq(none)).execute(conn)?;
            }
            None => {}
        }
        let changed = find(conn, org, id)?;
        if changed.is_some() {
            audit::append(conn, org, &self.noted)?;
        }
        Ok(changed.and_then(|row| row.shown()))
    }
}

/// Whether `pilot_id` is the one ADMIN of its organisation that may come in. They are held from now on, in one order: of two
/// who make each other step down at once one stays.
fn is_last_admin(conn: &mut AnyConnection, org: &str, pilot_id: &str) -> QueryResult<bool> {
    let admins = pilots::table
        .filter(pilots::org_id.eq(org))
        .filter(pilots::role.eq(Role::Admin.as_str()))
        .filter(pilots::disabled_at.is_null())
        .order(pilots::pilot_id)
        .select(pilots::pilot_id);
    let admins: Vec<String> = match conn {
        AnyConnection::Postgres(conn) => admins.for_update().load(conn)?,
        AnyConnection::Sqlite(conn) => admins.load(conn)?,
    };
    Ok(matches!(admins.as_slice(), [only] if only == pilot_id))
}

fn enter(
    conn: &mut AnyConnection,
    org: &str,
    (person, role): (Person, Role),
    origin: Origin,
    now: Timestamp,
) -> Result<Entry, StoreError> {
    if !orgs::is_open(conn, org)? {
        return Ok(Entry::NoOrg);
    }
    let at = time::render(now);
    let known = pilots::table
        .filter(pilots::org_id.eq(org))
        .filter(pilots::oauth_provider.eq(&person.provider))
        .filter(pilots::oauth_id.eq(&person.oauth_id));
    let known: Option<Row> = known.select(Row::as_select()).first(conn).optional()?;
    let named = if known.is_none() { find(conn, org, &person.pilot_id)? } else { None };
    // Somebody's other first login may have ended between these two looks; then the name is its own.
    let (known, named) = match named {
        Some(row) if row.is(&person) => (Some(row), None),
        named => (known, named),
    };
    let is_new = known.is_none();
    // As it is once nobody else changes it: it may have been shut out while this waited.
    let known = match known {
        Some(row) => held(conn, org, &row.pilot_id)?,
        None => None,
    };
    let row = match known {
        Some(row) if row.disabled_at.is_some() => return Ok(Entry::Disabled),
        // The provider's name leads to another issuer by now, where the same id is somebody else's.
        Some(row) if row.oauth_issuer.as_ref().is_some_and(|issuer| *issuer != person.issuer) => {
            return Ok(Entry::NameTaken);
        }
        Some(row) => {
            let oauth_issuer = Some(person.issuer);
            let row = Row { name: person.name, email: person.email, last_login: Some(at), oauth_issuer, ..row };
            let said = (
                pilots::name.eq(&row.name),
                pilots::email.eq(&row.email),
                pilots::last_login.eq(&row.last_login),
                pilots::oauth_issuer.eq(&row.oauth_issuer),
            );
            diesel::update(pilots::table.find((org, &row.pilot_id))).set(said).execute(conn)?;
            row
        }
        // Providers give a name to somebody else once it is free; whose it was here, with its history, stays.
        None if named.is_some() => return Ok(Entry::NameTaken),
        None => {
            let row = Row {
                email: person.email,
                last_login: Some(at.clone()),
                oauth_provider: Some(person.provider),
                oauth_id: Some(person.oauth_id),
                oauth_issuer: Some(person.issuer),
                ..Row::new(org, &person.pilot_id, &person.name, role, &at)
            };
            diesel::insert_into(pilots::table).values(&row).execute(conn)?;
            row
        }
    };
    sessions::start(conn, row, is_new, origin, now)
}

pub(super) fn find(conn: &mut AnyConnection, org: &str, pilot_id: &str) -> QueryResult<Option<Row>> {
    pilots::table.find((org, pilot_id)).select(Row::as_select()).first(conn).optional()
}

/// The pilot as it is stored, which nobody else changes until the transaction ends, and whose sessions nobody else begins
/// or ends. Whoever does so holds the pilot before it looks at any session.
pub(super) fn held(conn: &mut AnyConnection, org: &str, pilot_id: &str) -> QueryResult<Option<Row>> {
    let row = pilots::table.find((org, pilot_id));
    match conn {
        AnyConnection::Postgres(conn) => row.select(Row::as_select()).for_update().first(conn).optional(),
        // A transaction that writes has the file to itself.
        AnyConnection::Sqlite(conn) => row.select(Row::as_select()).first(conn).optional(),
    }
}

impl Row {
    pub(super) fn new(org: &str, pilot_id: &str, name: &str, role: Role, at: &str) -> Self {
        Self {
            org_id: org.to_owned(),
            pilot_id: pilot_id.to_owned(),
            name: name.to_owned(),
            email: None,
            role: role.as_str().to_owned(),
            created_at: at.to_owned(),
            last_login: None,
            oauth_provider: None,
            oauth_id: None,
            oauth_issuer: None,
            disabled_at: None,
            tokens_from: None,
        }
    }

    /// Whether it is `person`'s.
    fn is(&self, person: &Person) -> bool {
        self.oauth_provider.as_ref() == Some(&person.provider) && self.oauth_id.as_ref() == Some(&person.oauth_id)
    }

    /// The pilot as those see it who may; `None` for a row that a newer version wrote.
    pub(super) fn shown(self) -> Option<Pilot> {
        Some(Pilot {
            org: self.org_id.parse().ok()?,
            role: self.role.parse().ok()?,
            pilot_id: self.pilot_id,
            name: self.name,
            email: self.email,
            created_at: self.created_at,
            last_login: self.last_login,
            oauth_provider: self.oauth_provider,
            oauth_id: self.oauth_id,
            disabled_at: self.disabled_at,
        })
    }
}
