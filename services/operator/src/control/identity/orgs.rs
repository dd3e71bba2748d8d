//! Organisations: made, listed and closed by the platform.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use jiff::Timestamp;
use vx11_contracts::identity::{Org, OrgId};
use vx11_contracts::time;
use vx11_store::{AnyConnection, Scope, StoreError};

use super::super::schema::orgs;
use super::super::{Control, audit};
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;

type Row = (String, String, String, Option<String>);

impl Control {
    /// Makes an organisation. `None`: there is one of this id, be it closed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn make_org(
        &self,
        id: &OrgId,
        name: &str,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Option<Org>, StoreError> {
        let noted = Entry::done(by, "org.create", time::render(now)).to("org", id.as_str());
        let created_at = time::render(now);
        let org = Org { id: id.clone(), name: name.to_owned(), created_at, closed_at: None };
        let write = move |conn: &mut AnyConnection| {
            if exists(conn, &org.id)? {
                return Ok(None);
            }
            let row =
                (orgs::org_id.eq(org.id.as_str()), orgs::name.eq(&org.name), orgs::created_at.eq(&org.created_at));
            diesel::insert_into(orgs::table).values(row).execute(conn)?;
            audit::append(conn, OrgId::PLATFORM, &noted)?;
            Ok::<_, StoreError>(Some(org))
        };
        match self.database.write(Scope::Platform, write).await {
            // Somebody made it in between.
            Err(StoreError::Query(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))) => Ok(None),
            made => made,
        }
    }

    /// Up to `limit` organisations after the id `after`, in order of their ids.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn list_orgs(&self, after: Option<String>, limit: u32) -> Result<Vec<Org>, StoreError> {
        let read = move |conn: &mut AnyConnection| {
            let later = orgs::table.filter(orgs::org_id.gt(after.unwrap_or_default()));
            let rows: Vec<Row> = later.order(orgs::org_id).limit(i64::from(limit)).load(conn)?;
            Ok::<_, StoreError>(rows.into_iter().filter_map(org).collect())
        };
        self.database.read(Scope::Platform, read).await
    }

    /// Whether there is an organisation of this id, be it closed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn has_org(&self, id: &OrgId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.database.read(Scope::Platform, move |conn| Ok::<_, StoreError>(exists(conn, &id)?)).await
    }

    /// Closes an organisation: its keys and tokens let nobody in any more. `None`: there is none of this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn close_org(&self, id: &OrgId, by: &Actor, now: Timestamp) -> Result<Option<Org>, StoreError> {
        let noted = Entry::done(by, "org.close", time::render(now)).to("org", id.as_str());
        let (id, at) = (id.as_str().to_owned(), time::render(now));
        let write = move |conn: &mut AnyConnection| {
            let open = orgs::table.find(&id).filter(orgs::closed_at.is_null());
            let is_closed_now = diesel::update(open).set(orgs::closed_at.eq(at)).execute(conn)? == 1;
            let row: Option<Row> = orgs::table.find(&id).first(conn).optional()?;
            if is_closed_now {
                audit::append(conn, OrgId::PLATFORM, &noted)?;
            }
            Ok::<_, StoreError>(row.and_then(org))
        };
        self.database.write(Scope::Platform, write).await
    }
}

fn exists(conn: &mut AnyConnection, id: &OrgId) -> QueryResult<bool> {
    let found: Option<String> = orgs::table.find(id.as_str()).select(orgs::org_id).first(conn).optional()?;
    Ok(found.is_some())
}

/// Whether there is an organisation of this id that isn't closed.
pub(super) fn is_open(conn: &mut AnyConnection, id: &str) -> QueryResult<bool> {
    let open = orgs::table.find(id).filter(orgs::closed_at.is_null()).select(orgs::org_id);
    Ok(open.first::<String>(conn).optional()?.is_some())
}

fn org((id, name, created_at, closed_at): Row) -> Option<Org> {
    Some(Org { id: id.parse().ok()?, name, created_at, closed_at })
}
