//! The column that says whose a row is.

use diesel::serialize::{IsNull, Output, Result, ToSql};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use vx11_contracts::identity::OrgId;

/// An organisation's id as [`insert!`](crate::insert) writes it, without a copy of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgColumn(pub OrgId);

impl ToSql<Text, Sqlite> for OrgColumn {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> Result {
        out.set_value(self.0.as_str());
        Ok(IsNull::No)
    }
}
