//! PostgreSQL as a connection that blocks, without libpq: diesel-async's connection, driven by whoever waits for it.
//!
//! Each has a runtime of its own, which runs only while somebody waits: a query wakes no other thread, and an idle
//! connection costs nothing. It must not be used on a thread that serves requests.
//!
//! diesel makes one type of several connections only where each says how types are looked up that are not built in.
//! The store has none of these, so nothing is looked up.

use std::any::Any;
use std::vec;

use diesel::connection::{
    CacheSize, Connection, ConnectionSealed, Instrumentation, LoadConnection, MultiConnectionHelper, SimpleConnection,
    TransactionManager, TransactionManagerStatus,
};
use diesel::expression::QueryMetadata;
use diesel::migration::{CREATE_MIGRATIONS_TABLE, MigrationConnection};
use diesel::pg::{Pg, PgMetadataLookup, PgTypeMetadata};
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::r2d2::R2D2Connection;
use diesel::{ConnectionError, ConnectionResult, QueryResult, QueryableByName, RunQueryDsl as _};
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncConnectionCore, AsyncPgConnection, SimpleAsyncConnection,
    TransactionManager as _,
};
use futures_util::{StreamExt, TryFutureExt};
use tokio::runtime::{Builder, Runtime};

use super::address::Address;

/// A connection to PostgreSQL.
pub struct Postgres {
    conn: AsyncPgConnection,
    runtime: Own,
}

/// A runtime for one connection, which may be dropped anywhere.
struct Own(Option<Runtime>);

impl Own {
    fn new() -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(|error| error.to_string())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.as_ref().expect("it is there until it is dropped").block_on(future)
    }
}

impl Drop for Own {
    /// A runtime that is dropped waits for its threads, which tokio does not allow on a thread that serves.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Postgres {
    /// Connects within the limit that `address` has.
    pub(super) fn connect(address: &Address) -> Result<Self, String> {
        let runtime = Own::new()?;
        let conn = runtime.block_on(address.connect())?;
        Ok(Self { conn, runtime })
    }

    /// Whether it has ended while nobody waited, as when the server was started again. Nobody is asked: what has arrived
    /// is read.
    pub(super) fn has_ended(&mut self) -> bool {
        self.runtime.block_on(async {
            // The socket is looked at; then what came of it is read.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        });
        self.is_broken()
    }

    /// Begins a transaction with `sql`, which may do more.
    pub(super) fn begin(&mut self, sql: &str) -> QueryResult<()> {
        self.runtime.block_on(AnsiTransactionManager::begin_transaction_sql(&mut self.conn, sql))
    }
}

impl Postgres {
    /// Whether the role is a superuser or has `BYPASSRLS`.
    pub(super) fn is_above_row_security(&mut self) -> QueryResult<bool> {
        #[derive(QueryableByName)]
        struct Role {
            #[diesel(sql_type = diesel::sql_types::Bool)]
            is_above: bool,
        }
        let asked = "SELECT rolsuper OR rolbypassrls AS is_above FROM pg_roles WHERE rolname = current_user";
        let roles: Vec<Role> = diesel::sql_query(asked).load(self)?;
        Ok(roles.iter().any(|role| role.is_above))
    }
}

impl SimpleConnection for Postgres {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.runtime.block_on(self.conn.batch_execute(query))
    }
}

impl ConnectionSealed for Postgres {}

impl Connection for Postgres {
    type Backend = Pg;
    type TransactionManager = Transactions;

    fn establish(url: &str) -> ConnectionResult<Self> {
        let address = Address::parse(url).map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
        Self::connect(&address).map_err(ConnectionError::BadConnection)
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Pg> + QueryId,
    {
        self.runtime.block_on(self.conn.execute_returning_count(source))
    }

    fn transaction_state(&mut self) -> &mut AnsiTransactionManager {
        self.conn.transaction_state()
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        self.conn.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.conn.set_instrumentation(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.conn.set_prepared_statement_cache_size(size);
    }
}

impl LoadConnection for Postgres {
    type Cursor<'conn, 'query> = vec::IntoIter<QueryResult<Self::Row<'conn, 'query>>>;
    type Row<'conn, 'query> = <AsyncPgConnection as AsyncConnectionCore>::Row<'conn, 'query>;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<Self::Cursor<'conn, 'query>>
    where
        T: Query + QueryFragment<Pg> + QueryId + 'query,
        Pg: QueryMetadata<T::SqlType>,
    {
        let rows = AsyncConnectionCore::load(&mut self.conn, source);
        let rows = rows.and_then(|rows| async { Ok(rows.collect::<Vec<_>>().await) });
        Ok(self.runtime.block_on(rows)?.into_iter())
    }
}

/// Transactions of [`Postgres`].
pub struct Transactions;

impl TransactionManager<Postgres> for Transactions {
    type TransactionStateData = AnsiTransactionManager;

    fn begin_transaction(conn: &mut Postgres) -> QueryResult<()> {
        conn.runtime.block_on(AnsiTransactionManager::begin_transaction(&mut conn.conn))
    }

    fn rollback_transaction(conn: &mut Postgres) -> QueryResult<()> {
        conn.runtime.block_on(AnsiTransactionManager::rollback_transaction(&mut conn.conn))
    }

    fn commit_transaction(conn: &mut Postgres) -> QueryResult<()> {
        conn.runtime.block_on(AnsiTransactionManager::commit_transaction(&mut conn.conn))
    }

    fn transaction_manager_status_mut(conn: &mut Postgres) -> &mut TransactionManagerStatus {
        AnsiTransactionManager::transaction_manager_status_mut(&mut conn.conn)
    }

    fn is_broken_transaction_manager(conn: &mut Postgres) -> bool {
        AnsiTransactionManager::is_broken_transaction_manager(&mut conn.conn)
    }
}

impl MigrationConnection for Postgres {
    fn setup(&mut self) -> QueryResult<usize> {
        self.batch_execute(CREATE_MIGRATIONS_TABLE).map(|()| 0)
    }
}

impl R2D2Connection for Postgres {
    fn ping(&mut self) -> QueryResult<()> {
        self.batch_execute("SELECT 1")
    }

    fn is_broken(&mut self) -> bool {
        PoolableConnection::is_broken(&mut self.conn)
    }
}

/// Stands for the lookup of types that are not built in.
struct NoOtherTypes;

impl PgMetadataLookup for NoOtherTypes {
    /// A type that the server does not know; it refuses the statement.
    fn lookup_type(&mut self, _: &str, _: Option<&str>) -> PgTypeMetadata {
        PgTypeMetadata::new(0, 0)
    }

    fn as_any<'a>(&mut self) -> &mut (dyn Any + 'a)
    where
        Self: 'a,
    {
        self
    }
}

impl MultiConnectionHelper for Postgres {
    fn to_any<'a>(_: &mut (dyn PgMetadataLookup + 'static)) -> &'static mut (dyn Any + 'a) {
        // It has no size: nothing is allocated, and nothing leaks.
        Box::leak(Box::new(NoOtherTypes))
    }

    fn from_any(lookup: &mut dyn Any) -> Option<&mut (dyn PgMetadataLookup + 'static)> {
        lookup.downcast_mut::<NoOtherTypes>().map(|lookup| lookup as _)
    }
}
