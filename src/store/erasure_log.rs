//! Append-only log of erasures beside the store, as keyed hashes, for applying them to a restored backup.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{StoreError, keyed_hash::HashKey, subject::HashedSubject};
use crate::domain::Timestamp;

/// One logged erasure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) at: Timestamp,
    /// Identifies the store: a hash under its key.
    pub(super) store: String,
    pub(super) subject: HashedSubject,
}

impl Entry {
    pub(super) fn new(at: Timestamp, key: &HashKey, subject: HashedSubject) -> Self {
        Self { id: ulid::Ulid::generate().to_string(), at, store: store_of(key), subject }
    }
}

/// Identifier of the store that has this key.
pub(super) fn store_of(key: &HashKey) -> String {
    key.hash("frontdesk store")
}

/// `frontdesk.db-erasures` beside `frontdesk.db`.
pub(super) fn beside(store: &Path) -> PathBuf {
    let mut name: OsString = store.as_os_str().to_owned();
    name.push("-erasures");
    name.into()
}

/// Appends an entry; durable when it returns.
pub(super) fn append(path: &Path, entry: &Entry) -> Result<(), StoreError> {
    let failed = |source| StoreError::file("write", path, source);
    let mut line = serde_json::to_string(entry)?;
    line.push('\n');
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(line.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// Reads all entries; empty without a log. A line truncated by a crash is skipped: that erasure was never acknowledged.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, StoreError> {
    let failed = |source| StoreError::file("read", path, source);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(failed)?;
        if let Ok(entry) = serde_json::from_str(&line) {
            entries.push(entry);
        }
    }
    Ok(entries)
}
