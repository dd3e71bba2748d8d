//! Rules that hold for every unit of an organisation.

use diesel::prelude::*;
use diesel::result::Error;
use jiff::Timestamp;
use vx11_contracts::time;
use vx11_contracts::unit::{GuardRule, OrgRule, RULES_OF_ORG};
use vx11_store::{AnyConnection, StoreError};

use super::super::audit;
use super::super::schema::guard_rules::{self, dsl};
use super::Units;
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;

#[derive(Debug, Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = guard_rules)]
struct Row {
    org_id: String,
    rule_id: String,
    record: String,
    updated_by: String,
    updated_at: String,
}

impl Units {
    /// The organisation's rules.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn rules(&self) -> Result<Vec<OrgRule>, StoreError> {
        let org = self.org.clone();
        self.database.read(self.scope(), move |conn| Ok::<_, StoreError>(rows(conn, &org)?)).await
    }

    /// Keeps a rule, in place of one of its id; `None` where there are as many as there may be.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn keep_rule(
        &self,
        rule: GuardRule,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Option<OrgRule>, StoreError> {
        let row = Row {
            org_id: self.org.to_string(),
            rule_id: rule.rule_id.clone(),
            record: serde_json::to_string(&rule).map_err(|error| Error::SerializationError(Box::new(error)))?,
            updated_by: by.subject.clone(),
            updated_at: time::render(now),
        };
        let entry = Entry::done(by, "guard_rule.keep", row.updated_at.clone()).to("guard_rule", &row.rule_id);
        let kept = OrgRule { rule, updated_by: row.updated_by.clone(), updated_at: row.updated_at.clone() };
        let write = move |conn: &mut AnyConnection| {
            let others = guard_rules::table.filter(dsl::org_id.eq(&row.org_id)).filter(dsl::rule_id.ne(&row.rule_id));
            if others.count().get_result::<i64>(conn)? >= RULES_OF_ORG as i64 {
                return Ok(None);
            }
            let upsert = diesel::insert_into(guard_rules::table).values(&row);
            let upsert = upsert.on_conflict((dsl::org_id, dsl::rule_id)).do_update().set(&row);
            match conn {
                AnyConnection::Postgres(conn) => upsert.execute(conn)?,
                AnyConnection::Sqlite(conn) => upsert.execute(conn)?,
            };
            audit::append(conn, &row.org_id, &entry)?;
            Ok::<_, StoreError>(Some(kept))
        };
        self.database.write(self.scope(), write).await
    }

    /// Removes a rule; whether there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn remove_rule(&self, rule_id: &str, by: &Actor, now: Timestamp) -> Result<bool, StoreError> {
        let entry = Entry::done(by, "guard_rule.remove", time::render(now)).to("guard_rule", rule_id);
        let (org, rule_id) = (self.org.clone(), rule_id.to_owned());
        let write = move |conn: &mut AnyConnection| {
            let own = guard_rules::table.filter(dsl::org_id.eq(&*org)).filter(dsl::rule_id.eq(&rule_id));
            let was_there = diesel::delete(own).execute(conn)? > 0;
            if was_there {
                audit::append(conn, &org, &entry)?;
            }
            Ok::<_, StoreError>(was_there)
        };
        self.database.write(self.scope(), write).await
    }
}

/// The rules that a transition is held against. One that cannot be read keeps every transition from being decided.
pub(super) fn all(conn: &mut AnyConnection, org: &str) -> QueryResult<Vec<GuardRule>> {
    Ok(rows(conn, org)?.into_iter().map(|row| row.rule).collect())
}

fn rows(conn: &mut AnyConnection, org: &str) -> QueryResult<Vec<OrgRule>> {
    let rows = guard_rules::table.filter(dsl::org_id.eq(org)).order(dsl::rule_id).select(Row::as_select());
    let rows: Vec<Row> = rows.load(conn)?;
    let read = |row: Row| {
        let rule = serde_json::from_str(&row.record).map_err(|error| Error::DeserializationError(Box::new(error)))?;
        Ok(OrgRule { rule, updated_by: row.updated_by, updated_at: row.updated_at })
    };
    rows.into_iter().map(read).collect()
}
