//! Pool of read-only connections. In WAL mode they neither wait for the writer nor block it.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::Connection;

use super::{StoreError, keyed_hash::HashKey, open};

/// Idle connections kept; more are opened under load and closed afterwards.
const IDLE_MAX: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    key: HashKey,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path, key: HashKey) -> Self {
        Self { path: path.to_owned(), key, idle: Mutex::default() }
    }

    /// Closes the connections that are idle.
    pub(super) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn run<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = open::readable(&self.path)?;
                self.key.register(&connection)?;
                connection
            }
        };
        let result = query(&connection);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        result
    }
}
