//! The limits of one organisation's keys: how they are kept, and changed.

use diesel::prelude::*;
use diesel::result::Error;
use jiff::Timestamp;
use serde_json::{Value, json};
use vx11_contracts::identity::{ApiKey, KeyLimits, KeyLimitsChange, Scopes};
use vx11_contracts::time;
use vx11_store::{AnyConnection, StoreError};

use super::super::audit;
use super::super::schema::api_keys;
use super::keys::{Keys, Row, shown};
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;
use crate::domain::key_limits;
use crate::domain::key_terms::Unfit;

/// Why a key is not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// There is none of this id in this organisation.
    #[error("there is no such key")]
    NotFound,
    /// It was revoked.
    #[error("the key was revoked")]
    Revoked,
    /// It can't be as it would be then.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The database does not answer, or refuses a query.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for KeyError {
    fn from(error: Error) -> Self {
        Self::Store(error.into())
    }
}

impl Keys {
    /// Changes what a key may ask of the gateway, and spend there. What it has spent stays spent.
    ///
    /// # Errors
    /// [`KeyError`] where that can't be.
    pub(crate) async fn limit(
        &self,
        id: &str,
        change: KeyLimitsChange,
        by: &Actor,
        now: Timestamp,
    ) -> Result<ApiKey, KeyError> {
        let noted = Entry::done(by, "key.change", time::render(now)).to("key", id);
        let (org, id) = (self.org().to_owned(), id.to_owned());
        let write = move |conn: &mut AnyConnection| {
            let own = api_keys::table.find(&id).filter(api_keys::org_id.eq(&org));
            let row: Option<Row> = match conn {
                // Of two changes at once the second knows the first.
                AnyConnection::Postgres(conn) => own.select(Row::as_select()).for_update().first(conn).optional()?,
                AnyConnection::Sqlite(conn) => own.select(Row::as_select()).first(conn).optional()?,
            };
            let mut row = row.ok_or(KeyError::NotFound)?;
            if row.revoked_at.is_some() {
                return Err(KeyError::Revoked);
            }
            let before = read(row.limits.as_deref()).ok_or(KeyError::NotFound)?;
            let after = before.clone().unwrap_or_default().changed(change).some();
            after.as_ref().map_or(Ok(()), |limits| key_limits::check(limits, Scopes::parse(&row.scopes)))?;
            if after != before {
                row.limits = written(after.as_ref())?;
                diesel::update(api_keys::table.find(&id)).set(api_keys::limits.eq(&row.limits)).execute(conn)?;
                audit::append(conn, &org, &noted.with("limits", noted_limits(after.as_ref())))?;
            }
            shown(row).ok_or(KeyError::NotFound)
        };
        self.database().write(self.scope(), write).await
    }
}

/// Limits as they are stored.
pub(super) fn written(limits: Option<&KeyLimits>) -> QueryResult<Option<String>> {
    let text = limits.map(serde_json::to_string).transpose();
    text.map_err(|error| Error::SerializationError(Box::new(error)))
}

/// The limits that are stored so; `None` where a newer version wrote them: a key is not let in with less than it has.
pub(super) fn read(stored: Option<&str>) -> Option<Option<KeyLimits>> {
    let read = |stored| serde_json::from_str::<KeyLimitsChange>(stored).map(KeyLimits::from);
    stored.map(read).transpose().ok()
}

/// Limits as the audit log has them: of the models, how many they are.
pub(super) fn noted_limits(limits: Option<&KeyLimits>) -> Value {
    let Some(limits) = limits else { return Value::Null };
    let budget = limits.budget.map(|budget| format!("{} USD a {}", budget.usd, budget.period.as_str()));
    json!({
        "models": limits.models.as_ref().map(Vec::len),
        "requests_per_minute": limits.requests_per_minute,
        "requests_per_day": limits.requests_per_day,
        "tokens_per_minute": limits.tokens_per_minute,
        "tokens_per_day": limits.tokens_per_day,
        "budget": budget,
    })
}
