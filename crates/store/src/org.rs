//! The column that says whose a row is, and the index that finds a tenant's.

use diesel::pg::Pg;
use diesel::serialize::{IsNull, Output, Result, ToSql};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use vx11_contracts::identity::OrgId;

/// What an index of tenants' rows alone says of its rows, word by word. The platform's own rows, which are all there are
/// where there are no tenants, cost nothing by it; a query that is to use it says the same of its organisation.
pub const OF_TENANTS: &str = "org_id <> 'default'";

/// An organisation's id as [`insert!`](crate::insert!) writes it, without a copy of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgColumn(pub OrgId);

impl ToSql<Text, Sqlite> for OrgColumn {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> Result {
        out.set_value(self.0.as_str());
        Ok(IsNull::No)
    }
}

impl ToSql<Text, Pg> for OrgColumn {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> Result {
        ToSql::<Text, Pg>::to_sql(self.0.as_str(), out)
    }
}
