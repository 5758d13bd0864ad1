//! Removes erased data from the database files, too, while other processes use them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};

use super::{Store, StoreError, open};

/// Largest store that is rewritten after an erasure (`VACUUM`): about a second, in which other writers wait.
const COMPACTED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long to wait for readers of other processes.
const READERS_MAX: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(50);

/// Result of [`Store::scrub`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrubbed {
    /// The WAL was truncated.
    pub log_emptied: bool,
    /// The file was rewritten by `VACUUM`.
    pub compacted: bool,
}

impl Store {
    /// Truncates the WAL, and rewrites the file if it is small or `compact` is set. `secure_delete` overwrites deleted
    /// rows, but rows that SQLite moved earlier may have left copies in unused parts of pages.
    pub fn scrub(path: &Path, compact: bool) -> Result<Scrubbed, StoreError> {
        let (connection, _) = open::writable(path)?;
        // No copy in temporary files.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        let mut log_emptied = empty_log(&connection)?;
        let bytes = std::fs::metadata(path).map_or(u64::MAX, |file| file.len());
        let mut compacted = false;
        if compact || bytes <= COMPACTED_BYTES_MAX {
            match connection.execute_batch("VACUUM") {
                Ok(()) => compacted = true,
                Err(error) if !compact && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
                Err(error) => return Err(error.into()),
            }
            log_emptied = empty_log(&connection)?;
        }
        Ok(Scrubbed { log_emptied, compacted })
    }
}

/// False if a reader blocks the checkpoint for too long.
fn empty_log(connection: &Connection) -> Result<bool, StoreError> {
    let begun = Instant::now();
    loop {
        let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if !busy {
            return Ok(true);
        }
        if begun.elapsed() > READERS_MAX {
            return Ok(false);
        }
        std::thread::sleep(AGAIN);
    }
}
