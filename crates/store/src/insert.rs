//! Inserts of the hot path.
//!
//! Before each execution diesel asks a statement whether its text can change, and its own `INSERT` answers by walking
//! its columns several times; an upsert it takes for new each time, and prepares it again. The text of these is fixed
//! when the program is built. They write one row, all columns that are named, and are prepared once a connection.

/// Makes a struct the statement that inserts it: each of its fields that is named goes into the column of that name.
/// What follows the braces ends the statement's text, such as `"ON CONFLICT DO NOTHING"`.
///
/// ```
/// use diesel::RunQueryDsl;
/// use diesel::sql_types::{BigInt, Text};
///
/// struct Parcel<'a> {
///     name: &'a str,
///     grams: i64,
/// }
/// vx11_store::insert! { Parcel<'_> into parcels { name: Text, grams: BigInt } }
///
/// # fn add(conn: &mut vx11_store::Connection) -> diesel::QueryResult<usize> {
/// Parcel { name: "books", grams: 1200 }.execute(conn)
/// # }
/// ```
#[macro_export]
macro_rules! insert {
    ($row:ident into $($rest:tt)+) => {
        $crate::insert! { @statement $row, $row, $($rest)+ }
    };
    ($row:ident<'_> into $($rest:tt)+) => {
        $crate::insert! { @statement $row<'_>, $row<'static>, $($rest)+ }
    };
    (@statement $row:ty, $id:ty, $table:ident {
        $first:ident: $first_type:ty $(, $column:ident: $type:ty)* $(,)?
    } $($end:literal)?) => {
        impl ::diesel::query_builder::QueryId for $row {
            type QueryId = $id;
        }

        impl ::diesel::query_builder::QueryFragment<::diesel::sqlite::Sqlite> for $row {
            fn walk_ast<'b>(
                &'b self,
                mut out: ::diesel::query_builder::AstPass<'_, 'b, ::diesel::sqlite::Sqlite>,
            ) -> ::diesel::QueryResult<()> {
                out.push_sql(concat!(
                    "INSERT INTO ", stringify!($table), " (",
                    stringify!($first) $(, ", ", stringify!($column))*,
                    ") VALUES (",
                ));
                out.push_bind_param::<$first_type, _>(&self.$first)?;
                $(
                    out.push_sql(", ");
                    out.push_bind_param::<$type, _>(&self.$column)?;
                )*
                out.push_sql(concat!(")" $(, " ", $end)?));
                Ok(())
            }
        }

        impl ::diesel::RunQueryDsl<$crate::Connection> for $row {}
        impl ::diesel::RunQueryDsl<$crate::Connection> for &$row {}
    };
}
