//! Integrity, size, shape and backups.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};

use diesel::Connection as _;
use diesel::prelude::*;
use vx11_store::WriterConfig;
use vx11_store::upkeep::{Depth, IntegrityState, RetentionRule, RowOrder, Upkeep};

use crate::fixture::{Connection, Home, notes};

const MANY_NOTES: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
    INSERT INTO notes (written_at, text) SELECT '2026-01-01T00:00:00.000Z', hex(randomblob(50)) FROM n";

#[tokio::test]
async fn a_sound_database_is_ok() {
    let home = Home::new();
    home.execute(MANY_NOTES);
    for depth in [Depth::Quick, Depth::Full] {
        let report = home.db.integrity(depth).await.expect("a report");
        assert_eq!((report.state, report.messages.len()), (IntegrityState::Ok, 0));
    }
}

#[tokio::test]
async fn a_reference_to_nothing_is_a_warning_that_names_the_row() {
    let home = Home::new();
    home.execute(
        "PRAGMA foreign_keys = OFF; INSERT INTO notes (written_at, author, text) VALUES ('2026', 'nobody', 'x')",
    );
    let report = home.db.integrity(Depth::Quick).await.expect("a report");
    assert_eq!(report.state, IntegrityState::Warning);
    assert_eq!(report.messages, ["row 1 of notes refers to a row of authors that does not exist"]);
}

#[tokio::test]
async fn a_damaged_file_is_critical() {
    for (what, offset, length) in [("a page within", 4096 * 6, 4096), ("the schema", 100, 2000)] {
        let home = Home::new();
        home.execute(MANY_NOTES);
        home.execute("PRAGMA wal_checkpoint(TRUNCATE)");
        let file = OpenOptions::new().write(true).open(home.path()).expect("the database");
        file.write_all_at(&vec![0xA5; length], offset).expect("overwritten");

        let report = home.db.integrity(Depth::Full).await.expect("a report");
        assert_eq!(report.state, IntegrityState::Critical, "{what}");
        assert!(!report.messages.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn the_shape_of_the_store_is_told() {
    let home = Home::new();
    home.execute(MANY_NOTES);
    home.execute("INSERT INTO authors VALUES ('Ada')");

    let counts = home.db.row_counts().await.expect("counts");
    let counts: Vec<_> = counts.iter().map(|count| (count.table.as_str(), count.rows)).collect();
    assert_eq!(counts, [("authors", 1), ("notes", 2000)]);
    assert!(home.db.size_bytes().await.expect("a size") > 2000 * 100);

    let shapes = home.db.schema_map().await.expect("a map");
    let notes = shapes.iter().find(|shape| shape.table == "notes").expect("the table");
    let columns: Vec<_> = notes.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["id", "written_at", "author", "text"]);
    assert!(notes.columns[0].primary_key && notes.columns[1].not_null && !notes.columns[2].not_null);
    assert_eq!(notes.columns[3].sql_type, "TEXT");
    assert_eq!(notes.indexes.len(), 1);
    assert_eq!((notes.indexes[0].name.as_str(), notes.indexes[0].unique), ("notes_by_time", false));
    assert_eq!(notes.indexes[0].columns, [Some("written_at".to_owned())]);
}

#[tokio::test]
async fn a_backup_is_a_whole_database_and_the_newest_two_are_kept() {
    let home = Home::new();
    let backups = home.dir.path().join("backups");
    assert_eq!(home.db.last_backup(&backups).expect("no directory yet"), None);
    let (writer, _) = home.writer(WriterConfig::default());

    let mut made = Vec::new();
    for number in 0..4 {
        // In the write-ahead log only: a copy of the file alone would miss it.
        writer.write(number.to_string()).await.expect("durable");
        let report = home.db.backup(&backups, 2).await.expect("a backup").expect("of SQLite");
        assert_eq!(home.db.last_backup(&backups).expect("a list"), Some(report.created.clone()));
        assert!(report.kept.len() <= 1 && report.removed.len() <= 1, "{report:?}");
        made.push(report.created.path);
    }
    let files: Vec<_> = fs::read_dir(&backups).expect("the directory").collect();
    assert_eq!(files.len(), 2);
    assert!(made[2].exists() && made[3].exists());
    assert_eq!(fs::metadata(&made[3]).expect("a file").permissions().mode() & 0o777, 0o600, "its owner's alone");

    let mut copy = Connection::establish(made[3].to_str().expect("UTF-8")).expect("a database");
    let texts: Vec<String> = notes::table.select(notes::text).order(notes::id).load(&mut copy).expect("notes");
    assert_eq!(texts, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn a_backup_leaves_other_files_alone_and_survives_an_unfinished_one() {
    let home = Home::new();
    let backups = home.dir.path().join("backups");
    fs::create_dir_all(&backups).expect("a directory");
    let others = ["notes-partial", "notes-20xx.db", "other-20260101T000000000Z.db", "readme.txt"];
    for name in others {
        fs::write(backups.join(name), "something").expect("a file");
    }
    home.db.backup(&backups, 1).await.expect("a backup").expect("of SQLite");
    let report = home.db.backup(&backups, 1).await.expect("a backup").expect("of SQLite");
    assert_eq!(report.removed.len(), 1);
    for name in &others[1..] {
        assert!(backups.join(name).exists(), "{name} is not ours");
    }
    assert!(!backups.join("notes-partial").exists());
}

/// All steps, with one rule that cannot be followed.
fn everything(home: &Home) -> Upkeep {
    let rule = |table: &str| RetentionRule {
        table: table.to_owned(),
        time_column: "written_at".to_owned(),
        order: RowOrder::Indexed,
        days: 30,
    };
    Upkeep { backups: home.dir.path().join("backups"), rules: vec![rule("notes"), rule("nothing")], apply: true }
}

#[tokio::test]
async fn upkeep_checks_backs_up_trims_and_counts() {
    let home = Home::new();
    home.execute("INSERT INTO notes (written_at, text) VALUES ('2020-01-01T00:00:00.000Z', 'old')");
    let report = home.db.upkeep(everything(&home)).await;

    assert_eq!(report.integrity["state"], "ok");
    assert_eq!(report.retention["applied"], true);
    assert_eq!(report.retention["tables"][0]["rows"], 1);
    assert!(report.retention["tables"][1]["error"].is_string());
    assert_eq!(report.counts["notes"], 0);
    assert!(report.backup_rotation["created"]["bytes"].as_u64() > Some(0));
    assert!(report.size_bytes > 0 && report.schema.is_array());
}

#[tokio::test]
async fn a_damaged_store_is_neither_backed_up_over_a_good_one_nor_deleted_from() {
    let home = Home::new();
    home.execute(MANY_NOTES);
    home.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    let file = OpenOptions::new().write(true).open(home.path()).expect("the database");
    file.write_all_at(&[0xA5; 4096], 4096 * 6).expect("overwritten");

    let report = home.db.upkeep(everything(&home)).await;
    assert_eq!(report.integrity["state"], "critical");
    assert_eq!(report.backup_rotation["status"], "error");
    assert_ne!(report.retention["applied"], true);
    assert_eq!(home.db.last_backup(home.dir.path().join("backups")).expect("a list"), None);
}
