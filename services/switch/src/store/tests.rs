use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel_migrations::MigrationHarness;
use vx11_store::Connection;

use super::*;

#[test]
fn what_the_ledger_held_is_kept_there_and_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("switch.sqlite3");
    let mut conn = Connection::establish(path.to_str().expect("UTF-8")).expect("a connection");
    conn.run_pending_migrations(MIGRATIONS).expect("the schema");
    conn.revert_last_migration(MIGRATIONS).expect("the schema of before");
    conn.batch_execute(
        "INSERT INTO usage_ledger VALUES
         (5, '2026-11-21T00:00:00.000Z', 'c', 'o', 't', 'k', 'm', 'p', 'pm', 1, 2, 3, 4, TRUE, 6000001, 7, FALSE, 8)",
    )
    .expect("a row");
    let held = |conn: &mut Connection| usage::usage(conn, Grouping::Key, None, None).expect("sums");
    let before = held(&mut conn);
    let sum = &before[0];
    assert_eq!((&*sum.group, sum.requests, sum.cost_picos, sum.cache_written_tokens), ("k", 1, 6_000_001, 8));
    conn.run_pending_migrations(MIGRATIONS).expect("the schema");
    assert_eq!(held(&mut conn), before);
    conn.revert_last_migration(MIGRATIONS).expect("the schema of before");
    assert_eq!(held(&mut conn), before);
}
