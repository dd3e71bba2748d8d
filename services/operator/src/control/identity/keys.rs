//! The API keys of one organisation.

use diesel::prelude::*;
use jiff::Timestamp;
use vx11_contracts::identity::{ApiKey, OrgId, Scopes};
use vx11_contracts::time;
use vx11_identity::{ApiKeyTerms, NewApiKey};
use vx11_store::{AnyConnection, Database, Scope, StoreError};

use super::super::audit;
use super::super::schema::api_keys;
use super::{key_limits, orgs};
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;
use crate::domain::key_terms::KeyTerms;

/// The API keys of one organisation.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    database: Database,
    org: OrgId,
}

#[derive(Debug, Insertable, Queryable, Selectable)]
#[diesel(table_name = api_keys)]
pub(super) struct Row {
    id: String,
    pub(super) org_id: String,
    name: String,
    pub(super) subject: String,
    role: String,
    pub(super) scopes: String,
    hash: String,
    created_at: String,
    created_by: String,
    expires_at: Option<String>,
    pub(super) last_used_at: Option<String>,
    pub(super) revoked_at: Option<String>,
    pub(super) limits: Option<String>,
}

impl Keys {
    pub(super) fn new(database: Database, org: OrgId) -> Self {
        Self { database, org }
    }

    /// Keeps `key`, whose plain text only its holder has. `None`: there is no such organisation, or it is closed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn make(
        &self,
        key: &NewApiKey,
        terms: KeyTerms,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Option<ApiKey>, StoreError> {
        let noted = Entry::done(by, "key.create", time::render(now)).to("key", &key.id);
        let noted =
            noted.with("of_role", terms.role.as_str()).with("scopes", terms.scopes.to_string()).within(&self.org);
        let noted = match &terms.limits {
            Some(limits) => noted.with("limits", key_limits::noted_limits(Some(limits))),
            None => noted,
        };
        let row = Row {
            id: key.id.clone(),
            org_id: self.org.as_str().to_owned(),
            name: terms.name,
            subject: format!("key:{}", key.id),
            role: terms.role.as_str().to_owned(),
            scopes: terms.scopes.to_string(),
            hash: key.hash.to_string(),
            created_at: time::render(now),
            created_by: terms.created_by,
            expires_at: terms.expires_at.map(time::render),
            last_used_at: None,
            revoked_at: None,
            limits: key_limits::written(terms.limits.as_ref()).map_err(StoreError::from)?,
        };
        let write = move |conn: &mut AnyConnection| {
            if !orgs::is_open(conn, &row.org_id)? {
                return Ok(None);
            }
            diesel::insert_into(api_keys::table).values(&row).execute(conn)?;
            audit::append(conn, &row.org_id, &noted)?;
            Ok::<_, StoreError>(shown(row))
        };
        self.database.write(self.scope(), write).await
    }

    /// Up to `limit` keys, the newest first; those that were made before `before`, which is a key's time and id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn list(&self, before: Option<(String, String)>, limit: u32) -> Result<Vec<ApiKey>, StoreError> {
        let org = self.org.as_str().to_owned();
        let read = move |conn: &mut AnyConnection| {
            let mut keys = api_keys::table.filter(api_keys::org_id.eq(org)).select(Row::as_select()).into_boxed();
            if let Some((time, id)) = before {
                let same = api_keys::created_at.eq(time.clone()).and(api_keys::id.lt(id));
                keys = keys.filter(api_keys::created_at.lt(time).or(same));
            }
            let newest = (api_keys::created_at.desc(), api_keys::id.desc());
            let rows: Vec<Row> = keys.order(newest).limit(i64::from(limit)).load(conn)?;
            Ok::<_, StoreError>(rows.into_iter().filter_map(shown).collect())
        };
        self.database.read(self.scope(), read).await
    }

    /// Ends a key; one that has ended stays as it is. `None`: there is none of this id here.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn revoke(&self, id: &str, by: &Actor, now: Timestamp) -> Result<Option<ApiKey>, StoreError> {
        let noted = Entry::done(by, "key.revoke", time::render(now)).to("key", id);
        let (org, id, at) = (self.org.as_str().to_owned(), id.to_owned(), time::render(now));
        let write = move |conn: &mut AnyConnection| {
            let own = api_keys::table.find(id).filter(api_keys::org_id.eq(org.clone()));
            let live = own.clone().filter(api_keys::revoked_at.is_null());
            let is_revoked_now = diesel::update(live).set(api_keys::revoked_at.eq(at)).execute(conn)? == 1;
            let row: Option<Row> = own.select(Row::as_select()).first(conn).optional()?;
            if is_revoked_now {
                audit::append(conn, &org, &noted)?;
            }
            Ok::<_, StoreError>(row.and_then(shown))
        };
        self.database.write(self.scope(), write).await
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn org(&self) -> &str {
        self.org.as_str()
    }

    pub(super) fn scope(&self) -> Scope {
        Scope::Org(self.org.as_str().into())
    }
}

impl Row {
    /// What the key is worth; `None` for a row that a newer version wrote.
    pub(super) fn terms(&self) -> Option<ApiKeyTerms> {
        let time = |text: &Option<String>| text.as_deref().map(str::parse).transpose().ok();
        Some(ApiKeyTerms {
            id: self.id.clone(),
            hash: self.hash.parse().ok()?,
            org: self.org_id.parse().ok()?,
            role: self.role.parse().ok()?,
            scopes: Scopes::parse(&self.scopes),
            expires_at: time(&self.expires_at)?,
            revoked_at: time(&self.revoked_at)?,
        })
    }
}

/// A key as its administrators see it: without its hash.
pub(super) fn shown(row: Row) -> Option<ApiKey> {
    Some(ApiKey {
        limits: key_limits::read(row.limits.as_deref())?,
        org: row.org_id.parse().ok()?,
        role: row.role.parse().ok()?,
        scopes: Scopes::parse(&row.scopes).iter().collect(),
        id: row.id,
        name: row.name,
        subject: row.subject,
        created_at: row.created_at,
        created_by: row.created_by,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
    })
}
