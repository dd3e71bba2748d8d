//! One connection to SQLite, opened the one way each of them is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel_migrations::EmbeddedMigrations;
use parking_lot::{FairMutex, FairMutexGuard};

use crate::{DatabaseConfig, StoreError, schema};

/// A connection to SQLite.
pub(crate) type Sqlite = diesel::sqlite::SqliteConnection;

/// Where connections come from: the database file and the schema it must have.
pub(crate) struct Source {
    path: PathBuf,
    cache_kib: u32,
    pub(crate) busy_timeout: Duration,
    migrations: EmbeddedMigrations,
    turn: FairMutex<()>,
}

/// A connection, and which file it is connected to.
pub(crate) struct Opened {
    pub(crate) conn: Sqlite,
    pub(crate) file: FileId,
}

/// A file's identity: one that is deleted and made again has the same path and another identity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl Source {
    pub(crate) fn new(config: &DatabaseConfig, migrations: EmbeddedMigrations) -> Result<Self, StoreError> {
        // Absolute, so that no name can be read as SQLite's `:memory:` or as a URI.
        let path = std::path::absolute(&config.path).map_err(StoreError::file(&config.path))?;
        let DatabaseConfig { cache_kib, busy_timeout, .. } = *config;
        Ok(Self { path, cache_kib, busy_timeout, migrations, turn: FairMutex::new(()) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The turn to write, among this process's long-lived writers. SQLite's own lock has no queue: one who writes
    /// without a break starves the others past any `busy_timeout`. Only a courtesy (other processes do not know of
    /// it), so whoever waited for `patience` goes on without.
    pub(crate) fn turn(&self, patience: Duration) -> Option<FairMutexGuard<'_, ()>> {
        self.turn.try_lock_for(patience)
    }

    /// The write-ahead log beside the database.
    pub(crate) fn wal_path(&self) -> PathBuf {
        let mut name = self.path().as_os_str().to_owned();
        name.push("-wal");
        name.into()
    }

    /// Connects, and brings the schema up to date if it is not: a file that was deleted under a running service
    /// comes back empty and usable.
    pub(crate) fn open(&self, busy_timeout: Duration) -> Result<Opened, StoreError> {
        let directory = self.path().parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory).map_err(StoreError::file(directory))?;
        let mut conn = self.connect(busy_timeout).map_err(|reason| self.cannot_open(reason))?;
        schema::ensure(&mut conn, &self.migrations, self.path())?;
        let file = FileId::of(self.path()).map_err(StoreError::file(self.path()))?;
        Ok(Opened { conn, file })
    }

    /// Whether `file` is the one at the store's path.
    pub(crate) fn is_at_place(&self, file: FileId) -> bool {
        FileId::of(self.path()).is_ok_and(|current| current == file)
    }

    /// While one program turns a new file into a WAL database, SQLite refuses the others at once, without the wait
    /// that `busy_timeout` asks for.
    fn connect(&self, busy_timeout: Duration) -> Result<Sqlite, String> {
        const PAUSE: Duration = Duration::from_millis(5);
        let give_up = Instant::now() + busy_timeout;
        loop {
            match self.try_connect(busy_timeout) {
                Err(reason) if reason.contains("is locked") && Instant::now() < give_up => std::thread::sleep(PAUSE),
                result => return result,
            }
        }
    }

    fn try_connect(&self, busy_timeout: Duration) -> Result<Sqlite, String> {
        let url = self.path().to_str().ok_or("its path is not UTF-8")?;
        let is_new = fs::metadata(self.path()).map_or(true, |file| file.len() == 0);
        let mut conn = Sqlite::establish(url).map_err(|error| error.to_string())?;
        let pragmas = self.pragmas(busy_timeout, is_new);
        conn.batch_execute(&pragmas).map_err(|error| error.to_string())?;
        Ok(conn)
    }

    /// WAL with `synchronous = FULL` syncs the log at every commit: acknowledged means durable. `auto_vacuum` lets
    /// retention give space back; it is a property of the file that only a new one takes on, and setting it is a
    /// write, which must not be needed to read a locked database. Whoever commits when the log is long writes it back
    /// into the file, and the others wait behind it: so that is seldom, when the log is as long as it is kept.
    fn pragmas(&self, busy_timeout: Duration, is_new: bool) -> String {
        format!(
            "PRAGMA busy_timeout = {busy_ms};
             {new_file}
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = 16777216;
             PRAGMA wal_autocheckpoint = 4096;
             PRAGMA mmap_size = 0;
             PRAGMA cache_size = -{cache_kib};",
            busy_ms = busy_timeout.as_millis(),
            new_file = if is_new { "PRAGMA auto_vacuum = INCREMENTAL;" } else { "" },
            cache_kib = self.cache_kib,
        )
    }

    fn cannot_open(&self, reason: String) -> StoreError {
        StoreError::Open { store: self.path().display().to_string(), reason }
    }
}

impl FileId {
    fn of(path: &Path) -> std::io::Result<Self> {
        fs::metadata(path).map(|file| Self { device: file.dev(), inode: file.ino() })
    }
}
