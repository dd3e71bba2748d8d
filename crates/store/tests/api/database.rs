//! [`Database`] on both of its backends: what holds of one holds of the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_migrations::embed_migrations;
use secrecy::SecretString;
use tempfile::TempDir;
use vx11_store::{Database, DatabaseConfig, DatabaseUrl, Migrations, Scope, StoreError};
use vx11_testing_servers::Postgres;

diesel::table! {
    parcels (org_id, name) {
        org_id -> Text,
        name -> Text,
        grams -> BigInt,
        fragile -> Bool,
        note -> Nullable<Text>,
    }
}

#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable)]
#[diesel(table_name = parcels)]
pub(crate) struct Parcel {
    org_id: String,
    name: String,
    grams: i64,
    fragile: bool,
    note: Option<String>,
}

impl Parcel {
    pub(crate) fn of(org: &str, name: &str) -> Self {
        Self { org_id: org.to_owned(), name: name.to_owned(), grams: 1200, fragile: true, note: None }
    }
}

/// A database of parcels, and how to open it again.
pub(crate) struct Home {
    pub(crate) database: Database,
    config: DatabaseConfig,
    _dir: TempDir,
}

const MIGRATIONS: Migrations =
    Migrations { sqlite: embed_migrations!("tests/dual/sqlite"), postgres: embed_migrations!("tests/dual/postgres") };

impl Home {
    pub(crate) fn new(url: Option<String>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = url.map(|url| DatabaseUrl(SecretString::from(url)));
        let config = DatabaseConfig::new(url, "depot", dir.path().join("depot.sqlite3"));
        let database = Database::open(config.clone(), MIGRATIONS).expect("a new database");
        Self { database, config, _dir: dir }
    }

    /// One on SQLite, one on PostgreSQL.
    pub(crate) fn of_each() -> [Self; 2] {
        [Self::new(None), Self::new(Some(Postgres::shared().new_database()))]
    }

    async fn add(&self, parcel: Parcel) -> Result<(), StoreError> {
        let scope = scope(&parcel.org_id);
        let add =
            move |conn: &mut _| Ok(diesel::insert_into(parcels::table).values(&parcel).execute(conn).map(drop)?);
        self.database.write(scope, add).await
    }

    pub(crate) async fn names(&self, scope: Scope) -> Vec<String> {
        let names =
            |conn: &mut _| Ok::<_, StoreError>(parcels::table.select(parcels::name).order(parcels::name).load(conn)?);
        self.database.read(scope, names).await.expect("names")
    }
}

fn scope(org: &str) -> Scope {
    Scope::Org(org.into())
}

/// Makes each of these a test on SQLite and one on PostgreSQL.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::Home::new(None)).await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let url = tokio::task::spawn_blocking(|| super::Postgres::shared().new_database()).await.expect("a URL");
                let home = tokio::task::spawn_blocking(|| super::Home::new(Some(url))).await.expect("a database");
                super::$name(home).await;
            })*
        }
    };
}

on_both!(
    what_is_written_is_read,
    what_fails_leaves_nothing,
    a_second_row_of_a_key_is_refused_by_name,
    of_many_at_once_one_wins,
    it_is_opened_again_and_by_many_at_once,
    work_that_panics_costs_one_connection,
    too_many_are_told_that_it_is_busy,
);

async fn what_is_written_is_read(home: Home) {
    let parcel = Parcel { note: Some("“ünïcode” and 'quotes'".to_owned()), ..Parcel::of("acme", "books") };
    home.add(parcel.clone()).await.expect("written");
    let read = |conn: &mut _| {
        Ok::<_, StoreError>(parcels::table.filter(parcels::fragile).select(Parcel::as_select()).load(conn)?)
    };
    assert_eq!(home.database.read(scope("acme"), read).await.expect("read"), [parcel]);
    home.database.ping().await.expect("it answers");
}

