//! Backup of a store that is in use, and its way back.

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

/// How often a copy that somebody holds up is tried again, and after what pause.
const TRIES: u32 = 200;
const AGAIN: Duration = Duration::from_millis(50);

/// What a restore did.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Erasures of after the backup that were applied to it.
    pub erasures: usize,
    /// Entries of the log that another store has written: whom they are about cannot be told.
    pub foreign: usize,
    /// Where the store is that was there before.
    pub replaced: Option<PathBuf>,
}

impl Store {
    /// Copies the store at `path` into `file`, as it is at one moment, while others work on it. Until it is whole it has
    /// another name; a backup that was there is replaced by a whole one. Returns its size in bytes.
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
        // What one that was killed has left must not be taken for this one's.
        parts(&partial).iter().skip(1).try_for_each(|part| remove(part))?;
        copy(path, &partial)?;
        failpoint::pass("backup");
        rename(&partial, file)?;
        drop(lock);
        Ok(fs::metadata(file).map_err(|source| StoreError::file("read", file, source))?.len())
    }

    /// Puts the backup `file` in the place of the store at `path`, which nobody may have open. Erasures that `log` has and the
    /// backup does not are applied before. The store that was there is kept beside it.
    pub async fn restore(path: &Path, file: &Path, log: &Path, clock: Clock) -> Result<Restored, StoreError> {
        if is_same(path, file) {
            return Err(StoreError::target(file, "it is the store itself; name the backup"));
        }
        open::is_store(file)?;
        // Neither a server nor another restore.
        let _lock = match Self::sole_worker(path) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Err(StoreError::InUse(path.to_owned())),
            // It is lost: nobody has it open.
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
        // A log of which nothing is this store's is the wrong one; a store that was made anew leaves older entries in its.
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

/// A copy as of one moment, in one file, checked.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = open::readable(from)?;
    let mut target = Connection::open(to)?;
    {
        // All pages in one step: one that is cut into steps begins anew whenever another process writes.
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

/// Puts what stands in a write-ahead log into the file; it is one file then. An error if somebody else has it open.
fn one_file(path: &Path) -> Result<(), StoreError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    match mode.as_str() {
        "delete" => Ok(()),
        _ => Err(StoreError::InUse(path.to_owned())),
    }
}

/// Gives the store that is there a second name, and takes away the log of one that is damaged: it must not be taken for the
/// next one's.
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

/// The database and what SQLite has beside it.
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

/// An empty file for the owner alone.
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

/// At once or not at all, and on the disk when it returns.
fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    sync(from)?;
    fs::rename(from, to).map_err(|source| StoreError::file("write", to, source))?;
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(directory)
}
