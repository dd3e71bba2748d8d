//! Backups: whole, self-contained copies beside each other, the newest few.
//!
//! A backup is made under another name, synced, and only then given its own: a file that is called a backup is one.
//! Names carry the time (`operator-20261121T040506789Z.db`), so that order of name is order of age.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::sqlite::Sqlite;
use crate::{AnyConnection, Database, StoreError, time};

/// How a backup's name writes its time.
const NAME_TIME: &str = "%Y%m%dT%H%M%S%3fZ";
const EXTENSION: &str = "db";
const UNFINISHED: &str = "partial";

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupFile {
    /// Where it is.
    #[schema(value_type = String)]
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

/// What a backup did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupReport {
    /// The new backup.
    pub created: BackupFile,
    /// Older ones that are kept, newest first.
    pub kept: Vec<BackupFile>,
    /// Older ones that were removed.
    pub removed: Vec<BackupFile>,
}

impl Database {
    /// Makes a backup of a SQLite file in `dir`, which is made if absent, and keeps the newest `keep` (at least this one).
    /// The writer goes on meanwhile; the copy is the database at one moment. `None` on PostgreSQL, which is backed up
    /// whole, with its log, by who runs it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn backup(&self, dir: impl Into<PathBuf>, keep: usize) -> Result<Option<BackupReport>, StoreError> {
        let Some(series) = self.series(dir.into()) else { return Ok(None) };
        self.run_apart(move |_, conn| {
            let AnyConnection::Sqlite(conn) = conn else { return Ok(None) };
            let created = series.create(conn)?;
            let (kept, removed) = series.rotate(keep.max(1))?;
            let kept = kept.into_iter().filter(|backup| backup.path != created.path).collect();
            Ok(Some(BackupReport { created, kept, removed }))
        })
        .await
    }

    /// The newest backup in `dir`, if there is one.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn last_backup(&self, dir: impl Into<PathBuf>) -> Result<Option<BackupFile>, StoreError> {
        let Some(series) = self.series(dir.into()) else { return Ok(None) };
        Ok(series.list()?.into_iter().next())
    }

    fn series(&self, dir: PathBuf) -> Option<Series> {
        let stem = self.place().sqlite()?.path().file_stem().unwrap_or_default().to_string_lossy();
        Some(Series { dir, prefix: format!("{stem}-") })
    }
}

/// One database's backups in one directory.
struct Series {
    dir: PathBuf,
    prefix: String,
}

impl Series {
    fn create(&self, conn: &mut Sqlite) -> Result<BackupFile, StoreError> {
        fs::create_dir_all(&self.dir).map_err(StoreError::file(&self.dir))?;
        let unfinished = self.dir.join(format!("{}{UNFINISHED}", self.prefix));
        // Left over from a process that ended in the middle; copying into an existing file is an error.
        remove_if_present(&unfinished)?;
        copy(conn, &unfinished).inspect_err(|_| {
            // The disk may be full of it. That the copy failed is what the caller has to know.
            let _ = remove_if_present(&unfinished);
        })?;

        let now = Timestamp::now();
        let name = format!("{}{}.{EXTENSION}", self.prefix, now.strftime(NAME_TIME));
        let path = self.dir.join(name);
        fs::rename(&unfinished, &path).map_err(StoreError::file(&path))?;
        sync(&self.dir)?;
        backup_at(path, now)
    }

    fn rotate(&self, keep: usize) -> Result<(Vec<BackupFile>, Vec<BackupFile>), StoreError> {
        let mut kept = self.list()?;
        let removed = kept.split_off(keep.min(kept.len()));
        for backup in &removed {
            remove_if_present(&backup.path)?;
        }
        Ok((kept, removed))
    }

    /// Newest first. A directory that does not exist holds none.
    fn list(&self) -> Result<Vec<BackupFile>, StoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::file(&self.dir)(error)),
        };
        let mut backups = Vec::new();
        for entry in entries {
            let path = entry.map_err(StoreError::file(&self.dir))?.path();
            backups.extend(self.read(path)?);
        }
        backups.sort_by(|a, b| b.created_at.cmp(&a.created_at));
        Ok(backups)
    }

    /// The backup at `path`; `None` when the name is not one of this series.
    fn read(&self, path: PathBuf) -> Result<Option<BackupFile>, StoreError> {
        self.time_of(&path).map(|created_at| backup_at(path, created_at)).transpose()
    }

    fn time_of(&self, path: &Path) -> Option<Timestamp> {
        let name =
            path.file_name()?.to_str()?.strip_prefix(&self.prefix)?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
        let civil = jiff::civil::DateTime::strptime(NAME_TIME, name).ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    }
}

/// Copies the database, as it is at one moment, to a new file that is on disk afterwards.
fn copy(conn: &mut Sqlite, target: &Path) -> Result<(), StoreError> {
    // Whoever can read some stores can sign access tokens. SQLite fills a file that is there and empty.
    let private = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
    private.map_err(StoreError::file(target))?;
    let name = target.to_string_lossy();
    sql_query("VACUUM INTO ?").bind::<Text, _>(name.as_ref()).execute(conn)?;
    sync(target)
}

/// Waits until a file, or the names in a directory, are on disk.
fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(StoreError::file(path))
}

fn backup_at(path: PathBuf, created_at: Timestamp) -> Result<BackupFile, StoreError> {
    let bytes = fs::metadata(&path).map_err(StoreError::file(&path))?.len();
    Ok(BackupFile { path, bytes, created_at: time::render(created_at) })
}

fn remove_if_present(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::file(path)(error)),
        _ => Ok(()),
    }
}