async fn what_fails_leaves_nothing(home: Home) {
    let failing = |conn: &mut _| {
        diesel::insert_into(parcels::table).values(&Parcel::of("acme", "half")).execute(conn)?;
        Err::<(), StoreError>(Error::NotFound.into())
    };
    let outcome = home.database.write(scope("acme"), failing).await;
    assert!(matches!(outcome, Err(StoreError::Query(Error::NotFound))), "{outcome:?}");
    // A failed statement takes the whole transaction with it, also where the work goes on.
    home.add(Parcel::of("acme", "books")).await.expect("written");
    let stubborn = |conn: &mut _| {
        diesel::insert_into(parcels::table).values(&Parcel::of("acme", "more")).execute(conn)?;
        diesel::insert_into(parcels::table).values(&Parcel::of("acme", "books")).execute(conn)?;
        Ok::<_, StoreError>(())
    };
    home.database.write(scope("acme"), stubborn).await.expect_err("refused");
    assert_eq!(home.names(scope("acme")).await, ["books"]);
}

async fn a_second_row_of_a_key_is_refused_by_name(home: Home) {
    home.add(Parcel::of("acme", "books")).await.expect("written");
    let refused = home.add(Parcel::of("acme", "books")).await;
    let unique = DatabaseErrorKind::UniqueViolation;
    let is_unique = |error| matches!(error, StoreError::Query(Error::DatabaseError(kind, _)) if kind == unique);
    assert!(refused.is_err_and(is_unique));
}

async fn of_many_at_once_one_wins(home: Home) {
    home.add(Parcel::of("acme", "books")).await.expect("written");
    let won = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let (database, won) = (home.database.clone(), won.clone());
            tokio::spawn(async move {
                let take = move |conn: &mut _| {
                    let free = parcels::table.filter(parcels::name.eq("books").and(parcels::note.is_null()));
                    let note = parcels::note.eq(format!("taken by {number}"));
                    Ok::<_, StoreError>(diesel::update(free).set(note).execute(conn)?)
                };
                won.fetch_add(database.write(scope("acme"), take).await.expect("an answer"), Ordering::Relaxed);
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it ends");
    }
    assert_eq!(won.load(Ordering::Relaxed), 1);
}

async fn it_is_opened_again_and_by_many_at_once(home: Home) {
    home.add(Parcel::of("acme", "books")).await.expect("written");
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let config = home.config.clone();
            tokio::task::spawn_blocking(|| Database::open(config, MIGRATIONS))
        })
        .collect();
    for opened in opening {
        opened.await.expect("it ends").expect("it opens");
    }
    assert_eq!(home.names(scope("acme")).await, ["books"]);
}

async fn work_that_panics_costs_one_connection(home: Home) {
    for _ in 0..20 {
        let panics = |conn: &mut _| -> Result<(), StoreError> {
            diesel::insert_into(parcels::table).values(&Parcel::of("acme", "half")).execute(conn)?;
            panic!("on purpose")
        };
        let outcome = home.database.write(scope("acme"), panics).await;
        assert!(matches!(outcome, Err(StoreError::Panicked)), "{outcome:?}");
    }
    assert_eq!(home.names(scope("acme")).await, [""; 0]);
}

async fn too_many_are_told_that_it_is_busy(home: Home) {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let config = DatabaseConfig { pool_size: 1, pool_timeout: Duration::from_millis(20), ..home.config.clone() };
    let database = Database::open(config, MIGRATIONS).expect("it opens");
    // Once its one connection is made, nobody waits for more than a turn.
    while database.ping().await.is_err() {}
    let (entered, inside) = tokio::sync::oneshot::channel();
    let holds = move |_: &mut _| {
        entered.send(()).expect("somebody waits");
        held.recv().expect("a word");
        Ok::<_, StoreError>(())
    };
    let holder = tokio::spawn({
        let database = database.clone();
        async move { database.read(scope("acme"), holds).await }
    });
    inside.await.expect("it has begun");
    let refused = database.ping().await;
    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    release.send(()).expect("it waits");
    holder.await.expect("it ends").expect("it was held");
    database.ping().await.expect("it answers again");
}

