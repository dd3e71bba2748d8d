//! Which of many requests are not open any more, in one look: for callers that wait for them on this replica.

use diesel::prelude::*;
use diesel::sql_types::Bool;
use vx11_contracts::identity::OrgId;
use vx11_contracts::intervention::{Intervention, Status};
use vx11_store::{AnyConnection, Scope, StoreError};

use super::schema::interventions::{self, dsl};
use super::{Control, row};

type Condition =
    Box<dyn BoxableExpression<interventions::table, <AnyConnection as Connection>::Backend, SqlType = Bool>>;

impl Control {
    /// Those of `wanted`, by organisation, that have ended. It is asked for waiting callers of all organisations at
    /// once, each of whom gets its own.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn ended_among(&self, wanted: Vec<(OrgId, Vec<String>)>) -> Result<Vec<Intervention>, StoreError> {
        let ended = move |conn: &mut AnyConnection| {
            let Some(condition) = any_of(wanted) else { return Ok(Vec::new()) };
            let open = [Status::Pending, Status::InProgress].map(Status::as_str);
            let rows = interventions::table.filter(condition).filter(dsl::status.ne_all(open)).select(dsl::record);
            let records: Vec<String> = rows.load(conn)?;
            // One of a later version is its own replica's.
            Ok::<_, StoreError>(records.iter().filter_map(|record| row::read(record).ok()).collect())
        };
        self.database.read(Scope::Platform, ended).await
    }
}

fn any_of(wanted: Vec<(OrgId, Vec<String>)>) -> Option<Condition> {
    let of_each = wanted.into_iter().map(|(org, ids)| -> Condition {
        Box::new(dsl::org_id.eq(org.as_str().to_owned()).and(dsl::request_id.eq_any(ids)))
    });
    of_each.reduce(|one, other| Box::new(one.or(other)))
}
