//! Checks of a store without changing it: writable, of a known format, not damaged.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
};

use super::{Store, StoreError, open};

/// Format of a store that passed the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreFormat {
    /// The format of the file.
    pub found: u32,
    /// The newest format that this program knows and migrates to.
    pub known: u32,
}

impl Store {
    /// Reads the whole file and returns the error that would keep it from being opened. Slow on a large store. None if
    /// there is no store yet and one can be created.
    pub fn check(path: &Path) -> Result<Option<StoreFormat>, StoreError> {
        if let Some(error) = blocked(path) {
            return Err(error);
        }
        // An empty file becomes a store when it is opened.
        if std::fs::metadata(path).map_or(0, |found| found.len()) == 0 {
            return Ok(None);
        }
        let connection = open::readable(path)?;
        let report: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(open::opening(path))?;
        if report != "ok" {
            return Err(StoreError::Damaged { path: path.to_owned(), report });
        }
        let (found, known) = open::formats(&connection, path)?;
        Ok(Some(StoreFormat { found, known }))
    }
}

/// Why this user cannot write the store file or its directory; clearer than SQLite's own error.
pub(super) fn blocked(path: &Path) -> Option<StoreError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        return Some(StoreError::Directory(path.to_owned()));
    }
    match directory.metadata() {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Some(StoreError::NoDirectory(directory.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some(StoreError::NoDirectory(directory.to_owned()));
        }
        Err(error) => return Some(not_writable(path, error)),
    }
    // The WAL lies beside the file.
    let beside = tempfile::Builder::new().prefix(".frontdesk-").tempfile_in(directory).map(drop);
    let itself = || match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened.map(drop),
    };
    // Drops the name of the temporary file from the error.
    let plain = |error: io::Error| error.raw_os_error().map_or(error, io::Error::from_raw_os_error);
    beside.and_then(|()| itself()).err().map(|error| not_writable(path, plain(error)))
}

fn not_writable(path: &Path, why: io::Error) -> StoreError {
    StoreError::NotWritable { path: PathBuf::from(path), why }
}