/// The second wall: a query that names no tenant still sees one tenant's rows only, and writes none of another's.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_tenants_apart_where_a_query_does_not() {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().new_database()).await.expect("a URL");
    let home = tokio::task::spawn_blocking(|| Home::new(Some(url))).await.expect("a database");
    home.add(Parcel::of("acme", "books")).await.expect("written");
    home.add(Parcel::of("globex", "lamps")).await.expect("written");
    assert_eq!(home.names(scope("acme")).await, ["books"]);
    assert_eq!(home.names(scope("o'brien'; SET LOCAL vx11.platform = 'on")).await, [""; 0]);
    assert_eq!(home.names(Scope::Platform).await, ["books", "lamps"]);
    let foreign = |conn: &mut _| {
        let parcel = Parcel::of("globex", "smuggled");
        Ok::<_, StoreError>(diesel::insert_into(parcels::table).values(&parcel).execute(conn).map(drop)?)
    };
    let refused = home.database.write(scope("acme"), foreign).await.expect_err("not its own");
    assert!(refused.to_string().contains("row-level security"), "{refused}");
    let all =
        |conn: &mut _| Ok::<_, StoreError>(diesel::update(parcels::table).set(parcels::grams.eq(0)).execute(conn)?);
    assert_eq!(home.database.write(scope("acme"), all).await.expect("written"), 1);
    // What reads cannot write.
    let sly = |conn: &mut _| Ok::<_, StoreError>(diesel::delete(parcels::table).execute(conn)?);
    home.database.read(scope("acme"), sly).await.expect_err("read only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_above_row_level_security_is_known_and_so_is_an_unfit_text() {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().new_database()).await.expect("a URL");
    let by_superuser = url.replace("postgres://vx11@", "postgres://postgres@");
    let open = async |url: String| tokio::task::spawn_blocking(|| Home::new(Some(url))).await.expect("a database");
    let home = open(url).await;
    assert!(!home.database.is_unguarded());
    let refused = home.add(Parcel::of("acme", "bo\0oks")).await.expect_err("no such text");
    assert!(refused.is_unfit_text(), "{refused}");
    assert!(open(by_superuser).await.database.is_unguarded());
    let local = tokio::task::spawn_blocking(|| Home::new(None)).await.expect("a database");
    assert!(!local.database.is_unguarded());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_started_again_is_asked_over_new_connections() {
    let postgres = tokio::task::spawn_blocking(Postgres::durable).await.expect("it starts");
    let url = postgres.new_database();
    let home = tokio::task::spawn_blocking(|| Home::new(Some(url))).await.expect("a database");
    home.add(Parcel::of("acme", "books")).await.expect("written");
    postgres.crash();
    home.add(Parcel::of("acme", "lamps")).await.expect_err("nobody is there");
    postgres.come_back();
    home.add(Parcel::of("acme", "lamps")).await.expect("written");
    // Also where nobody asked while it was away: the connections that lie there are of no use.
    postgres.crash();
    postgres.come_back();
    assert_eq!(home.names(scope("acme")).await, ["books", "lamps"]);
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for_and_named_without_its_password() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = |url: &str| {
        let url = Some(DatabaseUrl(SecretString::from(url)));
        let pool_timeout = Duration::from_millis(300);
        let config = DatabaseConfig { pool_timeout, ..DatabaseConfig::new(url, "depot", dir.path().join("unused")) };
        Database::open(config, MIGRATIONS)
    };
    let away = open("postgres://me:s3cret@127.0.0.1:1/depot").expect("whoever starts meanwhile starts");
    let said = away.ping().await.expect_err("nobody is there").to_string();
    assert!(said.contains("postgres://127.0.0.1/depot") && !said.contains("s3cret"), "{said}");
    let said = open("mysql://me:s3cret@127.0.0.1/depot").expect_err("no URL of PostgreSQL's").to_string();
    assert!(said.contains("postgres://user:password@host") && !said.contains("s3cret"), "{said}");
}
