//! Many requests of all organisations in one look, for those who wait for them or follow them on this replica.

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
        let open = [Status::Pending, Status::InProgress].map(Status::as_str);
        self.among(wanted, move |of_wanted| Box::new(of_wanted.and(dsl::status.ne_all(open)))).await
    }

    /// Those of `wanted`, by organisation, as they are stored.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn requests_among(
        &self,
        wanted: Vec<(OrgId, Vec<String>)>,
    ) -> Result<Vec<Intervention>, StoreError> {
        self.among(wanted, |of_wanted| of_wanted).await
    }

    async fn among(
        &self,
        wanted: Vec<(OrgId, Vec<String>)>,
        narrow: impl FnOnce(Condition) -> Condition + Send + 'static,
    ) -> Result<Vec<Intervention>, StoreError> {
        let read = move |conn: &mut AnyConnection| {
            let Some(of_wanted) = any_of(wanted) else { return Ok(Vec::new()) };
            let rows = interventions::table.filter(narrow(of_wanted)).select(dsl::record);
            let records: Vec<String> = rows.load(conn)?;
            // One of a later version is its own replica's.
            Ok::<_, StoreError>(records.iter().filter_map(|record| row::read(record).ok()).collect())
        };
        self.database.read(Scope::Platform, read).await
    }
}

fn any_of(wanted: Vec<(OrgId, Vec<String>)>) -> Option<Condition> {
    let of_each = wanted.into_iter().map(|(org, ids)| -> Condition {
        Box::new(dsl::org_id.eq(org.as_str().to_owned()).and(dsl::request_id.eq_any(ids)))
    });
    of_each.reduce(|one, other| Box::new(one.or(other)))
}
