//! What was erased leaves the files, too, while other processes work on them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};

use super::{Store, StoreError, open};

/// Up to this size a store is rewritten after an erasure: it takes about a second, in which others wait.
const COMPACTED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long readers of other processes are waited for.
const READERS_MAX: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(50);

/// What could be done to the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrubbed {
    /// The write-ahead log is empty.
    pub log_emptied: bool,
    /// The file was rewritten without its unused parts.
    pub compacted: bool,
}

impl Store {
    /// Empties the write-ahead log, and rewrites the file where it is small or `compact` asks for it: SQLite overwrites what
    /// is deleted, but rows that it had moved before may have left copies in unused parts of pages.
    pub fn scrub(path: &Path, compact: bool) -> Result<Scrubbed, StoreError> {
        let (connection, _) = open::writable(path)?;
        // Nothing of it in files elsewhere.
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

/// False if somebody reads for so long that it cannot be emptied.
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
