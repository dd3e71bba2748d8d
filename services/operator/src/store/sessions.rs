//! Conversations.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use vx11_contracts::operator::SessionSummary;
use vx11_store::{OF_TENANTS, StoreError};

use super::OrgStore;
use super::schema::sessions;

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct SessionRow {
    session_id: String,
    created_at: String,
    last_activity_at: String,
    turns: i64,
}

impl OrgStore {
    /// Up to `limit` sessions that were last active before `before` (a time, and the session that had it), newest
    /// first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn list_sessions(
        &self,
        before: Option<(String, String)>,
        limit: u32,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        use sessions::dsl;
        let rows: Vec<SessionRow> = self
            .read(move |conn, org| {
                let own = sessions::table.filter(dsl::org_id.eq(org.as_str()));
                let mut query = own.select(SessionRow::as_select()).into_boxed();
                if !org.is_platform() {
                    query = query.filter(sql::<Bool>(OF_TENANTS));
                }
                if let Some((time, id)) = before {
                    let older = dsl::last_activity_at.lt(time.clone());
                    query = query.filter(older.or(dsl::last_activity_at.eq(time).and(dsl::session_id.lt(id))));
                }
                query.order((dsl::last_activity_at.desc(), dsl::session_id.desc())).limit(limit.into()).load(conn)
            })
            .await?;
        Ok(rows.into_iter().map(SessionSummary::from).collect())
    }

    /// One session.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn find_session(&self, session_id: &str) -> Result<Option<SessionSummary>, StoreError> {
        let id = session_id.to_owned();
        let row: Option<SessionRow> = self
            .read(move |conn, org| {
                let found = sessions::table.find((id, org.as_str()));
                found.select(SessionRow::as_select()).first(conn).optional()
            })
            .await?;
        Ok(row.map(SessionSummary::from))
    }
}

impl From<SessionRow> for SessionSummary {
    fn from(row: SessionRow) -> Self {
        Self {
            session_id: row.session_id,
            created_at: row.created_at,
            last_activity_at: row.last_activity_at,
            turns: u64::try_from(row.turns).unwrap_or(0),
        }
    }
}
