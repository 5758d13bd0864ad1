//! Online backup of a store, and restore.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{Store, StoreError, erasure_log, open};
use crate::{domain::Clock, telemetry::failpoint};

/// How often a copy is retried while another connection blocks it, and the pause in between.
const TRIES: u32 = 200;
const AGAIN: Duration = Duration::from_millis(50);

/// Result of a restore.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Erasures logged after the backup was made and applied again.
    pub erasures: usize,
    /// Log entries written by another store; they cannot be matched to this one.
    pub foreign: usize,
    /// Path of the replaced store, if there was one.
    pub replaced: Option<PathBuf>,
}

impl Store {
    /// Copies a consistent snapshot of the store at `path` into `file` while others use the store. The copy is written
    /// under a temporary name and renamed when it is complete; an earlier backup of that name is replaced. Returns its
    /// size in bytes.
    pub fn backup(path: &Path, file: &Path) -> Result<u64, StoreError> {
        if is_same(path, file) {
            return Err(StoreError::target(file, "it is the store itself; name another file"));
        }
        if file.exists() && open::is_store(file).is_err() {
            return Err(StoreError::target(file, "it is there, and is no backup; name another file"));
        }
        let partial = beside(file, ".partial");
        let lock = private(&partial)?;
        if lock.try_lock().is_err() {
            return Err(StoreError::target(file, "another backup is being written there"));
        }
        // Left by a backup that was killed; it must not mix with this one.
        parts(&partial).iter().skip(1).try_for_each(|part| remove(part))?;
        copy(path, &partial)?;
        failpoint::pass("backup");
        rename(&partial, file)?;
        drop(lock);
        Ok(fs::metadata(file).map_err(|source| StoreError::file("read", file, source))?.len())
    }

    /// Replaces the store at `path` with the backup `file`. No process may have the store open. Erasures that `log` has
    /// and the backup lacks are applied first. The replaced store is kept beside the new one.
    pub async fn restore(path: &Path, file: &Path, log: &Path, clock: Clock) -> Result<Restored, StoreError> {
        if is_same(path, file) {
            return Err(StoreError::target(file, "it is the store itself; name the backup"));
        }
        open::is_store(file)?;
        // Excludes a running worker and another restore.
        let _lock = match Self::sole_worker(path) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Err(StoreError::InUse(path.to_owned())),
            // There is no store file, so nothing can have it open.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(StoreError::file("lock", path, source)),
        };
        let partial = beside(path, ".restoring");
        for part in parts(&partial) {
            remove(&part)?;
        }
        drop(private(&partial)?);
        copy(file, &partial)?;
        let store = Self::open(&partial, clock)?;
        let own = erasure_log::store_of(&store.key);
        let (entries, foreign): (Vec<_>, Vec<_>) =
            erasure_log::read(log)?.into_iter().partition(|entry| entry.store == own);
        // A log with entries of other stores alone is the wrong one. A log with both is right: a store that was created
        // anew at the same path leaves older entries in it.
        if entries.is_empty() && !foreign.is_empty() {
            store.close().await?;
            return Err(StoreError::ForeignErasures(log.to_owned()));
        }
        let mut erasures = 0;
        for entry in entries {
            erasures += usize::from(store.erase_again(entry).await?);
        }
        store.close().await?;
        if erasures > 0 {
            Self::scrub(&partial, true)?;
        }
        one_file(&partial)?;
        failpoint::pass("restore-prepared");
        let replaced = set_aside(path)?;
        failpoint::pass("restore-kept");
        rename(&partial, path)?;
        failpoint::pass("restored");
        Ok(Restored { erasures, foreign: foreign.len(), replaced })
    }
}

/// Makes a consistent copy in one file, without a WAL, and checks it.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = open::readable(from)?;
    let mut target = Connection::open(to)?;
    {
        // All pages in one step: a stepwise backup restarts whenever another process writes.
        let backup = Backup::new(&source, &mut target)?;
        let mut tries = 0;
        while backup.step(-1)? != StepResult::Done {
            tries += 1;
            if tries > TRIES {
                return Err(StoreError::InUse(from.to_owned()));
            }
            std::thread::sleep(AGAIN);
        }
    }
    drop(target);
    one_file(to)?;
    Store::check(to)?;
    sync(to)
}

/// Checkpoints the WAL and leaves WAL mode, so that the database is one file. Fails if another connection is open.
fn one_file(path: &Path) -> Result<(), StoreError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    match mode.as_str() {
        "delete" => Ok(()),
        _ => Err(StoreError::InUse(path.to_owned())),
    }
}

/// Links the current store under a second name and moves its WAL away, which a damaged store may still have: SQLite
/// must not apply it to the restored file.
fn set_aside(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let replaced = beside(path, ".replaced");
    let there = path.exists();
    if there {
        match one_file(path) {
            Ok(()) => {}
            Err(StoreError::Sqlite(error)) if is_damage(&error) => {}
            Err(StoreError::Sqlite(error)) if is_busy(&error) => return Err(StoreError::InUse(path.to_owned())),
            Err(error) => return Err(error),
        }
    }
    for part in parts(&replaced) {
        remove(&part)?;
    }
    for (part, aside) in parts(path).into_iter().zip(parts(&replaced)).skip(1) {
        if part.exists() {
            fs::rename(&part, &aside).map_err(|source| StoreError::file("rename", &part, source))?;
        }
    }
    if there {
        fs::hard_link(path, &replaced).map_err(|source| StoreError::file("link", &replaced, source))?;
    }
    Ok(there.then_some(replaced))
}

/// The database and SQLite's files beside it.
fn parts(path: &Path) -> [PathBuf; 4] {
    [path.to_owned(), beside(path, "-wal"), beside(path, "-shm"), beside(path, "-journal")]
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Creates an empty file with mode 0600.
fn private(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.map_err(|source| StoreError::file("write", path, source))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::file("remove", path, error)),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), StoreError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| StoreError::file("write", path, source))
}

/// Renames atomically; durable when it returns.
fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    sync(from)?;
    fs::rename(from, to).map_err(|source| StoreError::file("write", to, source))?;
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(directory)
}
