//! Questions and their answers.

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vx11_contracts::chat::Usage;
use vx11_contracts::identity::OrgId;
use vx11_contracts::operator::{PLAN_OUTCOME, Turn};
use vx11_store::{AnyConnection, StoreError};

use super::OrgStore;
use super::schema::turns;
use crate::domain::history;

/// What a request held besides its message, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Extras {
    /// Facts for the engine.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) context: Map<String, Value>,
    /// Facts for the trail.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) metadata: Map<String, Value>,
    /// Who was to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<String>,
}

impl StoredTurn {
    /// What the request held besides its message.
    pub(crate) fn extras(&self) -> Extras {
        self.extras.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// A row of `turns`, with what a replay needs beyond what is shown.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = turns)]
pub(crate) struct StoredTurn {
    pub(crate) id: i64,
    pub(crate) timestamp: String,
    pub(crate) session_id: String,
    pub(crate) correlation_id: String,
    pub(crate) message: String,
    pub(crate) extras: Option<String>,
    pub(crate) response: String,
    pub(crate) provider: String,
    pub(crate) model_used: String,
    pub(crate) status: String,
    pub(crate) degraded: bool,
    pub(crate) fallback_source: Option<String>,
    pub(crate) latency_ms: i64,
    pub(crate) prompt_tokens: Option<i64>,
    pub(crate) completion_tokens: Option<i64>,
}

impl OrgStore {
    /// The last questions and answers of a session, oldest first: at most `limit`, and no more than are sent along.
    /// Those before the turn `before`, where given.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn recent_exchanges(
        &self,
        session_id: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let session_id = session_id.to_owned();
        let newest_first = self
            .read(move |conn, org| {
                let newest_first = turns::table
                    .filter(turns::session_id.eq(session_id).and(turns::org_id.eq(org.as_str())))
                    .filter(turns::id.lt(before.unwrap_or(i64::MAX)))
                    .order(turns::id.desc())
                    .select((turns::message, turns::response));
                match conn {
                    // Taken, not limited: SQLite plans a query anew whenever a `LIMIT` is bound, and every chat asks this
                    // one.
                    AnyConnection::Sqlite(conn) => {
                        newest_first.load_iter::<_, DefaultLoadingMode>(conn)?.take(limit as usize).collect()
                    }
                    AnyConnection::Postgres(conn) => newest_first.limit(limit.into()).load(conn),
                }
            })
            .await?;
        Ok(history::newest_that_fit(newest_first, history::MAX_BYTES))
    }

    /// Up to `limit` turns of a session after the turn `after`, oldest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn session_turns(
        &self,
        session_id: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Turn>, StoreError> {
        let session_id = session_id.to_owned();
        self.load_turns(move |conn, org| {
            turns::table
                .filter(turns::session_id.eq(session_id).and(turns::org_id.eq(org.as_str())))
                .filter(turns::id.gt(after))
                .order(turns::id)
                .limit(limit.into())
                .select(StoredTurn::as_select())
                .load(conn)
        })
        .await
    }

    /// The turns of one request, oldest first; at most 100.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn turns_of_request(&self, correlation_id: &str) -> Result<Vec<Turn>, StoreError> {
        let correlation_id = correlation_id.to_owned();
        self.load_turns(move |conn, org| {
            turns::table
                .filter(turns::correlation_id.eq(correlation_id).and(turns::org_id.eq(org.as_str())))
                .order(turns::id)
                .limit(100)
                .select(StoredTurn::as_select())
                .load(conn)
        })
        .await
    }

    /// The newest turn of one request that was a question.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn find_turn(&self, correlation_id: &str) -> Result<Option<StoredTurn>, StoreError> {
        let correlation_id = correlation_id.to_owned();
        self.read(move |conn, org| {
            turns::table
                .filter(turns::correlation_id.eq(correlation_id).and(turns::org_id.eq(org.as_str())))
                .filter(turns::model_used.ne(PLAN_OUTCOME))
                .order(turns::id.desc())
                .select(StoredTurn::as_select())
                .first(conn)
                .optional()
        })
        .await
    }

    async fn load_turns<F>(&self, query: F) -> Result<Vec<Turn>, StoreError>
    where
        F: FnOnce(&mut AnyConnection, &OrgId) -> QueryResult<Vec<StoredTurn>> + Send + 'static,
    {
        let rows = self.read(query).await?;
        Ok(rows.into_iter().map(Turn::from).collect())
    }
}

impl From<StoredTurn> for Turn {
    fn from(row: StoredTurn) -> Self {
        let usage = row.prompt_tokens.zip(row.completion_tokens).map(|(prompt, completion)| Usage {
            prompt_tokens: unsigned(prompt),
            completion_tokens: unsigned(completion),
            total_tokens: unsigned(prompt) + unsigned(completion),
        });
        Self {
            id: row.id,
            timestamp: row.timestamp,
            session_id: row.session_id,
            correlation_id: row.correlation_id,
            message: row.message,
            response: row.response,
            provider: row.provider,
            model_used: row.model_used,
            status: row.status,
            degraded: row.degraded,
            fallback_source: row.fallback_source,
            latency_ms: unsigned(row.latency_ms),
            usage,
        }
    }
}

/// SQL has no unsigned integers; what was written from one is never negative.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
