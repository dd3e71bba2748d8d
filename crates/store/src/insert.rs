//! Inserts of the hot path.
//!
//! Before each execution diesel asks a statement whether its text can change, and its own `INSERT` answers by walking
//! its columns several times; an upsert it takes for new each time, and prepares it again. The text of these is fixed
//! when the program is built, and prepared once a connection. SQLite is given one row at a time, which costs nothing
//! there; PostgreSQL all rows at once, each column as an array, so that a batch is one way there and back.

mod column;

pub use column::Column;

/// Makes a struct the statement that inserts it: each of its fields that is named goes into the column of that name.
/// What follows the braces ends the statement's text, such as `"ON CONFLICT DO NOTHING"`. An upsert's rows must differ in
/// what they are told apart by: PostgreSQL changes no row twice in a statement.
///
/// ```
/// use diesel::sql_types::{BigInt, Text};
///
/// struct Parcel<'a> {
///     name: &'a str,
///     grams: i64,
/// }
/// vx11_store::insert! { Parcel<'_> into parcels { name: Text, grams: BigInt } }
///
/// # fn add(conn: &mut vx11_store::AnyConnection) -> diesel::QueryResult<()> {
/// Parcel::insert(conn, &[&Parcel { name: "books", grams: 1200 }, &Parcel { name: "pens", grams: 90 }])
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
        const _: () = {
            /// One row, for SQLite.
            struct One<'r, R>(&'r R);

            /// Many rows, for PostgreSQL.
            struct Many<'r, R> {
                $first: $crate::Column<'r, R, $first_type>,
                $($column: $crate::Column<'r, R, $type>,)*
            }

            impl $row {
                /// Adds `rows`.
                ///
                /// # Errors
                /// Those of the database.
                pub(crate) fn insert(conn: &mut $crate::AnyConnection, rows: &[&Self]) -> ::diesel::QueryResult<()> {
                    use ::diesel::RunQueryDsl as _;
                    use ::diesel::serialize::ToSql;
                    match conn {
                        $crate::AnyConnection::Sqlite(conn) => {
                            rows.iter().try_for_each(|row| One(*row).execute(conn).map(drop))
                        }
                        $crate::AnyConnection::Postgres(_) if rows.is_empty() => Ok(()),
                        $crate::AnyConnection::Postgres(conn) => {
                            let rows = Many {
                                $first: $crate::Column::new(rows, |row, out| {
                                    ToSql::<$first_type, ::diesel::pg::Pg>::to_sql(&row.$first, out)
                                }),
                                $($column: $crate::Column::new(rows, |row, out| {
                                    ToSql::<$type, ::diesel::pg::Pg>::to_sql(&row.$column, out)
                                }),)*
                            };
                            rows.execute(conn).map(drop)
                        }
                    }
                }
            }

            impl<R> ::diesel::query_builder::QueryId for One<'_, R> {
                type QueryId = One<'static, $id>;
            }
            impl<R> ::diesel::query_builder::QueryId for Many<'_, R> {
                type QueryId = Many<'static, $id>;
            }
            impl<R, C> ::diesel::RunQueryDsl<C> for One<'_, R> {}
            impl<R, C> ::diesel::RunQueryDsl<C> for Many<'_, R> {}

            impl ::diesel::query_builder::QueryFragment<::diesel::sqlite::Sqlite> for One<'_, $row> {
                fn walk_ast<'b>(
                    &'b self,
                    mut out: ::diesel::query_builder::AstPass<'_, 'b, ::diesel::sqlite::Sqlite>,
                ) -> ::diesel::QueryResult<()> {
                    out.push_sql(concat!(
                        "INSERT INTO ", stringify!($table), " (",
                        stringify!($first) $(, ", ", stringify!($column))*,
                        ") VALUES (",
                    ));
                    out.push_bind_param::<$first_type, _>(&self.0.$first)?;
                    $(
                        out.push_sql(", ");
                        out.push_bind_param::<$type, _>(&self.0.$column)?;
                    )*
                    out.push_sql(concat!(")" $(, " ", $end)?));
                    Ok(())
                }
            }

            impl<R> ::diesel::query_builder::QueryFragment<::diesel::pg::Pg> for Many<'_, R> {
                fn walk_ast<'b>(
                    &'b self,
                    mut out: ::diesel::query_builder::AstPass<'_, 'b, ::diesel::pg::Pg>,
                ) -> ::diesel::QueryResult<()> {
                    out.push_sql(concat!(
                        "INSERT INTO ", stringify!($table), " (",
                        stringify!($first) $(, ", ", stringify!($column))*,
                        ") SELECT * FROM unnest(",
                    ));
                    out.push_bind_param::<::diesel::sql_types::Array<$first_type>, _>(&self.$first)?;
                    $(
                        out.push_sql(", ");
                        out.push_bind_param::<::diesel::sql_types::Array<$type>, _>(&self.$column)?;
                    )*
                    out.push_sql(concat!(")" $(, " ", $end)?));
                    Ok(())
                }
            }
        };
    };
}
