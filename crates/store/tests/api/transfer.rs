//! From SQLite to PostgreSQL, every row.

use diesel::connection::SimpleConnection;
use vx11_store::transfer::{TransferError, copy, verify};
use vx11_store::{AnyConnection, Database, Scope, StoreError};

use crate::database::Home;

/// More rows than are moved in one step, with all that a text may hold.
const PARCELS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2345)
    INSERT INTO parcels SELECT CASE i % 3 WHEN 0 THEN 'acme' ELSE 'Äcme' END, 'name ' || (i * 7919 % 10007),
        9223372036854775807 - i, i % 2, CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'a \"quote\" and \\ more'
        WHEN 3 THEN 'null ' || char(10) || '“”' ELSE 'x' || char(0) || 'y' END FROM n";

async fn execute(database: &Database, sql: &'static str) {
    let run = move |conn: &mut AnyConnection| Ok::<_, StoreError>(conn.batch_execute(sql)?);
    database.write(Scope::Platform, run).await.expect(sql);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_copied_and_what_differs_is_found() {
    let [file, server] = tokio::task::spawn_blocking(Home::of_each).await.expect("databases");
    let (file, server) = (&file.database, &server.database);
    execute(file, PARCELS).await;
    // As migrations leave it: there in both.
    execute(file, "INSERT INTO parcels VALUES ('acme', 'first', 1, 1, NULL)").await;
    execute(server, "INSERT INTO parcels VALUES ('acme', 'first', 1, true, NULL)").await;
    let copied = copy(file, server).await.expect("copied");
    assert_eq!((&*copied[0].table, copied[0].rows), ("parcels", 2346));
    let same = verify(file, server).await.expect("compared");
    assert_eq!((same[0].rows, same[0].different), (2346, 0), "{:?}", same[0].keys);

    // Somebody has written there, and what was written here since is missing.
    execute(server, "UPDATE parcels SET grams = grams - 1 WHERE name = 'name 7919'").await;
    execute(server, "INSERT INTO parcels VALUES ('acme', 'alone', 1, true, NULL)").await;
    execute(file, "INSERT INTO parcels VALUES ('acme', 'late', 1, 1, NULL), ('acme', 'later', 1, 1, NULL)").await;
    let found = verify(file, server).await.expect("compared");
    assert!(found[0].different >= 3, "{:?}", found[0]);
    assert_eq!(found[0].keys.len(), 3, "{:?}", found[0].keys);
    assert!(found[0].keys.contains(&r#"["acme", "late"]"#.to_owned()), "{:?}", found[0].keys);

    let refused = copy(file, server).await;
    assert!(matches!(refused, Err(TransferError::NotEmpty(ref table)) if table == "parcels"), "{refused:?}");
    execute(server, "DELETE FROM parcels WHERE name IN ('alone', 'name 7919')").await;
    assert_eq!(copy(file, server).await.expect("the rest is copied")[0].rows, 2348);
    assert_eq!(verify(file, server).await.expect("compared")[0].different, 0);

    let backwards = copy(server, file).await;
    assert!(matches!(backwards, Err(TransferError::Direction)), "{backwards:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_differ_are_refused_and_nothing_is_copied() {
    let [file, server] = tokio::task::spawn_blocking(Home::of_each).await.expect("databases");
    let (file, server) = (&file.database, &server.database);
    execute(file, "INSERT INTO parcels VALUES ('acme', 'late', 1, 1, NULL)").await;
    execute(file, "CREATE TABLE zoo (id INTEGER PRIMARY KEY NOT NULL)").await;
    let refused = copy(file, server).await;
    assert!(matches!(&refused, Err(TransferError::Unlike(why)) if why.contains("zoo")), "{refused:?}");
    execute(file, "DROP TABLE zoo").await;
    execute(file, "ALTER TABLE parcels ADD COLUMN colour TEXT").await;
    let refused = verify(file, server).await;
    assert!(matches!(&refused, Err(TransferError::Unlike(why)) if why.contains("colour")), "{refused:?}");
}
