//! One column of many rows, as PostgreSQL takes it: an array.

use std::fmt;
use std::marker::PhantomData;

use diesel::pg::Pg;
use diesel::serialize::{Output, Result, ToSql};
use diesel::sql_types::{Array, HasSqlType};

/// How a row writes its value of a column.
type Write<R> = for<'b> fn(&'b R, &mut Output<'b, '_, Pg>) -> Result;

/// What `rows` have in a column of the SQL type `T`. Made by [`insert!`](crate::insert!).
pub struct Column<'r, R, T> {
    rows: &'r [&'r R],
    write: Write<R>,
    sql_type: PhantomData<fn() -> T>,
}

impl<'r, R, T> Column<'r, R, T> {
    /// What `write` writes of each of `rows`.
    pub fn new(rows: &'r [&'r R], write: Write<R>) -> Self {
        Self { rows, write, sql_type: PhantomData }
    }
}

impl<R, T> ToSql<Array<T>, Pg> for Column<'_, R, T>
where
    Pg: HasSqlType<T>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> Result {
        let cells: Vec<Cell<'_, R>> = self.rows.iter().map(|&row| Cell { row, write: self.write }).collect();
        ToSql::<Array<T>, Pg>::to_sql(cells.as_slice(), &mut out.reborrow())
    }
}

impl<R, T> fmt::Debug for Column<'_, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a column of {} rows", self.rows.len())
    }
}

/// One row's value.
struct Cell<'r, R> {
    row: &'r R,
    write: Write<R>,
}

impl<R, T> ToSql<T, Pg> for Cell<'_, R>
where
    Pg: HasSqlType<T>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> Result {
        (self.write)(self.row, out)
    }
}

impl<R> fmt::Debug for Cell<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
}
